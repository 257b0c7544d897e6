"""One metric of a run against a baseline: the pairs, the paired test, the items that flipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_qbench.baselines import Baseline
from pytest_qbench.correlation import mean_paired, paired_correlation
from pytest_qbench.fingerprint import differences
from pytest_qbench.metrics import (
    CORRELATIONS,
    ITEM_VALUES,
    LOWER_IS_BETTER,
    RATES,
    Metric,
    compute_metrics,
    task_of,
    usable,
)
from pytest_qbench.records import Record
from pytest_qbench.results import Results
from pytest_qbench.stats import Paired, paired_binary, paired_mean


@dataclass(frozen=True, slots=True)
class Flip:
    """An item whose answer changed between right and wrong."""

    item: str
    question: str
    before: str | None
    after: str | None


class InvalidError(Exception):
    """Why a gate cannot be judged."""


class NothingError(InvalidError):
    """There is nothing to judge."""


class IncomparableError(InvalidError):
    """There is no baseline of the same questions under the same conditions."""


def metric_of(name: str, records: Sequence[Record], slice_: str | None, halves: bool) -> Metric | None:
    """One metric over the records of one dataset, also of a slice that is no standing row of the summary."""
    for metric in compute_metrics(usable(records, name, slice_), halves):
        if metric.name == name and metric.slice is None and metric.dataset:
            return replace(metric, slice=slice_)
    return None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of this run against a baseline."""

    name: str
    slice: str | None
    results: Results
    baseline: Baseline

    def pairs(self, dataset: str) -> list[tuple[Record, Record]]:
        """Candidate and baseline records of the same items; raises when they are not the same questions."""
        task, base = task_of(self.name), self.baseline
        if differ := differences(task, base.fingerprint, self.results.fingerprint):
            raise IncomparableError(f"baseline {base.name} was recorded otherwise: {'; '.join(differ)}")
        new = usable(self.results.of(self.name, dataset), self.name, self.slice)
        unknown = [r.item for r in new if (task, r.item) not in base.records]
        if unknown:
            raise IncomparableError(
                f"{dataset}: {len(unknown)} of {len(new)} items are not in baseline {base.name} (first: {unknown[0]})"
            )
        changed = [r.item for r in new if base.digests[task, r.item] != self.results.expected[task, r.item].digest()]
        if changed:
            raise IncomparableError(
                f"{dataset}: {len(changed)} items have another text, key or reference than in baseline {base.name} "
                f"(first: {changed[0]})"
            )
        pairs = [(r, old) for r in new if (old := base.records[task, r.item]).status != "error"]
        if not pairs:
            raise IncomparableError(f"{dataset}: no item to compare with baseline {base.name}")
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
            raise IncomparableError(
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
            raise InvalidError(f"{dataset}: {len(both) - len(complete)} of {len(both)} items have no readable verdict")
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
        old = metric_of(self.name, [old for _, old in self.pairs(dataset)], self.slice, self.results.halves)
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
        raise InvalidError(f"{record.item}: no score")
    return record.score


def _outcome(record: Record) -> tuple[object, ...]:
    judge = {k: list(v) for k, v in record.judge.items()} if record.judge else None
    return record.status, record.choice, record.score, judge
