"""What results, gates and a baseline say together, as data: the part that every summary shares, live or compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
from pytest_qbench.baseline.snapshot import beside
from pytest_qbench.gates.evaluate import GateResult
from pytest_qbench.items import TASKS
from pytest_qbench.metrics.metrics import Metric
from pytest_qbench.metrics.results import Results
from pytest_qbench.metrics.specs import DRIFTS
from pytest_qbench.records import SCHEMA, Record
from pytest_qbench.runs.fingerprint import reported

NAMED = 20  # items in error, and missing ones, that the summary names


def run_summary(
    results: Results,
    baseline: Baseline | MissingBaseline,
    gates: Sequence[GateResult],
    outcome: Callable[[GateResult], str],
    drifts: Sequence[tuple[Metric, bool]],
    old: Sequence[Record],
    diagnostics: Sequence[Metric] = (),
) -> dict[str, Any]:
    """Return the shared part, JSON-ready; `outcome` tells what a gate ends in, `old` are the baseline's records."""
    judged = {(m.name, m.dataset, m.slice): m for gate in gates for m in gate.rows if m.name not in DRIFTS}
    standing = [judged.pop((m.name, m.dataset, m.slice), m) for m in results.metrics]
    rows = [*standing, *judged.values(), *(row for row, _ in drifts)]
    return {
        "schema": SCHEMA,
        "model": results.fingerprint.get("model"),
        "fingerprint": dict(results.fingerprint),
        "items": results.counts(),
        "metrics": [asdict(m) for m in (*beside(rows, old, results.halves), *diagnostics)],
        "gates": [_gate(gate, outcome(gate)) for gate in gates],
        "errors": [{"item": r.item, "error": r.error} for r in results.records if r.status == "error"][:NAMED],
        "missing": [item for task in TASKS for item in results.missing(task)][:NAMED],
        "left_out": [asdict(entry) for entry in results.left_out],
        "drifts": [{"name": row.name, "dataset": row.dataset, "moved": moved} for row, moved in drifts],
        "made_otherwise": []
        if isinstance(baseline, MissingBaseline)
        else reported(baseline.fingerprint, results.fingerprint),
    }


def baseline_entry(name: str, baseline: Baseline | MissingBaseline) -> dict[str, Any]:
    """The baseline of a summary: where it lies and when it was recorded, or why there is none."""
    if isinstance(baseline, MissingBaseline):
        return {"name": name, "missing": baseline.reason}
    return {
        "name": baseline.name, "path": str(baseline.path), "recorded": baseline.recorded,
        "matched": dict(baseline.matched),
    }  # fmt: skip


def _gate(gate: GateResult, outcome: str) -> dict[str, Any]:
    return {
        "name": gate.name, "verdict": gate.verdict, "outcome": outcome, "reason": gate.reason,
        "rows": [asdict(row) for row in gate.rows],
        "lost": [asdict(flip) for flip in gate.lost], "gained": [asdict(flip) for flip in gate.gained],
        "lost_count": gate.lost_count, "gained_count": gate.gained_count,
    }  # fmt: skip
