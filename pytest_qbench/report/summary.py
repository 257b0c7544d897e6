"""The summary of a run as data: `summary.json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytest_qbench.items import TASKS
from pytest_qbench.records import SCHEMA

if TYPE_CHECKING:
    from pytest_qbench.metrics import Metric
    from pytest_qbench.session import QBench


def rows_of(run: QBench) -> list[Metric]:
    """All metrics, those that a gate judged with what it found."""
    judged = {(m.name, m.dataset, m.slice): m for gate in run.gates for m in gate.rows}
    standing = [judged.pop((m.name, m.dataset, m.slice), m) for m in run.results.metrics]
    return standing + list(judged.values())


def verdict_line(run: QBench) -> str:
    """The verdict of the run in one line, fail-closed: PASS only when every gate holds and at least one was judged."""
    absent = [task for task in TASKS if task not in {item.task for item in run.results.expected.values()}]
    note = f" (not measured: {', '.join(absent)})" if absent else ""
    if run.not_gated:
        return f"NOT GATED: {run.not_gated}{note}"
    if run.gates and all(gate.hidden for gate in run.gates):
        return f"NOTHING GATED: the answers are hidden{note}"
    if not run.gates:
        return f"NOTHING GATED: no gate ran{note}"
    for verdict in ("invalid", "regressed", "inconclusive"):
        found = [gate.name for gate in run.gates if gate.verdict == verdict and not gate.hidden]
        if found:
            return f"{verdict.upper()}: {', '.join(found)}{note}"
    improved = [gate.name for gate in run.gates if gate.verdict == "improved"]
    better = f", improved: {', '.join(improved)}" if improved else ""
    return f"PASS: {len(run.gates)} of {len(run.gates)} gates hold{better}{note}"


def summary(run: QBench, seconds: float) -> dict[str, Any]:
    """Return the summary, JSON-ready; `seconds` is the wall time of the run."""
    results = run.results
    return {
        "schema": SCHEMA,
        "verdict": verdict_line(run),
        "model": results.fingerprint.get("model"),
        "fingerprint": dict(results.fingerprint),
        "items": results.counts(),
        "metrics": [asdict(m) for m in rows_of(run)],
        "gates": [
            {
                "name": gate.name,
                "verdict": gate.verdict,
                "reason": gate.reason,
                "lost": [asdict(flip) for flip in gate.lost],
                "gained": [asdict(flip) for flip in gate.gained],
            }
            for gate in run.gates
        ],
        "left_out": [asdict(entry) for entry in results.left_out],
        "notes": run.notes,
        "seconds": round(seconds, 3),
    }
