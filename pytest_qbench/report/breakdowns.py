"""Counts for the page: accuracy for each pair of type and concern, and a judge's verdicts round by round. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pytest_qbench.items import DIMENSIONS
from pytest_qbench.metrics.compute import PUBLISHED
from pytest_qbench.records import Record
from pytest_qbench.stats.sign_flips import flip_p_value

# The order of the published tables.
_TYPES, _CONCERNS = ([s.partition("=")[2] for s in PUBLISHED if s.startswith(key)] for key in ("type", "concern"))


@dataclass
class Cell:
    """Counts of the items with one type and concern.

    `right` counts the correct answers now, `before` those of the baseline. `before` is None if an item is not in it.
    """

    n: int = 0
    right: int = 0
    before: int | None = None
    lost: int = 0
    gained: int = 0

    @property
    def change(self) -> float | None:
        """Change of the accuracy, None if it is unknown."""
        return None if self.before is None or not self.n else (self.right - self.before) / self.n

    @property
    def is_clear(self) -> bool:
        """Whether the change is significant: p < 0.05 in McNemar's mid-p test, two-sided."""
        changes = np.repeat([-1.0, 1.0], [self.lost, self.gained])
        return changes.size > 0 and 2 * min(flip_p_value(changes), flip_p_value(-changes)) < 0.05


@dataclass(frozen=True)
class HeatMap:
    """The cells of one dataset, by type (rows) and concern (columns)."""

    dataset: str
    types: list[str]
    concerns: list[str]
    cells: list[list[Cell]]


def make_heat_maps(records: Iterable[Record], before: Iterable[Record]) -> list[HeatMap]:
    """Return a heat map per perception dataset. `before` holds the baseline's records, and may be empty."""
    old = {r.item: r for r in before if r.task == "perception"}
    maps = []
    for dataset, group in _by_dataset(records).items():
        types = _ordered(_TYPES, (r.slices["type"] for r in group))
        concerns = _ordered(_CONCERNS, (r.slices["concern"] for r in group))
        cells = [[Cell() for _ in concerns] for _ in types]
        known = all(r.item in old for r in group)
        for r in group:
            cell = cells[types.index(r.slices["type"])][concerns.index(r.slices["concern"])]
            right = r.status == "correct"
            cell.n += 1
            cell.right += right
            if known:
                was = old[r.item].status == "correct"
                cell.before = (cell.before or 0) + was
                cell.lost += was and not right
                cell.gained += right and not was
        maps.append(HeatMap(dataset, types, concerns, cells))
    return maps


def _by_dataset(records: Iterable[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for r in records:
        if r.status in ("correct", "wrong", "unparsed") and {"type", "concern"} <= r.slices.keys():
            found.setdefault(r.dataset, []).append(r)
    return found


def _ordered(known: Sequence[str], found: Iterable[str]) -> list[str]:
    there = set(found)
    return [k for k in known if k in there] + sorted(there.difference(known))


def count_verdicts(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return a count of verdicts for each description dataset and dimension.

    `rounds` holds, per round, the numbers of 0, 1, 2 and unreadable verdicts. `differ` is the number of items with
    different verdicts in different rounds. A dimension judged by expectations is left out.
    """
    by_dataset: dict[str, list[Record]] = {}
    for record in records:
        if record.judge and record.task == "description":
            by_dataset.setdefault(record.dataset, []).append(record)
    found = []
    for dataset, group in by_dataset.items():
        for dimension in DIMENSIONS:
            verdicts = [list((r.judge or {}).get(dimension, [])) for r in group]
            if any(value not in (0, 1, 2, None) for v in verdicts for value in v):
                continue
            counts = [
                [sum(v[i : i + 1] == [value] for v in verdicts) for value in (0, 1, 2, None)]
                for i in range(max(map(len, verdicts)))
            ]
            differ = sum(len(set(v)) > 1 for v in verdicts)
            one = {"dataset": dataset, "dimension": dimension, "rounds": counts, "differ": differ, "n": len(group)}
            found.append(one)
    return found
