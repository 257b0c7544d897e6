"""Reasons against a run as the new baseline: items that it lost, and drops that were not excluded."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_qbench.baseline.baseline import Baseline
from pytest_qbench.gates.evaluate import GateResult
from pytest_qbench.metrics.results import Results


def unexcluded_drop(gates: Iterable[GateResult]) -> str | None:
    """Return a sentence on the inconclusive gates that saw a drop beyond their margin; None where there is none.

    If such runs become baselines again and again, their drops add up.
    """
    names = [gate.name for gate in gates if gate.verdict == "inconclusive" and _fell(gate)]
    if not names:
        return None
    return f"{', '.join(names)} fell by more than the margin, though noise may explain it: measure more items"


def accepted_drops(gates: Iterable[GateResult]) -> tuple[str, ...]:
    """Return the drops that an update accepts, as text: gates that regressed, or that saw a drop not excluded."""
    return tuple(
        f"{gate.name} {'regressed' if gate.verdict == 'regressed' else 'fell by more than the margin'}"
        for gate in gates
        if gate.verdict == "regressed" or (gate.verdict == "inconclusive" and _fell(gate))
    )


def lost_items(old: Baseline, results: Results) -> str | None:
    """Return a sentence on the items of the baseline that the run did not measure; None where it measured all."""
    lost = sorted(set(old.records) - set(results.expected))
    if not lost:
        return None
    measured = {(r.task, r.dataset) for r in results.records}
    parts = {f"{r.task} {r.dataset}" for r in old.records.values() if (r.task, r.dataset) not in measured}
    which = ", ".join(sorted(parts)) or f"{len(lost)} items (first: {lost[0][1]})"
    return f"it also holds {which}, which this run did not measure"


def _fell(gate: GateResult) -> bool:
    return any(
        row.verdict == "inconclusive" and row.delta is not None and row.margin is not None and row.delta < -row.margin
        for row in gate.rows
    )
