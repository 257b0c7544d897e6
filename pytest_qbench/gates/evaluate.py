"""Metrics + baseline + margin -> verdict. Fails closed: what could not be measured or compared is `invalid`.

The rule, with d = candidate - baseline (more is better), m the margin, [L, U] the paired 1 - 2 alpha interval and p the
one-sided p-value of a drop:

- `invalid`: nothing comparable (missing or incompatible baseline, incomplete items, too many errors or unparsed
  replies, undefined metric);
- `regressed`: p < alpha and d < -m;
- `pass`: not regressed and L > -m, or equal item by item; `improved`: pass and L > 0;
- `inconclusive`: anything else.

`invalid` and `regressed` fail, `inconclusive` warns. The k gates of a run share alpha = 0.05 (each is judged at
alpha / k); the rows of one gate (several datasets or slices) share what it has, p-values by Holm. Accuracy over several
datasets has one row more, all their items together: a small drop everywhere is none anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, isfinite
from typing import Literal

from pytest_qbench.baseline.baseline import Baseline
from pytest_qbench.gates.comparison import Comparison, check_comparable, metric_of, paired_items
from pytest_qbench.gates.flips import Flip, flips
from pytest_qbench.gates.targets import IncomparableError, InvalidError, NothingError, Place, check_whole, places
from pytest_qbench.metrics.metrics import ALPHA, DRIFTS, ITEM_VALUES, METRICS, RATES, Metric, mean_metric
from pytest_qbench.metrics.results import Results
from pytest_qbench.stats.multiplicity import holm
from pytest_qbench.stats.paired import Paired
from pytest_qbench.stats.resampling import Undefined

Verdict = Literal["pass", "improved", "inconclusive", "regressed", "invalid"]
# Worst first: a gate over several rows is as good as its worst row.
SEVERITY: tuple[Verdict, ...] = ("invalid", "regressed", "inconclusive", "pass", "improved")
# The gates of the suites, and of `qbench compare`.
DEFAULT_MARGINS: Mapping[str, float] = {
    "perception.accuracy": 0.01,
    "description.sum": 0.05,
    "assessment.srcc": 0.01,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What a gate tolerates, and how many equal shares alpha is cut into (a gate may have a smaller one)."""

    max_errors: float = 0.0
    max_unparsed: float = 0.05
    family: float = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class GateResult:
    """The verdict on one metric; `rows` are its datasets and slices, `lost` and `gained` the items that it hangs on.

    `incomparable`: invalid for want of a baseline to compare with, not for anything wrong with this run.
    `nothing`: there is nothing to judge: the answers are not public, or data and baseline both lack the task.
    """

    name: str
    verdict: Verdict
    reason: str
    rows: tuple[Metric, ...] = ()
    lost: tuple[Flip, ...] = ()
    gained: tuple[Flip, ...] = ()
    incomparable: bool = False
    nothing: bool = False


def decide(paired: Paired, margin: float, alpha: float, p_value: float) -> Verdict:
    """Apply the rule of this module to one comparison."""
    if p_value < alpha and paired.delta < -margin:
        return "regressed"
    if paired.lower > -margin:
        return "improved" if paired.lower > 0 else "pass"
    return "inconclusive"


def shares(name: str, rows: int, datasets: int) -> int:
    """Into how many equal parts a gate cuts its alpha: its rows, and the pooled one of rates over several datasets."""
    return rows + (name in RATES and datasets > 1)


def evaluate(
    name: str,
    results: Results,
    baseline: Baseline | str,
    limits: Limits,
    *,
    margin: float | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    dataset: str | None = None,
    slice: str | None = None,
) -> GateResult:
    """Judge one gate: against the baseline with `margin`, against fixed bounds with `minimum` and `maximum`.

    `dataset` and `slice` may be patterns (``k*``, ``type=*``). A drift takes `maximum` alone. `baseline` is a string
    that says why there is none. Raises `ValueError` for an unknown metric or a gate without a bound.
    """
    if name not in (*METRICS, *DRIFTS):
        raise ValueError(f"qbench_gate: no metric {name!r}; there are {', '.join((*METRICS, *DRIFTS))}")
    if margin is None and minimum is None and maximum is None:
        raise ValueError(f"qbench_gate({name!r}): give margin=, minimum= or maximum=")
    if name in DRIFTS and (maximum is None or margin is not None or minimum is not None):
        raise ValueError(f"qbench_gate({name!r}): a drift takes maximum= alone")
    if margin is not None and not (isfinite(margin) and margin >= 0):
        raise ValueError(f"qbench_gate({name!r}): margin={margin} is no drop to live with; it is at least 0")
    label = " ".join(p for p in (name, dataset, slice) if p)
    rows: list[Metric] = []
    try:
        chosen = places(name, dataset, slice, results, baseline)
        for each in dict.fromkeys(place.dataset for place in chosen):
            check_whole(name, each, results, limits.max_errors, limits.max_unparsed)
        if name in DRIFTS:
            rows = [comparison.drift for comparison in _comparisons(name, chosen, dataset, results, baseline)]
            if unknown := [row for row in rows if row.value is None]:
                raise InvalidError(f"{unknown[0].dataset}: {name} is undefined: {unknown[0].note}")
        else:
            rows = [_row(name, place, results) for place in chosen]
        if broken := _broken_bound(rows, minimum, maximum):
            return GateResult(label, "regressed", broken, tuple(rows))
        if margin is None:
            return GateResult(label, "pass", _within(rows, minimum, maximum), tuple(rows))
        comparisons = _comparisons(name, chosen, dataset, results, baseline)
        rows = _judge(name, rows, comparisons, margin, limits)
    except (InvalidError, Undefined) as e:
        incomparable, nothing = isinstance(e, IncomparableError), isinstance(e, NothingError)
        return GateResult(label, "invalid", str(e), tuple(rows), incomparable=incomparable, nothing=nothing)
    verdict = next(v for v in SEVERITY if any(row.verdict == v for row in rows))
    reason = "; ".join(_reason(row) for row in rows if row.verdict == verdict)
    found = [flips(name, comparison.pairs, results.expected) for comparison in comparisons]
    lost, gained = (tuple(dict.fromkeys(f for side in sides for f in side)) for sides in zip(*found, strict=True))
    return GateResult(label, verdict, reason, tuple(rows), lost, gained)


def _comparisons(
    name: str, chosen: Sequence[Place], dataset: str | None, results: Results, baseline: Baseline | str
) -> list[Comparison]:
    if isinstance(baseline, str):
        raise IncomparableError(baseline)
    check_comparable(name, results, baseline, dataset)
    return [Comparison(name, place.dataset, place.slice, results, baseline) for place in chosen]


def _judge(
    name: str, rows: Sequence[Metric], comparisons: Sequence[Comparison], margin: float, limits: Limits
) -> list[Metric]:
    """The rows with their verdicts; a pooled one at the end where several datasets of right and wrong are judged."""
    parts = shares(name, len(rows), len({c.dataset for c in comparisons}))
    pooled = parts > len(rows)
    alpha = ALPHA / limits.family
    share = alpha / parts
    judged = [
        _with(row, c.paired(share, limits.seed), margin, share, c.old_value, c.identical)
        for row, c in zip(rows, comparisons, strict=True)
    ]
    if pooled:
        pairs = list({(new.task, new.item): (new, old) for c in comparisons for new, old in c.pairs}.values())
        value_of = ITEM_VALUES[name]
        new, old = (mean_metric([pair[i] for pair in pairs], name, "", None, None) for i in (0, 1))
        same = all(value_of(a) == value_of(b) for a, b in pairs)
        row = replace(new, dataset=None, note="all items together")
        judged.append(_with(row, paired_items(name, pairs, share, limits.seed), margin, share, old.value, same))
    adjusted = holm([p.p_value for _, p, _ in judged])
    return [
        replace(row, verdict="pass" if same else decide(p, margin, alpha, p_adjusted))
        for (row, p, same), p_adjusted in zip(judged, adjusted, strict=True)
    ]


def _with(
    row: Metric, paired: Paired, margin: float, alpha: float, old: float | None, same: bool
) -> tuple[Metric, Paired, bool]:
    if not isfinite(paired.lower) and not same:
        raise InvalidError(f"{row.dataset}: all items share one photo: nothing tells noise from change")
    note = "identical" if same else row.note
    if not same and paired.mde is not None and margin > 0:
        # The width of an interval and the drop that can be seen shrink as 1 / sqrt(n).
        note = f"about {ceil(paired.n * (paired.mde / margin) ** 2)} items show a drop of the margin"
    filled = replace(
        row, baseline=old, delta=paired.delta, delta_ci=(paired.lower, paired.upper), p_value=paired.p_value,
        alpha=alpha, margin=margin, mde=paired.mde, note=note,
    )  # fmt: skip
    return filled, paired, same


def _reason(row: Metric) -> str:
    """Say in one line what a row's verdict rests on."""
    assert row.delta is not None
    assert row.delta_ci is not None
    assert row.p_value is not None
    lower, upper = row.delta_ci
    place = " ".join(p for p in (row.dataset or "all datasets together", row.slice) if p)
    if row.note == "identical":
        return f"{place}: identical on {row.n} items (bound {lower:+.4f})"
    text = f"{place}: {row.delta:+.4f} in [{lower:+.4f}, {upper:+.4f}], margin {row.margin:g}"
    text += f", p = {row.p_value:.2g}"
    if row.mde is not None:
        text += f", MDE {row.mde:.4f}"
    if row.verdict == "inconclusive":
        text += f": {row.note or 'no number of these items shows any drop'}"
    return text


def _row(name: str, place: Place, results: Results) -> Metric:
    """The metric of one dataset and slice; raises `InvalidError` when it is undefined."""
    row = metric_of(name, results.of(name, place.dataset), place.slice, results.halves)
    if row is None or row.value is None:
        raise InvalidError(f"{place}: {name} is undefined: {row.note if row else 'no item counts for it'}")
    return row


def _broken_bound(rows: Sequence[Metric], minimum: float | None, maximum: float | None) -> str | None:
    for row in rows:
        assert row.value is not None
        place = " ".join(p for p in (row.dataset, row.slice) if p)
        if minimum is not None and row.value < minimum:
            return f"{place}: {row.value:.4f} is below the minimum {minimum:g}"
        if maximum is not None and row.value > maximum:
            return f"{place}: {row.value:.4f} is above the maximum {maximum:g}"
    return None


def _within(rows: Sequence[Metric], minimum: float | None, maximum: float | None) -> str:
    wanted = " and ".join(f"{word} {b:g}" for word, b in (("at least", minimum), ("at most", maximum)) if b is not None)
    return ", ".join(f"{row.dataset} {row.value:.4f}" for row in rows) + f": {wanted}"
