"""Build the part of a `Summary` that a live run and a comparison of finished runs have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
from pytest_qbench.baseline.snapshot import add_baseline_values
from pytest_qbench.gates.evaluate import GateResult
from pytest_qbench.metrics.fingerprint import other_differences
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.metrics.results import Results
from pytest_qbench.metrics.specs import DRIFTS, task_of
from pytest_qbench.records import Record
from pytest_qbench.report.repeats import repeats_state
from pytest_qbench.runs.summary import Summary, summary_of
from pytest_qbench.runs.summary_parts import BaselineState, DriftState, Gate


def run_summary(
    results: Results,
    baseline: Baseline | MissingBaseline,
    gates: Sequence[GateResult],
    outcome: Callable[[GateResult], str],
    drifts: Sequence[tuple[Metric, bool]],
    old: Sequence[Record],
    *,
    diagnostics: Sequence[Metric],
    baseline_name: str,
    began: str,
    verdict: str,
) -> Summary:
    """Return the common part. `outcome` returns the outcome of a gate; `old` are the baseline's records."""
    compared = [m for gate in gates for m in gate.rows if m.against is None and m.name not in DRIFTS]
    judged = {(m.name, m.dataset, m.slice): m for m in compared}
    standing = [judged.pop((m.name, m.dataset, m.slice), m) for m in results.metrics]
    rows = [*standing, *judged.values(), *(row for row, _ in drifts)]
    metrics = (*add_baseline_values(rows, old, results.averages_halves), *diagnostics)
    measured = {task_of(m.name) for m in metrics}
    state = _baseline_state(baseline_name, baseline)
    return replace(
        summary_of(results, metrics, began=began, verdict=verdict, baseline=state),
        gates=tuple(_gate(gate, outcome(gate), task_of(gate.name) in measured) for gate in gates),
        repeats=repeats_state(results, baseline),
        drifts=tuple(DriftState(row.name, row.dataset, moved) for row, moved in drifts),
        differing_conditions=()
        if isinstance(baseline, MissingBaseline)
        else tuple(other_differences(baseline.fingerprint, results.fingerprint)),
    )


def _baseline_state(name: str, baseline: Baseline | MissingBaseline) -> BaselineState:
    """Return the baseline of a summary: its path and date, or the reason why there is none."""
    if isinstance(baseline, MissingBaseline):
        return BaselineState(name, missing=baseline.reason)
    return BaselineState(
        baseline.name, path=str(baseline.path), recorded=baseline.recorded, matched=dict(baseline.matched),
        digest=baseline.digest,
    )  # fmt: skip


def _gate(gate: GateResult, outcome: str, is_measured: bool) -> Gate:
    return Gate(
        gate.name, gate.verdict, outcome, gate.reason, tuple(gate.rows), tuple(gate.lost), tuple(gate.gained),
        gate.lost_count, gate.gained_count, is_measured, gate.call,
    )  # fmt: skip
