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
from pytest_qbench.correlation import mean_paired, paired_correlation
from pytest_qbench.fingerprint import differences
from pytest_qbench.metrics import (
    ALPHA,
    CORRELATIONS,
    ITEM_VALUES,
    LOWER_IS_BETTER,
    METRICS,
    RATES,
    Metric,
    compute_metrics,
    task_of,
    usable,
    without_value,
)
from pytest_qbench.records import Record
from pytest_qbench.results import Results, share
from pytest_qbench.stats import Paired, Undefined, holm, paired_binary, paired_mean

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
class Flip:
    """An item whose answer changed between right and wrong."""

    item: str
    question: str
    before: str | None
    after: str | None


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


class _InvalidError(Exception):
    """Why a gate cannot be judged."""


class _NothingError(_InvalidError):
    """There is nothing to judge."""


class _IncomparableError(_InvalidError):
    """There is no baseline of the same questions under the same conditions."""


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
            raise _IncomparableError(baseline)
        comparison = _Comparison(name, slice, results, baseline)
        alpha = ALPHA / limits.family
        comparison.check_present(dataset)
        compared = [comparison.paired(each, alpha / len(datasets), limits.seed) for each in datasets]
        if not all(isfinite(p.lower) or comparison.identical(d) for p, d in zip(compared, datasets, strict=True)):
            raise _InvalidError("all items share one photo: nothing tells noise from change")
        adjusted = holm([p.p_value for p in compared])
        rows = [
            replace(
                row, baseline=comparison.old_value(each), delta=p.delta, delta_ci=(p.lower, p.upper),
                p_value=p.p_value, alpha=alpha / len(datasets), margin=margin, mde=p.mde,
                verdict="pass" if comparison.identical(each) else decide(p, margin, alpha, p_adjusted),
            )
            for each, row, p, p_adjusted in zip(datasets, rows, compared, adjusted, strict=True)
        ]  # fmt: skip
    except (_InvalidError, Undefined) as e:
        incomparable, nothing = isinstance(e, _IncomparableError), isinstance(e, _NothingError)
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
            raise _InvalidError(f"{task} was not measured: no suite asked for it")
        stored = not isinstance(baseline, str) and any(t == task for t, _ in baseline.records)
        if dataset is None and (results.narrowed or not stored):
            raise _NothingError(f"{task} was not measured: no such items were selected")
        raise _InvalidError(f"{task} was not measured: the baseline has it, but the data has no such items")
    if dataset is not None and dataset not in present:
        raise _InvalidError(f"{dataset} was not measured; {task} has {', '.join(present)}")
    chosen = [dataset] if dataset else present
    items = [item for (t, _), item in results.expected.items() if t == task and item.dataset in chosen]
    if name == "perception.accuracy" and all(item.answer is None for item in items):
        raise _NothingError("the answers of this split are hidden: nothing can be gated")
    return chosen


def _check_whole(name: str, dataset: str, results: Results, limits: Limits) -> None:
    task = task_of(name)
    total = sum(1 for (t, _), item in results.expected.items() if t == task and item.dataset == dataset)
    if missing := results.missing(task, dataset):
        raise _InvalidError(f"{dataset}: {len(missing)} of {total} items were not measured (first: {missing[0]})")
    records = results.of(name, dataset)
    for status, limit in (("error", limits.max_errors), ("unparsed", limits.max_unparsed)):
        found = [r for r in records if r.status == status]
        if share(records, status) > limit:
            first = f"{found[0].item}: {found[0].error or repr((found[0].response or '')[:60])}"
            raise _InvalidError(
                f"{dataset}: {len(found)} of {total} items {status}, above {limit:.1%} (first: {first})"
            )
    if empty := without_value(records):
        raise _InvalidError(
            f"{dataset}: {len(empty)} of {total} items have no readable verdict or score (first: {empty[0].item})"
        )


def _row(name: str, dataset: str, slice_: str | None, results: Results) -> Metric:
    """The metric of one dataset; raises `_InvalidError` when it is undefined."""
    row = _metric(name, results.of(name, dataset), slice_, results.halves)
    if row is None or row.value is None:
        raise _InvalidError(f"{dataset}: {name} is undefined: {row.note if row else f'no item in slice {slice_}'}")
    return row


def _metric(name: str, records: Sequence[Record], slice_: str | None, halves: bool) -> Metric | None:
    """One metric over the records of one dataset, also of a slice that is no standing row of the summary."""
    for metric in compute_metrics(usable(records, name, slice_), halves):
        if metric.name == name and metric.slice is None and metric.dataset:
            return replace(metric, slice=slice_)
    return None


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


@dataclass(frozen=True, slots=True)
class _Comparison:
    """One metric of this run against a baseline."""

    name: str
    slice: str | None
    results: Results
    baseline: Baseline

    def pairs(self, dataset: str) -> list[tuple[Record, Record]]:
        """Candidate and baseline records of the same items; raises when they are not the same questions."""
        task, base = task_of(self.name), self.baseline
        if differ := differences(task, base.fingerprint, self.results.fingerprint):
            raise _IncomparableError(f"baseline {base.name} was recorded otherwise: {'; '.join(differ)}")
        new = usable(self.results.of(self.name, dataset), self.name, self.slice)
        unknown = [r.item for r in new if (task, r.item) not in base.records]
        if unknown:
            raise _IncomparableError(
                f"{dataset}: {len(unknown)} of {len(new)} items are not in baseline {base.name} (first: {unknown[0]})"
            )
        changed = [r.item for r in new if base.digests[task, r.item] != self.results.expected[task, r.item].digest()]
        if changed:
            raise _IncomparableError(
                f"{dataset}: {len(changed)} items have another text, key or reference than in baseline {base.name} "
                f"(first: {changed[0]})"
            )
        pairs = [(r, old) for r in new if (old := base.records[task, r.item]).status != "error"]
        if not pairs:
            raise _IncomparableError(f"{dataset}: no item to compare with baseline {base.name}")
        return pairs

    def check_present(self, dataset: str | None) -> None:
        """Raise when items of the baseline are gone from the data, though no option narrowed the selection."""
        if self.results.narrowed:
            return
        task, expected = task_of(self.name), self.results.expected
        splits = {item.split for (t, _), item in expected.items() if t == task}
        stored = [r for (t, _), r in self.baseline.records.items() if t == task and dataset in (None, r.dataset)]
        gone = [r.item for r in stored if r.split in splits and (task, r.item) not in expected]
        if gone:
            raise _IncomparableError(
                f"{len(gone)} of the {len(stored)} {task} items of baseline {self.baseline.name} are not in this data "
                f"(first: {gone[0]}); choose the part to compare with --qbench-datasets"
            )

    def paired(self, dataset: str, alpha: float, seed: int) -> Paired:
        """Run the paired test of this metric."""
        pairs = self.pairs(dataset)
        if self.name in CORRELATIONS:
            halves = dict.fromkeys(new.slices.get("half") for new, _ in pairs) if self.results.halves else {}
            if len(halves) > 1:
                parts = ([pair for pair in pairs if pair[0].slices.get("half") == half] for half in halves)
                return mean_paired([self._correlated(part, alpha, seed) for part in parts])
            return self._correlated(pairs, alpha, seed)
        groups = [new.group for new, _ in pairs]
        value_of = ITEM_VALUES[self.name]
        both = [(value_of(a), value_of(b), g) for (a, b), g in zip(pairs, groups, strict=True)]
        complete = [(a, b, g) for a, b, g in both if a is not None and b is not None]
        if len(complete) < len(both):
            raise _InvalidError(f"{dataset}: {len(both) - len(complete)} of {len(both)} items have no readable verdict")
        a, b, g = (list(column) for column in zip(*complete, strict=True))
        if self.name in LOWER_IS_BETTER:
            a, b = [1 - v for v in a], [1 - v for v in b]
        if self.name in RATES:
            return paired_binary([v == 1 for v in a], [v == 1 for v in b], g, alpha, seed)
        return paired_mean(a, b, g, alpha, seed)

    def _correlated(self, pairs: Sequence[tuple[Record, Record]], alpha: float, seed: int) -> Paired:
        new, old = ([_score(r) for r in column] for column in zip(*pairs, strict=True))
        mos = [float(r.target) for r, _ in pairs if r.target is not None]
        groups = [r.group for r, _ in pairs]
        return paired_correlation(new, old, mos, groups, CORRELATIONS[self.name], alpha, seed)

    def identical(self, dataset: str) -> bool:
        """Tell whether every item came out as in the baseline."""
        return all(_outcome(new) == _outcome(old) for new, old in self.pairs(dataset))

    def old_value(self, dataset: str) -> float | None:
        """The metric of the baseline on the items compared."""
        old = _metric(self.name, [old for _, old in self.pairs(dataset)], self.slice, self.results.halves)
        return old.value if old else None

    def flips(self, datasets: Sequence[str]) -> tuple[tuple[Flip, ...], tuple[Flip, ...]]:
        """Items lost and gained."""
        lost: list[Flip] = []
        gained: list[Flip] = []
        for new, old in (pair for dataset in datasets for pair in self.pairs(dataset)):
            if (new.status == "correct") != (old.status == "correct"):
                question = self.results.expected[new.task, new.item].question or ""
                flip = Flip(new.item, question, old.choice or old.response, new.choice or new.response)
                (gained if new.status == "correct" else lost).append(flip)
        return tuple(lost), tuple(gained)

    def reason(self, row: Metric) -> str:
        """Say in one line what a row's verdict rests on."""
        assert row.delta is not None
        assert row.delta_ci is not None
        assert row.p_value is not None
        lower, upper = row.delta_ci
        if self.identical(row.dataset or ""):
            return f"{row.dataset}: identical on {row.n} items (bound {lower:+.4f})"
        text = f"{row.dataset}: {row.delta:+.4f} in [{lower:+.4f}, {upper:+.4f}], margin {row.margin:g}"
        text += f", p = {row.p_value:.2g}"
        if row.verdict == "inconclusive" and row.mde is not None:
            text += f"; with 80 % power this run finds a drop of {row.mde:.3f}"
        return text


def _score(record: Record) -> float:
    if record.score is None:
        raise _InvalidError(f"{record.item}: no score")
    return record.score


def _outcome(record: Record) -> tuple[object, ...]:
    judge = {k: list(v) for k, v in record.judge.items()} if record.judge else None
    return record.status, record.choice, record.score, judge
