"""The one plan by which items are measured together: the same alone, under xdist, and on every worker."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby


def plan_chunks(nodeids: Sequence[str], size: int) -> list[list[int]]:
    """Cut a collection into chunks of positions.

    Consecutive parametrized ids of one function form chunks of at most `size`; every other test is a chunk of its own.
    Pure and linear: who sees the same collection computes the same plan.
    """
    chunks: list[list[int]] = []

    def function(position: int) -> str:
        base, bracket, _ = nodeids[position].partition("[")
        return base if bracket else f"{base}#{position}"

    for _, run in groupby(range(len(nodeids)), key=function):
        positions = list(run)
        chunks += [positions[i : i + size] for i in range(0, len(positions), size)]
    return chunks
