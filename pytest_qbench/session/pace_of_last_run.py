"""Estimate the duration of a run from the seconds per item of the last run of the same model."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pytest_qbench.errors import UsageError
from pytest_qbench.metrics.specs import task_of
from pytest_qbench.runs.read import read_summary
from pytest_qbench.runs.summary import SUMMARY

LEAST = 0.1
"""Minimum size of the last run as a fraction of the items to measure. In smaller runs, loading the model dominates."""


class Pace(NamedTuple):
    """Seconds per item of a finished run, and the date on which it began."""

    seconds: float
    day: str


def pace_of_last_run(runs: Path, model: str, tasks: Collection[str], answer: str, items: int) -> Pace | None:
    """Return the pace of the newest run of this model with the same tasks and answer mode, or None.

    Resumed runs and runs with cached replies are left out, because they measured fewer items than they contain.
    """
    for path in sorted(runs.glob(f"*-{model}/{SUMMARY}"), reverse=True):
        try:
            found = read_summary(path.parent)
        except UsageError:  # a run of another version, or an incomplete one
            continue
        if (
            found.resumed == 0
            and found.seconds is not None
            and not any(usage.cache_hits for usage in found.usage.values())
            and found.fingerprint.answer == answer
            and {task_of(metric.name) for metric in found.metrics} == set(tasks)
            and found.items.total >= max(1, LEAST * items)
        ):
            return Pace(found.seconds / found.items.total, f"{datetime.fromisoformat(found.began):%d %b %Y}")
    return None


def in_words(seconds: float) -> str:
    """Return a duration as text in seconds, minutes or hours."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
