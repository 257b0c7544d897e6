"""Read a finished run from its folder, without model and data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytest_qbench.errors import UsageError
from pytest_qbench.items import TASKS, Item
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import RECORDS, SCHEMA, Record, read_records
from pytest_qbench.runs.conditions import foreign_record
from pytest_qbench.runs.items_file import ITEMS, read_items
from pytest_qbench.runs.summary import SUMMARY, Summary
from pytest_qbench.untrusted.files import LARGE
from pytest_qbench.untrusted.parsing import read_json


def read_summary(folder: Path) -> Summary:
    """Return the summary of a run. Raises `UsageError` if the folder is not a finished run of this version."""
    path = folder / SUMMARY
    if not path.exists():
        raise UsageError(f"{folder}: has no {SUMMARY}; name the folder of a finished run")
    found: Any = read_json(path, LARGE, remedy="run again")
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise UsageError(f"{path}: no summary of this version (schema {SCHEMA}); run again")
    try:
        return Summary.from_json(found)
    except (ValueError, TypeError) as e:
        raise UsageError(f"{path}: no summary of this version: {e}; run again") from e


def read_records_of(folder: Path, summary: Summary) -> dict[tuple[str, str], Record]:
    """Return the records of a run by task and item. Raises `UsageError` if a record has other conditions."""
    records: dict[tuple[str, str], Record] = {(r.task, r.item): r for r in read_records(folder / RECORDS)}
    if foreign := foreign_record(records.values(), summary.fingerprint):
        raise UsageError(
            f"{folder / RECORDS}: {foreign.item} was not made under the conditions that {SUMMARY} states; the folder "
            "mixes two runs: run again"
        )
    return records


def read_run(folder: Path) -> Results:
    """Return the results of a run. Raises `UsageError` if a file is missing, damaged or incomplete."""
    summary = read_summary(folder)
    expected: dict[tuple[str, str], Item] = {(item.task, item.id): item for item in read_items(folder)}
    if len(expected) != summary.items.total:
        raise UsageError(f"{folder / ITEMS}: {len(expected)} items, {summary.items.total} in {SUMMARY}; run again")
    records = read_records_of(folder, summary)
    if strange := [item for key in records if key not in expected for item in key[1:]]:
        raise UsageError(f"{folder / RECORDS}: {strange[0]} is not in {ITEMS}; the folder mixes two runs: run again")
    return Results(
        [records[key] for key in expected if key in records],
        expected,
        summary.fingerprint,
        summary.left_out,
        frozenset(TASKS) - {task for task, _ in expected},
        is_narrowed=summary.fingerprint.is_narrowed,
        stop=summary.stopped,
    )
