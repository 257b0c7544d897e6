"""What the page shows beside the metrics: accuracy by type and concern at once, the judge round by round. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pytest_qbench.items import DIMENSIONS
from pytest_qbench.metrics.metrics import PUBLISHED
from pytest_qbench.records import Record

# The order of the published tables.
_TYPES, _CONCERNS = ([s.partition("=")[2] for s in PUBLISHED if s.startswith(key)] for key in ("type", "concern"))


def heat(records: Iterable[Record], before: Iterable[Record]) -> list[dict[str, Any]]:
    """Per perception dataset, items and right answers now and before in each cell of type (rows) and concern."""
    old: dict[str, list[Record]] = {}
    for record in before:
        old.setdefault(record.dataset, []).append(record)
    maps = []
    for dataset, group in _by_dataset(records).items():
        types = _ordered(_TYPES, (r.slices["type"] for r in group))
        concerns = _ordered(_CONCERNS, (r.slices["concern"] for r in group))
        grids = [_grid(some, types, concerns) for some in (group, old.get(dataset, []))]
        (n, right), (old_n, old_right) = grids
        maps.append({
            "dataset": dataset, "types": types, "concerns": concerns, "n": n, "right": right,
            "before": old_right if old_n == n else None,
        })  # fmt: skip
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


def _grid(
    records: Iterable[Record], types: Sequence[str], concerns: Sequence[str]
) -> tuple[list[list[int]], list[list[int]]]:
    n, right = ([[0] * len(concerns) for _ in types] for _ in range(2))
    for r in records:
        if r.status != "error" and r.slices.get("type") in types and r.slices.get("concern") in concerns:
            row, column = types.index(r.slices["type"]), concerns.index(r.slices["concern"])
            n[row][column] += 1
            right[row][column] += r.status == "correct"
    return n, right


def rounds(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Per description dataset and dimension: how often each round gave 0, 1, 2 or nothing readable, and how many
    items got different verdicts in different rounds. A dimension judged by expectations has no such counts.
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
