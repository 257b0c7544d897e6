"""The summary of a run as data: `summary.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pytest_qbench.baseline.snapshot import beside
from pytest_qbench.items import TASKS
from pytest_qbench.metrics.metrics import DRIFTS
from pytest_qbench.records import SCHEMA
from pytest_qbench.session.blind_counterpart import sight

if TYPE_CHECKING:
    from pytest_qbench.metrics.metrics import Metric
    from pytest_qbench.records import Record
    from pytest_qbench.session.run import QBench

NAMED = 20  # items in error, and missing ones, that the summary names


def rows_of(run: QBench) -> list[Metric]:
    """All metrics, those that a gate judged with what it found, and the drifts."""
    judged = {(m.name, m.dataset, m.slice): m for gate in run.gates for m in gate.rows if m.name not in DRIFTS}
    standing = [judged.pop((m.name, m.dataset, m.slice), m) for m in run.results.metrics]
    return [*standing, *judged.values(), *(row for row, _ in run.drifts)]


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
    results = run.results
    return {
        "schema": SCHEMA,
        "began": datetime.fromtimestamp(run.began, UTC).isoformat(timespec="seconds"),
        "verdict": verdict_line(run),
        "model": results.fingerprint.get("model"),
        "fingerprint": dict(results.fingerprint),
        "baseline": _baseline(run),
        "items": results.counts(),
        "metrics": [asdict(m) for m in (*beside(rows_of(run), old, results.halves), *results.diagnostics)],
        "gates": [
            {
                "name": gate.name,
                "verdict": gate.verdict,
                "outcome": run.outcome(gate),
                "reason": gate.reason,
                "rows": [asdict(row) for row in gate.rows],
                "lost": [asdict(flip) for flip in gate.lost],
                "gained": [asdict(flip) for flip in gate.gained],
            }
            for gate in run.gates
        ],
        "sight": dict(zip(("seeing", "blind"), found, strict=True)) if (found := sight(run)) else None,
        "errors": [{"item": r.item, "error": r.error} for r in results.records if r.status == "error"][:NAMED],
        "missing": [item for task in TASKS for item in results.missing(task)][:NAMED],
        "usage": run.remote.usage,
        "ray": dict(run.spread),
        "left_out": [asdict(entry) for entry in results.left_out],
        "drifts": [{"name": row.name, "dataset": row.dataset, "moved": moved} for row, moved in run.drifts],
        "made_otherwise": run.made_otherwise,
        "notes": run.notes,
        "changes": run.changes,
        "submissions": run.submissions,
        "seconds": round(seconds, 3),
    }


def _baseline(run: QBench) -> dict[str, str]:
    """The baseline that this run was compared with, or why there is none; and where it recorded one itself."""
    if isinstance(run.baseline, str):
        found = {"name": run.baseline_name, "missing": run.baseline}
    else:
        found = {"name": run.baseline.name, "path": str(run.baseline.path), "recorded": run.baseline.recorded}
    return found | ({"written": str(run.baseline_written)} if run.baseline_written else {})
