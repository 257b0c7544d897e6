"""OTLP: the metrics of a run as one line of OpenTelemetry's JSON, as its file exporter writes them.

Each metric is a gauge. An undefined metric has a data point that is flagged as having no value, so that it is seen.
Outcome and missing items are attributes of the resource; `qbench.items.missing` and `qbench.green` are gauges as well,
for alerts. A collector's receiver for OTLP files, or a request to its HTTP endpoint, takes the line as it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pytest_qbench import __version__
from pytest_qbench.exports.content import Times, conditions, state, times_of
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.outcome import outcome_of
from pytest_qbench.untrusted.files import write_text

NO_VALUE = 1  # DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK


def write(run: FinishedRun, out: str) -> str:
    """Write the line and return its path."""
    write_text(Path(out), json.dumps(metrics_data(run), ensure_ascii=False, allow_nan=False) + "\n")
    return out


def metrics_data(run: FinishedRun) -> dict[str, Any]:
    """Return the run as `MetricsData`."""
    outcome, times = outcome_of(run), times_of(run)
    made = run.summary.fingerprint
    points: dict[str, list[dict[str, Any]]] = {}
    for m in run.metrics:
        place = {"dataset": m.dataset or "mean", "split": m.split, "slice": m.slice}
        for suffix, value in _numbers(m):
            points.setdefault(f"qbench.{m.name}{suffix}", []).append(_point(value, place, times))
    for gate in run.gates:
        of_gate = {"gate": gate.name, "verdict": gate.word, "reason": gate.reason}
        points.setdefault("qbench.gate.pass", []).append(_point(float(gate.outcome == "pass"), of_gate, times))
    counts = {**run.summary.items.to_json(), "missing": len(outcome.missing)}
    for name, count in counts.items():
        points[f"qbench.items.{name}"] = [_point(float(count), {}, times)]
    points["qbench.green"] = [_point(float(outcome.is_green), {"outcome": outcome.word}, times)]
    resource = {
        "service.name": "pytest-qbench",
        "service.version": made.pytest_qbench or __version__,
        **{f"qbench.{name}": text for name, text in state(run, outcome).items()},
        **{f"qbench.conditions.{name}": text for name, text in conditions(run).items()},
        "vcs.ref.head.revision": run.summary.commit,
    }
    return {
        "resourceMetrics": [{
            "resource": {"attributes": _attributes(resource)},
            "scopeMetrics": [{
                "scope": {"name": "pytest_qbench", "version": __version__},
                "metrics": [{"name": name, "gauge": {"dataPoints": found}} for name, found in points.items()],
            }],
        }]
    }  # fmt: skip


def _numbers(m: Metric) -> list[tuple[str, float | None]]:
    """Return the numbers of a metric with the ends of their names: its value, and what is known of its change."""
    low, high = m.delta_ci or (None, None)
    others = [(".baseline", m.baseline), (".delta", m.delta), (".delta.low", low), (".delta.high", high)]
    return [("", m.value), *((name, value) for name, value in others if value is not None)]


def _point(value: float | None, attributes: dict[str, Any], times: Times) -> dict[str, Any]:
    shared = {"attributes": _attributes(attributes), "startTimeUnixNano": str(times.start),
              "timeUnixNano": str(times.end)}  # fmt: skip
    return {**shared, "flags": NO_VALUE} if value is None else {**shared, "asDouble": value}


def _attributes(entries: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": str(value)}} for key, value in entries.items() if value is not None]
