"""What the baseline held for the items of a run: `baseline.jsonl` of a run folder, and its metrics on these items."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_qbench.baseline.baseline import Baseline, MissingBaseline, shows_another_picture
from pytest_qbench.metrics.fingerprint import differences
from pytest_qbench.metrics.metrics import Metric, compute_metrics
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import Record
from pytest_qbench.untrusted.files import write_text

BEFORE = "baseline.jsonl"


def before(results: Results, baseline: Baseline | MissingBaseline) -> list[Record]:
    """The baseline's records of what this run measured, of each dataset that may be compared as a whole.

    That is: the same conditions, and every item a part of the baseline with the same text, key and reference.
    """
    if isinstance(baseline, MissingBaseline):
        return []
    by_place: dict[tuple[str, str], list[Record]] = {}
    for record in results.records:
        by_place.setdefault((record.task, record.dataset), []).append(record)
    found: list[Record] = []
    for (task, _), records in by_place.items():
        keys = [(r.task, r.item) for r in records]
        if (
            not differences(task, baseline.fingerprint, results.fingerprint)
            and all(baseline.digests.get(key) == results.expected[key].digest() for key in keys)
            and not any(shows_another_picture(record, baseline) for record in records)
        ):
            found += [baseline.records[key] for key in keys]
    return found


def beside(rows: Iterable[Metric], old: Sequence[Record], halves: bool) -> list[Metric]:
    """The rows with the baseline's value and the difference, where no gate has filled them and `old` has the metric."""
    values = {(m.name, m.dataset, m.split, m.slice): m for m in compute_metrics(old, halves)}
    filled = []
    for row in rows:
        was = values.get((row.name, row.dataset, row.split, row.slice))
        # A mean over datasets compares where all of them do.
        if row.baseline is None and was is not None and was.value is not None and was.n == row.n:
            delta = None if row.value is None else row.value - was.value
            row = replace(row, baseline=was.value, delta=delta)
        filled.append(row)
    return filled


def write_before(folder: Path, records: Iterable[Record]) -> None:
    """Write one line an item; raises `OSError`."""
    write_text(folder / BEFORE, (record.to_json() + "\n" for record in records))
