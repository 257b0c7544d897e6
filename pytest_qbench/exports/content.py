"""What all exports say of a run: its conditions as flat texts, the names of its metrics, its times."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pytest_qbench.escaping import printable
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Times:
    """Start and end of a run in nanoseconds since 1970. A comparison has no duration: both are its start."""

    start: int
    end: int


def times_of(run: FinishedRun) -> Times:
    """Return the times of a run, which `summary.json` holds with seconds and milliseconds."""
    start = round(datetime.fromisoformat(run.summary.began).timestamp()) * 1_000_000_000
    return Times(start, start + round((run.summary.seconds or 0.0) * 1_000) * 1_000_000)


def metric_label(m: Metric) -> str:
    """Return a name that is unique in a run: metric, dataset ("mean" for the mean over datasets), split and slice."""
    return "/".join(part for part in (m.name, m.dataset or "mean", m.split, m.slice) if part)


def conditions(run: FinishedRun) -> dict[str, str]:
    """Return the conditions of a run as dotted names and texts, without the judge's control scores."""
    return {k: v for k, v in _flat(run.summary.fingerprint.to_json()) if not k.startswith("judge_control.scores.")}


def state(run: FinishedRun, outcome: Outcome) -> dict[str, str]:
    """Return what no export may lack: outcome, verdict, counts, missing items, undefined metrics, gates."""
    counts = run.summary.items
    return {
        "outcome": outcome.word,
        "verdict": printable(outcome.verdict),
        "items.total": str(counts.total),
        "items.scored": str(counts.scored),
        "items.unparsed": str(counts.unparsed),
        "items.errors": str(counts.errors),
        "items.missing": str(len(outcome.missing)),
        "missing": json.dumps([f"{task}: {item}" for task, item in outcome.missing]),
        "undefined": json.dumps([metric_label(m) for m in run.metrics if m.value is None]),
        "gates": json.dumps({gate.name: f"{gate.word}: {gate.reason}" for gate in run.gates}),
        "baseline": run.summary.baseline.missing or str(run.summary.baseline.name),
        "notes": json.dumps(list(run.summary.notes)),
    }


def _flat(entries: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in entries.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)
