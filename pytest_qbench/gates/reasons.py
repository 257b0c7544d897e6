"""Explain a verdict in one sentence: the excluded drop, the loss, or the items that would decide."""

from __future__ import annotations

from math import ceil, floor, log10

from pytest_qbench.metrics.metric import ALPHA, Metric
from pytest_qbench.metrics.specs import SPECS
from pytest_qbench.stats.intervals import normal_quantile


def explain_verdict(row: Metric) -> str:
    """Return one line on the evidence for the verdict of a row."""
    assert row.delta is not None
    assert row.delta_ci is not None
    assert row.p_value is not None
    assert row.margin is not None
    place = " ".join(p for p in (row.dataset or row.note or "all datasets", row.slice) if p)
    details = [f"margin {row.margin:g}", f"p = {row.p_value:.2g} by {row.test}"]
    if row.mde is not None:
        details.append(f"finds drops of {amount(row.name, row.mde)}")
    if row.identical:
        details.insert(0, f"identical on {row.n:,} items")
    return f"{place}: {_sentence(row, row.delta, row.delta_ci[0])} ({', '.join(details)})"


def _sentence(row: Metric, delta: float, lower: float) -> str:
    if row.verdict == "regressed":
        return f"REGRESSED: {explain_loss(row)}"
    if row.verdict == "improved":
        return f"IMPROVED: {amount(row.name, delta)} gained, at least {_number(row.name, lower)}"
    if row.verdict == "pass":
        return f"PASS: a drop of more than {amount(row.name, max(0.0, -lower))} is excluded"
    return f"CANNOT TELL: {explain_inconclusive(row)}"


def explain_loss(row: Metric) -> str:
    """Return the observed loss of a regressed row, and the least loss that its interval allows.

    A row that was stopped early has no interval.
    """
    assert row.delta is not None
    if row.delta_ci is None:
        return f"{amount(row.name, -row.delta)} lost so far"
    return f"{amount(row.name, -row.delta)} lost, at least {_number(row.name, -row.delta_ci[1])}"


def explain_inconclusive(row: Metric) -> str:
    """Return the bounds of an inconclusive change, and the number of items or the margin that would decide."""
    assert row.delta_ci is not None
    (lower, upper), margin = row.delta_ci, row.margin or 0.0
    items = _deciding_items(row, lower, upper)
    ways = [f"{items:,} items"] if items is not None else []
    if margin <= -lower < 0.5 * SPECS[row.name].span:
        ways.append(f"a margin of {_round_above(-lower):g}")
    between = (
        f"between {_number(row.name, lower, sign=True)} and {_number(row.name, upper, sign=True)}{_unit(row.name)}"
    )
    return between + (f"; {' or '.join(ways)} would decide" if ways else "")


def _deciding_items(row: Metric, lower: float, upper: float) -> int | None:
    """Return the number of such items with which this change would pass or be red; None if unknown.

    It follows from the width of the interval, and is at least the number with which an unchanged model passes in 80 %.
    """
    delta, margin, level = row.delta or 0.0, row.margin or 0.0, row.alpha or ALPHA
    if delta > -margin:
        times = ((delta - lower) / (delta + margin)) ** 2
    elif delta < 0 and upper > delta:
        times = (normal_quantile(level) / normal_quantile(ALPHA) * (upper - delta) / delta) ** 2
    else:
        return None
    items = max(row.items_to_pass or 0, ceil(row.n * times))
    return items if row.n < items < MOST_ITEMS else None


MOST_ITEMS = 100_000  # more than all published items together: no useful advice


def amount(name: str, value: float) -> str:
    """Return a change of a metric in readable units: points of accuracy, or the metric's own unit."""
    return _number(name, value) + _unit(name)


def _number(name: str, value: float, sign: bool = False) -> str:
    factor, digits = (100, 1) if SPECS[name].is_fraction else (1, 3)
    rounded = round(factor * value, digits) + 0.0  # adding 0.0 turns -0.0 into 0.0
    return f"{rounded:{'+' if sign else ''}.{digits}f}"


def _unit(name: str) -> str:
    return " points" if SPECS[name].is_fraction else ""


def _round_above(value: float) -> float:
    """Return the next number above `value` with two digits."""
    if value <= 0:
        return 0.0
    unit = 10.0 ** (floor(log10(value)) - 1)
    return float(f"{(floor(value / unit + 1e-9) + 1) * unit:.6g}")
