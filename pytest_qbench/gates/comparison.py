"""Comparison of one metric of a run with a baseline, on one dataset and slice: pairs, paired test, drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pytest_qbench.baseline.baseline import Baseline, shows_another_picture
from pytest_qbench.baseline.expectation import expected_keys
from pytest_qbench.gates.passes import are_identical, discordance, equal_passes, have_repeats, paired_passes
from pytest_qbench.gates.targets import IncomparableError, InvalidError, matches
from pytest_qbench.judges import control_set as control
from pytest_qbench.metrics.compute import compute_metrics, usable_records
from pytest_qbench.metrics.drift import Drift, compare_with_floor, drift, judge_drifts
from pytest_qbench.metrics.fingerprint import differences
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.metrics.paired_scores import paired_scores
from pytest_qbench.metrics.probabilities import option_margin
from pytest_qbench.metrics.results import Results
from pytest_qbench.metrics.specs import CORRELATIONS, DRIFTS, SPECS, kind_of, task_of
from pytest_qbench.records import Record
from pytest_qbench.stats.correlation import mid_ranks
from pytest_qbench.stats.paired import Paired, mean_of_comparisons, paired_mean
from pytest_qbench.stats.paired_binary import paired_binary
from pytest_qbench.stats.smoothing import paired_smoothed
from pytest_qbench.stats.weighted import paired_weighted


def metric_of(name: str, records: Sequence[Record], slice_: str | None, averages_halves: bool) -> Metric | None:
    """Return one metric over the records of one dataset, or of any slice of it; None where it does not exist."""
    for metric in compute_metrics(usable_records(records, name, slice_), averages_halves):
        if metric.name == name and metric.slice is None and metric.dataset:
            return replace(metric, slice=slice_)
    return None


def check_comparable(name: str, results: Results, baseline: Baseline, dataset: str | None) -> None:
    """Raise `IncomparableError` for other conditions, or for items of the baseline that the data lacks.

    The options that select a part of the data select the same part of the baseline. `dataset` is a name or a pattern;
    None means the whole task.
    """
    task = task_of(name)
    if differ := differences(task, baseline.fingerprint, results.fingerprint):
        raise IncomparableError(f"this run differs from the baseline in: {'; '.join(differ)}")
    if task == "description":
        old, new = (each.judge_control for each in (baseline.fingerprint, results.fingerprint))
        if old and new and (moved := control.drift(old.scores, new.scores)):
            raise IncomparableError(
                f"judge drift, not model drift: {moved} since baseline {baseline.name}; "
                "use the same judge, or record the baseline again"
            )
    unclear = [
        reason for (t, item), reason in baseline.ambiguous.items()
        if t == task and matches(results.expected[t, item].dataset, dataset)
    ]  # fmt: skip
    if unclear:
        raise IncomparableError(
            f"{len(unclear)} items cannot be told apart in baseline {baseline.name} (first: {unclear[0]}); "
            "give both sources the same ids or image names, or record the baseline again"
        )
    left_out = results.stop.left_out if results.stop else frozenset()
    wanted = [
        key
        for key in sorted(expected_keys(baseline, results.fingerprint.selection) - left_out)
        if key[0] == task and matches(baseline.records[key].dataset, dataset)
    ]
    if gone := [id_ for _, id_ in wanted if (task, id_) not in results.expected]:
        raise IncomparableError(
            f"{len(gone)} of the {len(wanted)} {task} items of baseline {baseline.name} are not in this data "
            f"(first: {gone[0]}); choose the part to compare with --qbench-datasets, or record the baseline again"
        )


@dataclass(frozen=True)
class Comparison:
    """One metric of this run against a baseline, on one dataset and slice."""

    name: str
    dataset: str
    slice: str | None
    results: Results
    baseline: Baseline

    @cached_property
    def pairs(self) -> list[tuple[Record, Record]]:
        """Candidate and baseline records of equal items; raises `IncomparableError` for other questions or images."""
        task, base = task_of(self.name), self.baseline
        new = usable_records(self.results.of(self.name, self.dataset), self.name, self.slice)
        unknown = [r.item for r in new if (task, r.item) not in base.records]
        if unknown:
            raise IncomparableError(
                f"{self.dataset}: {len(unknown)} of {len(new)} items are not in baseline {base.name} "
                f"(first: {unknown[0]}); were they renamed? record the baseline again"
            )
        changed = [r.item for r in new if base.digests[task, r.item] != self.results.digests[task, r.item]]
        if changed:
            raise IncomparableError(
                f"{self.dataset}: {len(changed)} of {len(new)} items have another text, key or reference than in "
                f"baseline {base.name} (first: {changed[0]}); record the baseline again"
            )
        seen = [r.item for r in new if shows_another_picture(r, base)]
        if seen:
            raise IncomparableError(
                f"{self.dataset}: {len(seen)} of {len(new)} items show another image than in baseline {base.name} "
                f"(first: {seen[0]}); restore the images, or record the baseline again"
            )
        if any(base.records[task, r.item].probability is not None for r in new):
            raise IncomparableError(
                f"{self.dataset}: the items of {base.name} were drawn by --qbench-limit-by; compare with a run of all "
                "items"
            )
        # The baseline counts with the weights of the run, whose sample it is compared on.
        pairs = [
            (r, old if r.probability is None else replace(old, probability=r.probability))
            for r in new
            if (old := base.records[task, r.item]).status != "error"
        ]
        if not pairs:
            raise IncomparableError(f"{self.dataset}: no item to compare with baseline {base.name}")
        return equal_passes(pairs) if self.name in CORRELATIONS and have_repeats(pairs) else pairs

    def paired(self, alpha: float, seed: int) -> Paired:
        """Run the paired test of this metric."""
        if self.name not in CORRELATIONS:
            return paired_items(self.name, self.pairs, alpha)
        parts = [paired_scores(part, kind_of(self.name), alpha, seed) for part in self._parts()]
        return mean_of_comparisons(parts, alpha) if len(parts) > 1 else parts[0]

    def _parts(self) -> list[list[tuple[Record, Record]]]:
        """Return the pairs of each correlation: one list per half where the dataset's value is the mean of halves.

        Any other dataset has one list.
        """
        halves = dict.fromkeys(new.slices.get("half") for new, _ in self.pairs) if self.results.averages_halves else {}
        if len(halves) < 2:
            return [self.pairs]
        return [[pair for pair in self.pairs if pair[0].slices.get("half") == half] for half in halves]

    @property
    def identical(self) -> bool:
        """Whether every item equals the baseline: the same answer, mean verdict, or rank of the score."""
        if self.name == "assessment.srcc":
            columns = [([_score(r) for r in side] for side in zip(*part, strict=True)) for part in self._parts()]
            return all(np.array_equal(mid_ranks(new), mid_ranks(old)) for new, old in columns)
        if have_repeats(self.pairs):
            return are_identical(self.name, self.pairs)
        value_of = _score if self.name in CORRELATIONS else SPECS[self.name].item_value
        return all((value_of(new), new.choice) == (value_of(old), old.choice) for new, old in self.pairs)

    @property
    def discordance(self) -> float:
        """Fraction of items whose outcome differs from the baseline (the discordance), in [0, 1]."""
        return discordance(self.name, self.pairs)

    @property
    def new_value(self) -> float | None:
        """The correlation of the candidate on the passes compared; None where all its passes count."""
        if self.name not in CORRELATIONS or all(r.repeats is None for r in self.results.of(self.name, self.dataset)):
            return None
        return self._value([new for new, _ in self.pairs])

    @property
    def old_value(self) -> float | None:
        """The metric of the baseline on the items compared."""
        return self._value([old for _, old in self.pairs])

    def _value(self, records: list[Record]) -> float | None:
        metric = metric_of(self.name, records, self.slice, self.results.averages_halves)
        return metric.value if metric else None

    @property
    def drift(self) -> Metric:
        """Mean absolute change of the probabilities or scores, for a metric of `DRIFTS`."""
        return drift(self.name, self.dataset, self.pairs, self.results.fingerprint.words)


def paired_items(name: str, pairs: Sequence[tuple[Record, Record]], alpha: float) -> Paired:
    """Run the paired test of a metric that is a mean over items.

    Items that were drawn with unequal probabilities count with their weights (`weighted.paired_weighted`).
    Accuracy is smoothed over its likelihoods where both runs have them (`smoothing.paired_smoothed`). Items that were
    asked several times are compared by their outcomes (`paired_repeats`).
    """
    value_of = SPECS[name].item_value
    both = [(value_of(new), value_of(old), new.group) for new, old in pairs]
    complete = [(a, b, g) for a, b, g in both if a is not None and b is not None]
    if not complete:
        raise InvalidError(f"{pairs[0][0].dataset}: no item counts for {name}")
    if len(complete) < len(both) and name != "perception.yes_rate":  # the yes rate counts yes-or-no questions only
        first = next(new.item for (new, _), (a, b, _) in zip(pairs, both, strict=True) if a is None or b is None)
        raise InvalidError(
            f"{pairs[0][0].dataset}: {len(both) - len(complete)} of {len(both)} items have no value of {name} "
            f"(first: {first})"
        )
    if any(new.probability is not None for new, _ in pairs):
        weights = [
            new.weight for (new, _), (a, b, _) in zip(pairs, both, strict=True) if a is not None and b is not None
        ]
        a, b, g = (list(column) for column in zip(*complete, strict=True))
        return paired_weighted(a, b, weights, g, alpha, SPECS[name].least, SPECS[name].greatest)
    whole_groups_break = task_of(name) == "description"  # the questions about one photo differ
    if have_repeats(pairs):
        counted = [pair for pair, (a, b, _) in zip(pairs, both, strict=True) if a is not None and b is not None]
        return paired_passes(name, counted, alpha, whole_groups_break)
    a, b, g = (list(column) for column in zip(*complete, strict=True))
    if name == "perception.accuracy" and (margins := _margins(pairs)):
        smoothed = paired_smoothed(*margins, g, alpha)
        if smoothed is not None:
            return smoothed
    spec = SPECS[name]
    if spec.lower_is_better:
        a, b = [1 - v for v in a], [1 - v for v in b]
    if spec.is_rate:
        return paired_binary([v == 1 for v in a], [v == 1 for v in b], g, alpha)
    return paired_mean(a, b, g, alpha, spec.least, spec.greatest, whole_groups_break)


def _margins(pairs: Sequence[tuple[Record, Record]]) -> tuple[list[float], list[float]] | None:
    """Return the margins of the right option, candidate and baseline; None unless they decide every answer of both."""
    columns: tuple[list[float], list[float]] = ([], [])
    for pair in pairs:
        for record, column in zip(pair, columns, strict=True):
            margin = option_margin(record)
            if margin is None or (margin > 0) != (record.status == "correct"):
                return None
            column.append(margin)
    return columns


def _score(record: Record) -> float:
    if record.score is None:
        raise InvalidError(f"{record.item}: no score")
    return record.score


def drifts(results: Results, baseline: Baseline) -> list[tuple[Metric, bool]]:
    """Return the drift of every dataset that can be compared, with its meaning, and whether it exceeds the noise.

    There is none of a sample with unequal probabilities.
    """
    if results.is_weighted:
        return []
    found: list[Drift] = []
    words = results.fingerprint.words
    for name in DRIFTS:
        for dataset in results.datasets(task_of(name)):
            comparison = Comparison(name, dataset, None, results, baseline)
            try:
                check_comparable(name, results, baseline, dataset)
                row, pairs = comparison.drift, comparison.pairs
            except InvalidError:
                continue  # the gates say why
            if row.value is not None:
                found.append(
                    compare_with_floor(row, pairs, words, baseline.noise.of(name, dataset) if baseline.noise else {})
                )
    return judge_drifts(found)
