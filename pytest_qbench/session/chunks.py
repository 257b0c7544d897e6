"""The one plan by which items are measured together: the same alone, under xdist, and on every worker."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

TAIL = 8  # a chunk holds at most this part of what is left of its function, so that workers end together


def plan_chunks(nodeids: Sequence[str], size: int, batch: int) -> list[list[int]]:
    """Cut a collection into chunks of positions.

    Consecutive parametrized ids of one function form chunks: of `size` (a multiple of `batch`) at first, then of ever
    fewer whole batches. Every other test is a chunk of its own. Pure and linear, and no function of the number of
    workers: who sees the same collection computes the same plan, and the same batches give the same results.
    """
    chunks: list[list[int]] = []

    def function(position: int) -> str:
        base, bracket, _ = nodeids[position].partition("[")
        return base if bracket else f"{base}#{position}"

    for _, run in groupby(range(len(nodeids)), key=function):
        positions = list(run)
        start = 0
        while start < len(positions):
            batches = -(-(len(positions) - start) // (TAIL * batch))
            end = start + min(size, batches * batch)
            chunks.append(positions[start:end])
            start = end
    return chunks
