"""CTRF, the Common Test Report Format: one JSON file with a test per item, per gate, and for the run as a whole.

A wrong or unparsed answer is `other`, as in a run: only gates fail. A missing item, an item in error and a gate that
fails are `failed`. The run as a whole has passed only if its outcome is green.
"""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

from pytest_qbench import __version__
from pytest_qbench.exports.content import conditions, state, times_of
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.outcome import Outcome, outcome_of
from pytest_qbench.runs.summary_parts import Gate
from pytest_qbench.untrusted.files import write_text

SPEC = "1.0.0"
STATUSES = ("passed", "failed", "skipped", "pending", "other")
_OF_RECORDS = {"correct": "passed", "measured": "passed", "wrong": "other", "unparsed": "other", "error": "failed"}
_OF_GATES = {"pass": "passed", "fail": "failed", "inconclusive": "other", "not gated": "skipped"}
_OF_RUNS = {"passed": "passed", "failed": "failed", "not measured": "failed"}


def write(run: FinishedRun, out: str) -> str:
    """Write the report and return its path."""
    write_text(Path(out), json.dumps(report(run), ensure_ascii=False, allow_nan=False) + "\n")
    return out


def report(run: FinishedRun) -> dict[str, Any]:
    """Return the content of the file. It depends on the run folder alone."""
    outcome, times = outcome_of(run), times_of(run)
    tests = [_run(outcome), *map(_gate, run.gates), *_items(run)]
    start, stop = (time // 1_000_000 for time in (times.start, times.end))
    counts = {status: sum(test["status"] == status for test in tests) for status in STATUSES}
    named = f"{run.summary.began} {run.summary.fingerprint.model_name} {outcome.verdict}"
    found: dict[str, Any] = {
        "reportFormat": "CTRF",
        "specVersion": SPEC,
        "reportId": str(uuid.uuid5(uuid.NAMESPACE_OID, named)),
        "timestamp": run.summary.began,
        "generatedBy": f"pytest-qbench {__version__}",
        "results": {
            "tool": {"name": "pytest-qbench", "version": run.summary.fingerprint.pytest_qbench or __version__},
            "summary": {"tests": len(tests), **counts, "start": start, "stop": stop, "extra": state(run, outcome)},
            "tests": tests,
            "environment": {
                "reportName": "Q-Bench",
                "appName": str(run.summary.fingerprint.model_name),
                **({"commit": run.summary.commit} if run.summary.commit else {}),
                "healthy": outcome.is_green,
                "extra": conditions(run),
            },
        },
    }
    return found


def _run(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": "the run as a whole", "status": _OF_RUNS.get(outcome.word, "other"), "duration": 0,
        "rawStatus": outcome.word, "message": outcome.verdict, "suite": ["run"], "type": "run",
    }  # fmt: skip


def _gate(gate: Gate) -> dict[str, Any]:
    return {
        "name": gate.name, "status": _OF_GATES[gate.outcome], "duration": 0, "rawStatus": gate.word,
        "message": f"{gate.word}: {gate.reason}", "suite": ["gates"], "type": "gate",
        "extra": {"rows": [row.to_json() for row in gate.rows]},
    }  # fmt: skip


def _items(run: FinishedRun) -> list[dict[str, Any]]:
    tests = []
    for (task, id_), item in run.items.items():
        record = run.records.get((task, id_))
        status = record.status if record else "missing"
        test: dict[str, Any] = {
            "name": id_, "status": _OF_RECORDS.get(status, "failed"), "duration": 0, "rawStatus": status,
            "suite": [task, item.dataset], "type": "item",
        }  # fmt: skip
        if record is None:
            test["message"] = "not measured: the run has no record of this item"
        elif record.error:
            test["message"] = record.error
        if record is not None:
            shown = {"response": record.response, "choice": record.choice, "target": record.target,
                     "score": record.score}  # fmt: skip
            test["extra"] = {key: value for key, value in shown.items() if value is not None}
        tests.append(test)
    return tests
