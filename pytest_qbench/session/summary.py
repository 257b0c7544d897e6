"""The summary of a run as data: `summary.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pytest_qbench.baseline.snapshot import beside
from pytest_qbench.gates.comparison import drifts
from pytest_qbench.gates.evaluate import GateResult
from pytest_qbench.items import TASKS
from pytest_qbench.metrics.metrics import DRIFTS, Metric
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import SCHEMA, Record
from pytest_qbench.runs.fingerprint import reported
from pytest_qbench.session.blind_counterpart import accuracy_with_and_without_images
from pytest_qbench.session.run import Run

NAMED = 20  # items in error, and missing ones, that the summary names


@dataclass(frozen=True)
class BaselineUpdate:
    """What --qbench-update-baseline did: the folder written with its changes, or why it was refused."""

    written: Path | None = None
    changes: list[str] = field(default_factory=list)
    refused: str | None = None


def verdict_line(run: Run, results: Results) -> str:
    """Return the verdict of the run in one line, fail-closed: PASS only when every gate was judged and holds."""
    gating = run.gating
    measured = {item.task for item in results.expected.values()}
    absent = [task for task in TASKS if task not in measured]
    note = f" (not measured: {', '.join(absent)})" if absent else ""
    failing = {gate.name: gate for gate in gating.results if gating.outcome(gate) == "fail"}
    for verdict in ("invalid", "regressed", "inconclusive"):
        if found := [name for name, gate in failing.items() if gate.verdict == verdict]:
            return f"{verdict.upper()}: {', '.join(found)}{note}"
    if failed := gating.failed_tests:  # an item in error, an assertion of the user's own, an exception in a gate
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        return f"FAILED: {failed[0]}{more}{note}"
    if run.notes:
        return f"FAILED: {run.notes[0]}{note}"
    if gating.not_gated:
        return f"NOT GATED: {gating.not_gated}{note}"
    if gating.settings.update_baseline:
        return f"BASELINE RECORDED: {run.baseline_name}{note}"
    if found := [gate.name for gate in gating.results if gate.verdict == "inconclusive"]:
        return f"INCONCLUSIVE: {', '.join(found)}{note}"
    judged = [gate for gate in gating.results if not gate.nothing]
    if not gating.results and gating.passed_tests:
        return f"PASS: {gating.passed_tests} gate tests hold{note}"
    if not judged:
        reasons = [gate.reason for gate in gating.results if gate.name.partition(".")[0] in measured]
        return f"NOTHING GATED: {reasons[0] if reasons else 'no gate ran'}{note}"
    tasks = {record.task for record in results.records} - {gate.name.partition(".")[0] for gate in gating.results}
    if tasks:
        return f"PARTLY JUDGED: {len(judged)} gates hold, no gate judged {', '.join(sorted(tasks))}{note}"
    improved = [gate.name for gate in judged if gate.verdict == "improved"]
    better = f", improved: {', '.join(improved)}" if improved else ""
    return f"PASS: {len(judged)} of {len(judged)} gates hold{better}{note}"


def summarize(
    run: Run,
    results: Results,
    stored: Sequence[Record],
    update: BaselineUpdate | None,
    submissions: Sequence[str],
    seconds: float,
) -> dict[str, Any]:
    """Return the summary, JSON-ready. `stored` are the baseline's records of the same items."""
    gating, baseline = run.gating, run.baseline
    drift_rows = [] if isinstance(baseline, str) else drifts(results, baseline)
    rows = _rows(results, gating.results, [row for row, _ in drift_rows])
    sight = accuracy_with_and_without_images(results, baseline, run.recorder.folder.path)
    return {
        "schema": SCHEMA,
        "began": datetime.fromtimestamp(run.began, UTC).isoformat(timespec="seconds"),
        "verdict": verdict_line(run, results),
        "model": results.fingerprint.get("model"),
        "fingerprint": dict(results.fingerprint),
        "baseline": _baseline_entry(run, update),
        "items": results.counts(),
        "metrics": [asdict(m) for m in (*beside(rows, stored, results.halves), *results.diagnostics)],
        "gates": [_gate_entry(gate, gating.outcome(gate)) for gate in gating.results],
        "sight": dict(zip(("seeing", "blind"), sight, strict=True)) if sight else None,
        "errors": [{"item": r.item, "error": r.error} for r in results.records if r.status == "error"][:NAMED],
        "missing": [item for task in TASKS for item in results.missing(task)][:NAMED],
        "usage": run.endpoints.usage,
        "ray": dict(run.ray_report),
        "left_out": [asdict(entry) for entry in results.left_out],
        "drifts": [{"name": row.name, "dataset": row.dataset, "moved": moved} for row, moved in drift_rows],
        "made_otherwise": [] if isinstance(baseline, str) else reported(baseline.fingerprint, results.fingerprint),
        "notes": run.notes,
        "changes": update.changes if update else [],
        "submissions": list(submissions),
        "seconds": round(seconds, 3),
    }


def _rows(results: Results, gates: Sequence[GateResult], drift_rows: Sequence[Metric]) -> list[Metric]:
    """Return all metrics, those that a gate judged with its findings, and the drifts."""
    judged = {(m.name, m.dataset, m.slice): m for gate in gates for m in gate.rows if m.name not in DRIFTS}
    standing = [judged.pop((m.name, m.dataset, m.slice), m) for m in results.metrics]
    return [*standing, *judged.values(), *drift_rows]


def _gate_entry(gate: GateResult, outcome: str) -> dict[str, Any]:
    return {
        "name": gate.name,
        "verdict": gate.verdict,
        "outcome": outcome,
        "reason": gate.reason,
        "rows": [asdict(row) for row in gate.rows],
        "lost": [asdict(flip) for flip in gate.lost],
        "gained": [asdict(flip) for flip in gate.gained],
    }


def _baseline_entry(run: Run, update: BaselineUpdate | None) -> dict[str, str]:
    """Return the baseline that this run was compared with, or why there is none, and the one that it recorded."""
    if isinstance(run.baseline, str):
        found = {"name": run.baseline_name, "missing": run.baseline}
    else:
        found = {"name": run.baseline.name, "path": str(run.baseline.path), "recorded": run.baseline.recorded}
    return found | ({"written": str(update.written)} if update and update.written else {})
