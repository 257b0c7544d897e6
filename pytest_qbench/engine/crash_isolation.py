"""How items are retried after the process that measured them died."""

from __future__ import annotations

from collections.abc import Sequence

TRIALS = 3  # how often an item may be in flight when its process dies, the last time alone


def next_size(sizes: Sequence[int]) -> int | None:
    """In a batch of how many an item may be measured next, given those that it was in when their process died.

    None: any. The first death proves nothing, so the batch is repeated as it was and its results stay the same to the
    last bit; after that it is halved, down to 1. 0: not at all, it was alone and died for at least the third time.
    """
    if len(sizes) < 2:
        return None
    if min(sizes) > 1:
        return min(sizes) // 2
    return 1 if len(sizes) < TRIALS else 0
