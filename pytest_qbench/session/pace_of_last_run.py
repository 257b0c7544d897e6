"""How long a run will take, by the seconds per item of the last run of the same model."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pytest_qbench.errors import UsageError
from pytest_qbench.runs.read import SUMMARY, read_summary

LEAST = 0.1
"""A run of fewer items, as a share of those to measure, says little: loading the model takes most of its time."""


class Pace(NamedTuple):
    """Seconds per item in a finished run, and the day on which it began."""

    seconds: float
    day: str


def pace_of_last_run(runs: Path, model: str, tasks: Collection[str], answer: str, items: int) -> Pace | None:
    """Return the pace of the newest run of this model with the same tasks and answer mode; None where there is none.

    Runs that were resumed, or that took replies from the cache, measured less than they hold; they are left out.
    """
    for path in sorted(runs.glob(f"*-{model}/{SUMMARY}"), reverse=True):
        try:
            found = read_summary(path.parent)
        except UsageError:  # of another version, or cut short: it says nothing about the pace
            continue
        total, usage = found["items"]["total"], found.get("usage") or {}
        if (
            found.get("resumed") == 0
            and not any(one.get("cache_hits") for one in usage.values())
            and found["fingerprint"].get("answer") == answer
            and {metric["name"].partition(".")[0] for metric in found["metrics"]} == set(tasks)
            and total >= LEAST * items
        ):
            return Pace(found["seconds"] / total, f"{datetime.fromisoformat(found['began']):%d %b %Y}")
    return None


def in_words(seconds: float) -> str:
    """Return a duration as people say it: seconds, minutes or hours."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
