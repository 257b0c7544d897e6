"""Judge a gate with a budget: the loss since the anchor of the baseline, which small accepted drops add up to.

The rule is that of a margin, with the anchor in place of the baseline: the gate is red where the loss since the anchor
is beyond the budget and the test rejects that there is none. A gate with a margin and a budget is two comparisons, so
each of them gets half of the gate's share of alpha.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
from pytest_qbench.gates.arguments import check_bounds
from pytest_qbench.gates.evaluate import GateResult, Limits, evaluate
from pytest_qbench.gates.verdict import SEVERITY
from pytest_qbench.metrics.results import Results

AGAINST = "anchor"
_WHERE = ("dataset", "slice", "each_dataset")


def judge(
    name: str,
    results: Results,
    baseline: Baseline | MissingBaseline,
    limits: Limits,
    *,
    budget: float | None = None,
    anchor: Baseline | MissingBaseline | None = None,
    **bounds: Any,
) -> GateResult:
    """Judge one gate as `evaluate` does, also against the anchor of the baseline if it has a budget.

    Where nothing is known of the anchor, the baseline serves as such. Raises `ValueError` as `evaluate` does.
    """
    if budget is None:
        return evaluate(name, results, baseline, limits, **bounds)
    check_bounds(name, bounds.get("margin"), bounds.get("minimum"), bounds.get("maximum"), budget)
    against = baseline if anchor is None else anchor
    place = {key: bounds[key] for key in _WHERE if key in bounds}
    if all(bounds.get(each) is None for each in ("margin", "minimum", "maximum")):
        return _marked(evaluate(name, results, against, limits, margin=budget, **place), against)
    half = limits if bounds.get("margin") is None else replace(limits, comparisons=2 * limits.comparisons)
    first = evaluate(name, results, baseline, half, **bounds)
    if first.nothing:
        return first
    second = evaluate(name, results, against, replace(half, leftover=first.unspent), margin=budget, **place)
    return _joined(first, _marked(second, against))


def _joined(first: GateResult, second: GateResult) -> GateResult:
    """Return the worse of both verdicts, with the rows of both. A gain over the anchor alone is no improvement."""
    both = (first, second)
    deciding = [first] if second.verdict in ("pass", "improved") else both
    verdict = next(v for v in SEVERITY if any(each.verdict == v for each in deciding))
    reasons = [each.reason for each in both if each.verdict == verdict] or [first.reason]
    moved = second if second.verdict == verdict != first.verdict else first
    return replace(
        moved, name=first.name, verdict=verdict, reason="; ".join(reasons), rows=(*first.rows, *second.rows),
        incomparable=all(each.incomparable for each in both if each.verdict == "invalid") and verdict == "invalid",
        unspent=second.unspent,
    )  # fmt: skip


def _marked(found: GateResult, anchor: Baseline | MissingBaseline) -> GateResult:
    """Return the result with its rows and its reason marked as those against the anchor."""
    since = f" of {anchor.recorded[:10]}" if isinstance(anchor, Baseline) and anchor.recorded else ""
    rows = tuple(replace(row, against=AGAINST) for row in found.rows)
    return replace(found, reason=f"against the anchor{since}: {found.reason}", rows=rows)
