"""Metrics + baseline + margin -> verdict. Fails closed: what could not be measured or compared is `invalid`.

The rule, with d = candidate - baseline (more is better), m the margin, [L, U] the paired 1 - 2 alpha interval and p the
one-sided p-value of a drop:

- `invalid`: nothing comparable (missing or incompatible baseline, incomplete items, too many errors or unparsed
  replies, undefined metric);
- `regressed`: p < alpha and d < -m;
- `pass`: not regressed and L > -m, or equal item by item; `improved`: pass and L > 0;
- `inconclusive`: anything else.

`invalid` and `regressed` fail, `inconclusive` warns. The k gates of a run share alpha = 0.05 (each is judged at
alpha / k); the rows of one gate (several datasets) share what it has, p-values by Holm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Literal

from pytest_qbench.baselines import Baseline
from pytest_qbench.comparison import Comparison, Flip, IncomparableError, InvalidError, NothingError, metric_of
from pytest_qbench.metrics import (
    ALPHA,
    METRICS,
    Metric,
    task_of,
    without_value,
)
from pytest_qbench.results import Results, share
from pytest_qbench.stats import Paired, Undefined, holm

Verdict = Literal["pass", "improved", "inconclusive", "regressed", "invalid"]
# Worst first: a gate over several rows is as good as its worst row.
SEVERITY: tuple[Verdict, ...] = ("invalid", "regressed", "inconclusive", "pass", "improved")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a gate tolerates, and how many gates share alpha."""

    max_errors: float = 0.0
    max_unparsed: float = 0.05
    family: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class GateResult:
    """The verdict on one metric; `rows` are its datasets, `lost` and `gained` the items that flipped.

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

    `baseline` is a string that says why there is none. Raises `ValueError` for an unknown metric or a gate without
    a bound.
    """
    if name not in METRICS:
        raise ValueError(f"qbench_gate: no metric {name!r}; there are {', '.join(METRICS)}")
    if margin is None and minimum is None and maximum is None:
        raise ValueError(f"qbench_gate({name!r}): give margin=, minimum= or maximum=")
    label = " ".join(p for p in (name, dataset, slice) if p)
    rows: list[Metric] = []
    try:
        datasets = _datasets(name, dataset, results, baseline)
        for each in datasets:
            _check_whole(name, each, results, limits)
        rows = [_row(name, each, slice, results) for each in datasets]
        if broken := _broken_bound(rows, minimum, maximum):
            return GateResult(label, "regressed", broken, tuple(rows))
        if margin is None:
            return GateResult(label, "pass", _within(rows, minimum, maximum), tuple(rows))
        if isinstance(baseline, str):
            raise IncomparableError(baseline)
        comparison = Comparison(name, slice, results, baseline)
        alpha = ALPHA / limits.family
        comparison.check_present(dataset)
        compared = [comparison.paired(each, alpha / len(datasets), limits.seed) for each in datasets]
        if not all(isfinite(p.lower) or comparison.identical(d) for p, d in zip(compared, datasets, strict=True)):
            raise InvalidError("all items share one photo: nothing tells noise from change")
        adjusted = holm([p.p_value for p in compared])
        rows = [
            replace(
                row, baseline=comparison.old_value(each), delta=p.delta, delta_ci=(p.lower, p.upper),
                p_value=p.p_value, alpha=alpha / len(datasets), margin=margin, mde=p.mde,
                verdict="pass" if comparison.identical(each) else decide(p, margin, alpha, p_adjusted),
            )
            for each, row, p, p_adjusted in zip(datasets, rows, compared, adjusted, strict=True)
        ]  # fmt: skip
    except (InvalidError, Undefined) as e:
        incomparable, nothing = isinstance(e, IncomparableError), isinstance(e, NothingError)
        return GateResult(label, "invalid", str(e), tuple(rows), incomparable=incomparable, nothing=nothing)
    verdict = next(v for v in SEVERITY if any(row.verdict == v for row in rows))
    reason = "; ".join(comparison.reason(row) for row in rows if row.verdict == verdict)
    lost, gained = comparison.flips(datasets) if name == "perception.accuracy" else ((), ())
    return GateResult(label, verdict, reason, tuple(rows), lost, gained)


def _datasets(name: str, dataset: str | None, results: Results, baseline: Baseline | str) -> list[str]:
    task = task_of(name)
    present = results.datasets(task)
    if not present:
        if task not in results.absent:
            raise InvalidError(f"{task} was not measured: no suite asked for it")
        stored = not isinstance(baseline, str) and any(t == task for t, _ in baseline.records)
        if dataset is None and (results.narrowed or not stored):
            raise NothingError(f"{task} was not measured: no such items were selected")
        raise InvalidError(f"{task} was not measured: the baseline has it, but the data has no such items")
    if dataset is not None and dataset not in present:
        raise InvalidError(f"{dataset} was not measured; {task} has {', '.join(present)}")
    chosen = [dataset] if dataset else present
    items = [item for (t, _), item in results.expected.items() if t == task and item.dataset in chosen]
    if name == "perception.accuracy" and all(item.answer is None for item in items):
        raise NothingError("the answers of this split are hidden: nothing can be gated")
    return chosen


def _check_whole(name: str, dataset: str, results: Results, limits: Limits) -> None:
    task = task_of(name)
    total = sum(1 for (t, _), item in results.expected.items() if t == task and item.dataset == dataset)
    if missing := results.missing(task, dataset):
        raise InvalidError(f"{dataset}: {len(missing)} of {total} items were not measured (first: {missing[0]})")
    records = results.of(name, dataset)
    for status, limit in (("error", limits.max_errors), ("unparsed", limits.max_unparsed)):
        found = [r for r in records if r.status == status]
        if share(records, status) > limit:
            first = f"{found[0].item}: {found[0].error or repr((found[0].response or '')[:60])}"
            raise InvalidError(f"{dataset}: {len(found)} of {total} items {status}, above {limit:.1%} (first: {first})")
    if empty := without_value(records):
        raise InvalidError(
            f"{dataset}: {len(empty)} of {total} items have no readable verdict or score (first: {empty[0].item})"
        )


def _row(name: str, dataset: str, slice_: str | None, results: Results) -> Metric:
    """The metric of one dataset; raises `InvalidError` when it is undefined."""
    row = metric_of(name, results.of(name, dataset), slice_, results.halves)
    if row is None or row.value is None:
        raise InvalidError(f"{dataset}: {name} is undefined: {row.note if row else f'no item in slice {slice_}'}")
    return row


def _broken_bound(rows: Sequence[Metric], minimum: float | None, maximum: float | None) -> str | None:
    for row in rows:
        assert row.value is not None
        if minimum is not None and row.value < minimum:
            return f"{row.dataset}: {row.value:.4f} is below the minimum {minimum:g}"
        if maximum is not None and row.value > maximum:
            return f"{row.dataset}: {row.value:.4f} is above the maximum {maximum:g}"
    return None


def _within(rows: Sequence[Metric], minimum: float | None, maximum: float | None) -> str:
    wanted = " and ".join(f"{word} {b:g}" for word, b in (("at least", minimum), ("at most", maximum)) if b is not None)
    return ", ".join(f"{row.dataset} {row.value:.4f}" for row in rows) + f": {wanted}"
