"""The baseline's records of the items of a run, stored as `baseline.jsonl` in the run folder, and their metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_qbench.baseline.baseline import Baseline, MissingBaseline, shows_another_picture
from pytest_qbench.metrics.compute import compute_metrics
from pytest_qbench.metrics.fingerprint import differences
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import Record
from pytest_qbench.untrusted.files import write_text

SNAPSHOT = "baseline.jsonl"


def comparable_records(results: Results, baseline: Baseline | MissingBaseline) -> list[Record]:
    """Return the baseline's records of the items of this run, for each dataset that is comparable as a whole.

    A dataset is comparable if the conditions are the same and the baseline contains every item with the same text, key,
    reference and images.
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
            and all(baseline.digests.get(key) == results.digests[key] for key in keys)
            and not any(shows_another_picture(record, baseline) for record in records)
        ):
            # They count with the weights of the run's sample.
            found += [
                old if r.probability is None else replace(old, probability=r.probability)
                for r, key in zip(records, keys, strict=True)
                for old in (baseline.records[key],)
            ]
    return found


def add_baseline_values(rows: Iterable[Metric], old: Sequence[Record], averages_halves: bool) -> list[Metric]:
    """Return the rows, completed with the baseline's value and the difference. Rows that a gate has filled stay.

    `old` are the baseline's records. A row whose metric is undefined for them stays unchanged as well.
    """
    values = {(m.name, m.dataset, m.split, m.slice): m for m in compute_metrics(old, averages_halves)}
    filled = []
    for row in rows:
        was = values.get((row.name, row.dataset, row.split, row.slice))
        # A mean over datasets is only comparable if it is over the same number of items.
        if row.baseline is None and was is not None and was.value is not None and was.n == row.n:
            delta = None if row.value is None else row.value - was.value
            row = replace(row, baseline=was.value, delta=delta)
        filled.append(row)
    return filled


def write_snapshot(folder: Path, records: Iterable[Record]) -> None:
    """Write one line per item to `baseline.jsonl`. Raises `OSError`."""
    write_text(folder / SNAPSHOT, (record.to_json() + "\n" for record in records))
