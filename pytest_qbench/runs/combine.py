"""Combine finished runs of one model into results whose items hold the outcomes of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pytest_qbench.errors import UsageError
from pytest_qbench.metrics.fingerprint import COMPARABLE, differences
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import Record, repeated
from pytest_qbench.runs.read import read_run


def combine_runs(folders: Sequence[Path]) -> Results:
    """Return the results of several runs as those of one run that asked each item several times.

    The outcomes follow the order of the runs. One folder gives its own results. Raises `UsageError` for runs of
    different models, conditions or items, and for a folder that is named twice.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageError("a run folder is named twice: each run counts once")
    runs = {folder: read_run(folder) for folder in folders}
    (first, results), *others = runs.items()
    for folder, run in others:
        _check_alike(first, results, folder, run)
    if not others:
        return results
    by_key = {folder: {(r.task, r.item): r for r in run.records} for folder, run in runs.items()}
    records: list[Record] = []
    for key in results.expected:
        found = [records_of[key] for records_of in by_key.values() if key in records_of]
        if len(found) == len(runs):  # an item that a run lacks is missing
            whole = repeated([outcome for record in found for outcome in record.outcomes])
            records.append(replace(whole, picture=found[0].picture, conditions=found[0].conditions))
    asked = sum(run.fingerprint.repeats or 1 for run in runs.values())
    return replace(results, records=records, fingerprint=replace(results.fingerprint, repeats=asked))


def _check_alike(first: Path, one: Results, folder: Path, other: Results) -> None:
    tasks = dict.fromkeys(task for task, _ in one.expected)
    differ = [
        text for task in tasks if task in COMPARABLE for text in differences(task, one.fingerprint, other.fingerprint)
    ]
    for name in ("model", "data", "selection"):
        if getattr(one.fingerprint, name) != getattr(other.fingerprint, name):
            differ.append(name)
    if differ:
        raise UsageError(
            f"{first} and {folder} are no repeats of one run; they differ in: {'; '.join(dict.fromkeys(differ))}"
        )
    digests = [{key: item.digest() for key, item in run.expected.items()} for run in (one, other)]
    if changed := [key[1] for key in {**digests[0], **digests[1]} if digests[0].get(key) != digests[1].get(key)]:
        raise UsageError(f"{first} and {folder} have different items: {len(changed)} (first: {changed[0]})")
    seen = {(r.task, r.item): r.picture for r in one.records}
    for record in other.records:
        if None not in (picture := seen.get((record.task, record.item)), record.picture) and picture != record.picture:
            raise UsageError(f"{first} and {folder} show different images of {record.item}")
