"""Plan the chunks of a collection, the items that one process measures together. The plan is the same with xdist."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

TAIL = 8  # a chunk has at most 1/8 of its function's remaining items, so that workers end at about the same time


def plan_chunks(nodeids: Sequence[str], size: int, batch: int) -> list[list[int]]:
    """Return the chunks of a collection, as lists of positions.

    Consecutive parametrized ids of one function form chunks: first of `size` (a multiple of `batch`), then of ever
    fewer whole batches. Every other test is a separate chunk. The plan depends on the collection and not on the number
    of workers, because equal batches give equal results. Linear time.
    """
    chunks: list[list[int]] = []

    def function(position: int) -> str:
        base, bracket, _ = nodeids[position].partition("[")
        return base if bracket else f"{base}#{position}"

    for _, run in groupby(range(len(nodeids)), key=function):
        positions = list(run)
        chunks += [positions[start:end] for start, end in pairwise(chunk_starts(len(positions), size, batch))]
    return chunks


def chunk_starts(items: int, size: int, batch: int) -> list[int]:
    """Return where the chunks of one function with so many items start, and where the last one ends."""
    starts = [0]
    while starts[-1] < items:
        batches = -(-(items - starts[-1]) // (TAIL * batch))
        starts.append(min(items, starts[-1] + min(size, batches * batch)))
    return starts
