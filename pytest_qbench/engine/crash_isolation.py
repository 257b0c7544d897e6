"""Retry items after the process that measured them died."""

from __future__ import annotations

from collections.abc import Sequence

MAX_DEATHS = 3
"""Times that an item may be in flight when its process dies; the last time it is alone in its batch."""


def next_batch_size(sizes: Sequence[int]) -> int | None:
    """Return the largest batch in which to retry an item, given the sizes of the batches whose process died.

    None: any size. The first death proves nothing, so the batch is repeated unchanged, for identical results.
    Later deaths halve the batch, down to 1. 0: do not retry, the item was alone and its process died for at least the
    third time.
    """
    if len(sizes) < 2:
        return None
    if min(sizes) > 1:
        return min(sizes) // 2
    return 1 if len(sizes) < MAX_DEATHS else 0
