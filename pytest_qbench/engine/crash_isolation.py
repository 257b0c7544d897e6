"""Decide how to retry items after the process that measured them died."""

from __future__ import annotations

from collections.abc import Sequence

MAX_DEATHS = 3
"""Number of process deaths after which an item is not retried. Before the last one it was alone in its batch."""


def next_batch_size(sizes: Sequence[int]) -> int | None:
    """Return the largest batch in which to retry an item, given the sizes of the batches whose process died.

    None allows any size. After the first death the batch is repeated unchanged: its items need not be the cause, and
    the results stay identical. Each later death halves the batch, down to 1. The result 0 means no retry: the item was
    alone in its batch, and its process died for at least the third time.
    """
    if len(sizes) < 2:
        return None
    if min(sizes) > 1:
        return min(sizes) // 2
    return 1 if len(sizes) < MAX_DEATHS else 0
