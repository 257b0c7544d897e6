"""Whether a run may take the place of a baseline: what it lost, and drops that were not excluded."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_qbench.baseline.baseline import Baseline
from pytest_qbench.gates.evaluate import GateResult
from pytest_qbench.metrics.results import Results


def unexcluded_drop(gates: Iterable[GateResult]) -> str | None:
    """Say which inconclusive gates saw a drop beyond their margin, or return None.

    Recorded again and again, such drops add up.
    """
    names = [gate.name for gate in gates if gate.verdict == "inconclusive" and _fell(gate)]
    if not names:
        return None
    return f"{', '.join(names)} fell by more than the margin, though noise may explain it: measure more items"


def lost_items(old: Baseline, results: Results) -> str | None:
    """Say what the baseline holds and the run did not measure, or return None."""
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
