"""Plan the chunks of a collection, the items that one process measures together. The plan is the same with xdist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

TAIL = 8  # a chunk has at most 1/8 of its function's remaining items, so that workers end at about the same time
SHARE = 16  # most chunks that a worker of xdist gets at once, so that one message reports many items


def plan_chunks(nodeids: Sequence[str], size: int, batch: int) -> list[list[int]]:
    """Return the chunks of a collection, as lists of positions.

    Consecutive parametrized ids of one function form chunks: first of `size` (a multiple of `batch`), then of ever
    fewer whole batches. Every other test is a separate chunk. The plan depends on the collection and not on the number
    of workers, because equal batches give equal results. Linear time.
    """
    return [
        list(positions[start:end])
        for positions in _functions(nodeids)
        for start, end in pairwise(chunk_starts(len(positions), size, batch))
    ]


def plan_shares(nodeids: Sequence[str], size: int, batch: int, *, workers: int, chunks: int = SHARE) -> list[list[int]]:
    """Return the shares of a collection that workers of xdist get one after another, as lists of positions.

    A share is one chunk, or more consecutive ones of a function, up to `chunks`. More chunks have together at most 1/8
    of the function's remaining items, and with more than four workers at most half of a worker's part of them.
    """
    shares: list[list[int]] = []
    for positions in _functions(nodeids):
        starts = chunk_starts(len(positions), size, batch)
        first = 0
        while first < len(starts) - 1:
            most = starts[first] + (len(positions) - starts[first]) // max(TAIL, 2 * workers)
            after = first + 1
            while after < len(starts) - 1 and after - first < chunks and starts[after + 1] <= most:
                after += 1
            shares.append(list(positions[starts[first] : starts[after]]))
            first = after
    return shares


def _functions(nodeids: Sequence[str]) -> Iterator[Sequence[int]]:
    """Yield the positions of the consecutive parametrized ids of each function, and of every other test alone."""

    def function(position: int) -> str:
        base, bracket, _ = nodeids[position].partition("[")
        return base if bracket else f"{base}#{position}"

    for _, run in groupby(range(len(nodeids)), key=function):
        yield list(run)


def chunk_starts(items: int, size: int, batch: int) -> list[int]:
    """Return where the chunks of one function with so many items start, and where the last one ends."""
    starts = [0]
    while starts[-1] < items:
        batches = -(-(items - starts[-1]) // (TAIL * batch))
        starts.append(min(items, starts[-1] + min(size, batches * batch)))
    return starts
