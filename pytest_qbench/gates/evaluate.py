"""Verdict of a gate: a metric judged against a baseline. Missing or incomparable results are `invalid`.

The rule, with d = candidate - baseline (more is better), m the margin, [L, U] the paired 90 % interval and p the
one-sided p-value of a drop:

- `invalid`: nothing comparable (missing or incompatible baseline, incomplete items, too many errors or unparsed
  replies, undefined metric);
- `regressed`: p < level and d < -m;
- `pass`: not regressed and L > -m; `improved`: pass, and a gain has p < its level;
- `inconclusive`: anything else.

`invalid` and `regressed` fail, `inconclusive` warns. The k gates of a run share alpha = 0.05. The level of a gate is
alpha / k plus the alpha that earlier gates cannot use (`alarm_budget`); the rows of one gate (several datasets or
slices) share it by Holm. Accuracy over several datasets has one more row with all their items: it finds a small drop
that every dataset shares. SRCC and PLCC over several datasets have one more row, their mean, which Q-Bench publishes.
The mean decides `pass`; every dataset can turn the gate red.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from statistics import fmean

from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
from pytest_qbench.gates.alarm_budget import Spending, alarm_budget, spend
from pytest_qbench.gates.arguments import check_bounds
from pytest_qbench.gates.comparison import Comparison, check_comparable, metric_of, paired_items
from pytest_qbench.gates.decidable import check_can_fail
from pytest_qbench.gates.flips import flips, merge_flips
from pytest_qbench.gates.reasons import explain_verdict
from pytest_qbench.gates.targets import (
    IncomparableError,
    InvalidError,
    NothingError,
    Target,
    check_complete,
    find_targets,
)
from pytest_qbench.gates.verdict import SEVERITY, Verdict, decide
from pytest_qbench.metrics.compute import mean_metric
from pytest_qbench.metrics.metric import ALPHA, Metric
from pytest_qbench.metrics.results import Results
from pytest_qbench.metrics.specs import CORRELATIONS, DRIFTS, SPECS
from pytest_qbench.runs.summary_parts import Flip, GateCall
from pytest_qbench.stats.multiplicity import holm
from pytest_qbench.stats.paired import Paired, mean_of_comparisons
from pytest_qbench.stats.resampling import Undefined

MEAN, POOLED = "mean of datasets", "all items together"
# The gates of the suites and of `qbench compare`: one hundredth of the range of each metric.
DEFAULT_MARGINS: Mapping[str, float] = {
    "perception.accuracy": 0.01,
    "description.sum": 0.06,
    "assessment.srcc": 0.01,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a gate: tolerated fractions of failed items, number of gates that share alpha, and alpha left over.

    `leftover` is the alpha that earlier gates did not use. With --qbench-early-stop, `bet` is the part of a gate's
    alpha that its bet has, and the interval that decides `pass` leaves `pass_alpha` in each tail (see `early_stop`).
    """

    max_errors: float = 0.0
    max_unparsed: float = 0.05
    max_cut: float = 0.05
    comparisons: int = 1
    seed: int = 0
    leftover: float = 0.0
    bet: float = 0.0
    pass_alpha: float = ALPHA

    @property
    def share(self) -> float:
        """The part of alpha with which each gate tests a drop here."""
        return ALPHA / self.comparisons * (1 - self.bet)


@dataclass(frozen=True, slots=True)
class GateResult:
    """The verdict on one metric. `rows` are its datasets and slices, `lost` and `gained` the items that changed.

    `incomparable`: invalid because there is no comparable baseline, not because of this run. `nothing`: there is
    nothing to judge, because the answers are not public, or data and baseline both lack the task. `unspent`: the part
    of alpha that is left to later gates. `call` holds the arguments, from which a run's verdict follows again.
    """

    name: str
    verdict: Verdict
    reason: str
    rows: tuple[Metric, ...] = ()
    lost: tuple[Flip, ...] = ()
    gained: tuple[Flip, ...] = ()
    incomparable: bool = False
    nothing: bool = False
    lost_count: int = 0  # all of them; `lost` and `gained` may list fewer
    gained_count: int = 0
    unspent: float = 0.0
    call: GateCall | None = None


def count_parts(name: str, rows: int, datasets: int) -> int:
    """Return the number of equal parts of a gate's level: one per row, plus one for a row over several datasets."""
    return rows + (datasets > 1 and (SPECS[name].is_rate or (name in CORRELATIONS and rows == datasets)))


def evaluate(
    name: str,
    results: Results,
    baseline: Baseline | MissingBaseline,
    limits: Limits,
    *,
    margin: float | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    dataset: str | None = None,
    slice: str | None = None,
    each_dataset: bool = False,
) -> GateResult:
    """Judge one gate: against the baseline with `margin`, against fixed bounds with `minimum` and `maximum`.

    `dataset` and `slice` may be patterns (``k*``, ``type=*``). With `each_dataset` every dataset has to pass, not only
    the mean of their correlations. A drift takes `maximum` alone. Raises `ValueError` for an unknown metric or a gate
    without a bound.
    """
    check_bounds(name, margin, minimum, maximum)
    label = " ".join(p for p in (name, dataset, slice) if p)
    rows: list[Metric] = []
    try:
        chosen = find_targets(name, dataset, slice, results, baseline)
        if results.is_weighted and name != "perception.accuracy":
            raise InvalidError(
                "a run with --qbench-limit-by judges perception.accuracy alone; drop the option or the gate"
            )
        for each in dict.fromkeys(target.dataset for target in chosen):
            check_complete(name, each, results, limits.max_errors, limits.max_unparsed, limits.max_cut)
        if name in DRIFTS:
            rows = [comparison.drift for comparison in _comparisons(name, chosen, dataset, results, baseline)]
            if unknown := [row for row in rows if row.value is None]:
                raise InvalidError(f"{unknown[0].dataset}: {name} is undefined: {unknown[0].note}")
        else:
            rows = [_metric_row(name, target, results) for target in chosen]
        if broken := _broken_bound(rows, minimum, maximum):
            return GateResult(label, "regressed", broken, tuple(rows), unspent=limits.leftover)
        if margin is None:
            text = _describe_bounds(rows, minimum, maximum)
            return GateResult(label, "pass", text, tuple(rows), unspent=limits.leftover)
        comparisons = _comparisons(name, chosen, dataset, results, baseline)
        rows, unspent = _judge(name, rows, comparisons, margin, limits)
    except (InvalidError, Undefined) as e:
        incomparable, nothing = isinstance(e, IncomparableError), isinstance(e, NothingError)
        return GateResult(
            label, "invalid", str(e), tuple(rows), incomparable=incomparable, nothing=nothing, unspent=limits.leftover
        )
    verdict, deciding = _verdict(rows, each_dataset)
    moved = merge_flips([flips(name, comparison.pairs, results.expected) for comparison in comparisons])
    return GateResult(
        label, verdict, "; ".join(map(explain_verdict, deciding)), tuple(rows), moved.lost, moved.gained,
        lost_count=len(moved.all_lost), gained_count=len(moved.all_gained), unspent=unspent,
    )  # fmt: skip


def _comparisons(
    name: str, chosen: Sequence[Target], dataset: str | None, results: Results, baseline: Baseline | MissingBaseline
) -> list[Comparison]:
    if isinstance(baseline, MissingBaseline):
        raise IncomparableError(baseline.reason)
    check_comparable(name, results, baseline, dataset)
    return [Comparison(name, target.dataset, target.slice, results, baseline) for target in chosen]


def _verdict(rows: Sequence[Metric], each_dataset: bool) -> tuple[Verdict, list[Metric]]:
    """Return the verdict of a gate and the rows that decide it.

    That is the worst row, or the mean of datasets where none regressed.
    """
    if any(row.note == MEAN for row in rows) and not each_dataset:
        deciding = [row for row in rows if row.verdict == "regressed" or row.note == MEAN]
    else:
        deciding = list(rows)
    verdict = next(v for v in SEVERITY if any(row.verdict == v for row in deciding))
    return verdict, [row for row in deciding if row.verdict == verdict]


def _judge(
    name: str, rows: Sequence[Metric], comparisons: Sequence[Comparison], margin: float, limits: Limits
) -> tuple[list[Metric], float]:
    """Return the rows with their verdicts, and the alpha left over; a row over several datasets comes last."""
    judged = [(row, c.paired(limits.pass_alpha, limits.seed)) for row, c in zip(rows, comparisons, strict=True)]
    for row, paired in judged:
        _check_bounded(row, paired, comparisons)
    judged = [
        (replace(row, value=row.value if (now := c.new_value) is None else now, baseline=c.old_value,
                 identical=c.identical or None), paired)
        for (row, paired), c in zip(judged, comparisons, strict=True)
    ]  # fmt: skip
    parts = count_parts(name, len(rows), len({c.dataset for c in comparisons}))
    if parts > len(rows):
        each_row, each_paired = [row for row, _ in judged], [paired for _, paired in judged]
        judged.append(_combined_row(name, each_row, each_paired, comparisons, limits.pass_alpha))
    spending = spend(limits.share, limits.leftover, [paired.alarm_chance(margin) for _, paired in judged])
    # Where many items change, as in a failing run, the budget is the level.
    check_can_fail(name, comparisons, margin, alarm_budget(limits.share, limits.leftover))
    return _decide_rows(judged, margin, spending, limits), spending.unspent


def _decide_rows(
    judged: Sequence[tuple[Metric, Paired]], margin: float, spending: Spending, limits: Limits
) -> list[Metric]:
    """Return the rows with their numbers and verdicts; gains are tested at the gate's own share of alpha."""
    drops, gains = [p.p_value for _, p in judged], holm([p.p_gain for _, p in judged])
    level = spending.level
    if spending.is_shared:
        drops, level = holm(drops), level / len(judged)
    return [
        replace(
            row, delta=paired.delta, delta_ci=(paired.lower, paired.upper), p_value=paired.p_value, alpha=level,
            margin=margin, mde=paired.detectable_drop(level, margin), test=paired.test,
            items_to_pass=paired.items_to_pass(limits.pass_alpha, margin),
            delta_alpha=None if limits.pass_alpha == ALPHA else limits.pass_alpha,
            verdict=decide(paired, margin, drop < spending.level, gain < limits.share),
        )
        for (row, paired), drop, gain in zip(judged, drops, gains, strict=True)
    ]  # fmt: skip


def _combined_row(
    name: str, rows: Sequence[Metric], parts: Sequence[Paired], comparisons: Sequence[Comparison], alpha: float
) -> tuple[Metric, Paired]:
    """Return the row over several datasets: all right/wrong answers pooled, or the mean of the correlations."""
    if name in CORRELATIONS:
        now, before = (
            fmean(v for v in values if v is not None)
            for values in zip(*((r.value, r.baseline) for r in rows), strict=True)
        )
        same = all(r.identical for r in rows) or None
        row = Metric(name, None, None, None, now, sum(r.n for r in rows), baseline=before, note=MEAN, identical=same,
                     datasets=tuple(str(r.dataset) for r in rows))  # fmt: skip
        return row, mean_of_comparisons(parts, alpha)
    pairs = list({(new.task, new.item): (new, old) for c in comparisons for new, old in c.pairs}.values())
    new, old = (mean_metric([pair[i] for pair in pairs], name, "", None, None) for i in (0, 1))
    same = all(r.identical for r in rows) or None
    row = replace(new, dataset=None, baseline=old.value, note=POOLED, identical=same)
    return row, paired_items(name, pairs, alpha)


def _check_bounded(row: Metric, paired: Paired, comparisons: Sequence[Comparison]) -> None:
    """Raise `InvalidError` where there are too few photos for an interval with bounds."""
    if isfinite(paired.lower):
        return
    groups = {new.group for c in comparisons if c.dataset == row.dataset for new, _ in c.pairs}
    items = f"{paired.n} item{'s' * (paired.n > 1)}"
    of = f"{items} of {len(groups)} photo{'s' * (len(groups) > 1)}" if paired.n > len(groups) else items
    raise InvalidError(f"{row.dataset}: {of}: too few to tell noise from change; measure at least four photos")


def _metric_row(name: str, target: Target, results: Results) -> Metric:
    """Return the metric of one dataset and slice; raises `InvalidError` when it is undefined."""
    row = metric_of(name, results.of(name, target.dataset), target.slice, results.averages_halves)
    if row is None or row.value is None:
        raise InvalidError(f"{target}: {name} is undefined: {row.note if row else 'no item counts for it'}")
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


def _describe_bounds(rows: Sequence[Metric], minimum: float | None, maximum: float | None) -> str:
    wanted = " and ".join(f"{word} {b:g}" for word, b in (("at least", minimum), ("at most", maximum)) if b is not None)
    return ", ".join(f"{row.dataset} {row.value:.4f}" for row in rows) + f": {wanted}"
