"""The summary of a run as data: `summary.json`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_qbench.items import TASKS
from pytest_qbench.report.run_summary import baseline_entry, run_summary
from pytest_qbench.session.blind_counterpart import sight

if TYPE_CHECKING:
    from pytest_qbench.records import Record
    from pytest_qbench.session.run import QBench


def verdict_line(run: QBench) -> str:
    """The verdict of the run in one line, fail-closed: PASS only when every gate was judged and holds."""
    measured = {item.task for item in run.results.expected.values()}
    absent = [task for task in TASKS if task not in measured]
    note = f" (not measured: {', '.join(absent)})" if absent else ""
    failing = {gate.name: gate for gate in run.gates if run.outcome(gate) == "fail"}
    for verdict in ("invalid", "regressed", "inconclusive"):
        if found := [name for name, gate in failing.items() if gate.verdict == verdict]:
            return f"{verdict.upper()}: {', '.join(found)}{note}"
    if run.failed:  # an item in error, an assertion of the user's own, an exception in a gate
        more = f" and {len(run.failed) - 1} more" if len(run.failed) > 1 else ""
        return f"FAILED: {run.failed[0]}{more}{note}"
    if run.notes:
        return f"FAILED: {run.notes[0]}{note}"
    if run.not_gated:
        return f"NOT GATED: {run.not_gated}{note}"
    if run.settings.update_baseline:
        return f"BASELINE RECORDED: {run.baseline_name}{note}"
    if found := [gate.name for gate in run.gates if gate.verdict == "inconclusive"]:
        return f"INCONCLUSIVE: {', '.join(found)}{note}"
    judged = [gate for gate in run.gates if not gate.nothing]
    if not run.gates and run.gates_passed:
        return f"PASS: {run.gates_passed} gate tests hold{note}"
    if not judged:
        reasons = [gate.reason for gate in run.gates if gate.name.partition(".")[0] in measured]
        return f"NOTHING GATED: {reasons[0] if reasons else 'no gate ran'}{note}"
    tasks = {record.task for record in run.results.records} - {gate.name.partition(".")[0] for gate in run.gates}
    if tasks:
        return f"PARTLY JUDGED: {len(judged)} gates hold, no gate judged {', '.join(sorted(tasks))}{note}"
    improved = [gate.name for gate in judged if gate.verdict == "improved"]
    better = f", improved: {', '.join(improved)}" if improved else ""
    return f"PASS: {len(judged)} of {len(judged)} gates hold{better}{note}"


def summary(run: QBench, old: Sequence[Record], seconds: float) -> dict[str, Any]:
    """Return the summary, JSON-ready; `old` are the baseline's records of the same items, `seconds` the wall time."""
    shared = run_summary(run.results, run.baseline, run.gates, run.outcome, run.drifts, old)
    return shared | {
        "began": datetime.fromtimestamp(run.began, UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "verdict": verdict_line(run),
        "baseline": baseline_entry(run.baseline_name, run.baseline)
        | ({"written": str(run.baseline_written)} if run.baseline_written else {}),
        "sight": dict(zip(("seeing", "blind"), found, strict=True)) if (found := sight(run)) else None,
        "usage": run.remote.usage,
        "ray": dict(run.spread),
        "tracebacks": run.tracebacks,
        "notes": run.notes,
        "changes": run.changes,
        "submissions": run.submissions,
        "seconds": round(seconds, 3),
    }


def commit() -> str | None:
    """The commit that CI tests, where its environment names it."""
    return next((os.environ[name] for name in ("GITHUB_SHA", "CI_COMMIT_SHA") if os.environ.get(name)), None)
