"""The effect of asking the same items in another way, by metric, dataset and slice, from paired records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_qbench.gates.comparison import paired_items
from pytest_qbench.gates.targets import InvalidError
from pytest_qbench.metrics.compute import published_order
from pytest_qbench.metrics.paired_scores import paired_scores
from pytest_qbench.records import Record
from pytest_qbench.stats.paired import Paired
from pytest_qbench.stats.resampling import Undefined

METRICS: Mapping[str, str] = {
    "perception": "perception.accuracy",
    "description": "description.sum",
    "assessment": "assessment.srcc",
}
TAIL = 0.025
"""Level of each side of an interval: intervals cover 95 %."""


@dataclass(frozen=True, slots=True)
class PairedEffect:
    """The effect on one metric, on one dataset or slice. `problem` says why there is no comparison.

    `answers_changed` counts the items whose answer, score or grades differ between the two ways.
    """

    metric: str
    dataset: str
    slice: str | None
    items: int
    answers_changed: int
    paired: Paired | None
    problem: str = ""

    @property
    def p_value(self) -> float | None:
        """The two-sided p-value of no effect."""
        return None if self.paired is None else self.paired.two_sided_p


def compare(pairs: Sequence[tuple[Record, Record]], seed: int = 0) -> Iterator[PairedEffect]:
    """Yield the effect on each dataset and, for questions, on each type and concern: the first record - the second."""
    by_dataset: dict[tuple[str, str], list[tuple[Record, Record]]] = {}
    for pair in pairs:
        by_dataset.setdefault((pair[0].task, pair[0].dataset), []).append(pair)
    for (task, dataset), own in by_dataset.items():
        yield paired_effect(METRICS[task], dataset, None, own, seed)
        if task == "perception":
            for slice_ in published_order(new for new, _ in own):
                key, _, value = slice_.partition("=")
                part = [pair for pair in own if pair[0].slices.get(key) == value]
                yield paired_effect(METRICS[task], dataset, slice_, part, seed)


def paired_effect(
    metric: str, dataset: str, slice_: str | None, pairs: Sequence[tuple[Record, Record]], seed: int = 0
) -> PairedEffect:
    """Return the effect on a metric over the pairs; none if a measurement failed or the metric is undefined."""
    changed = sum(_result(new) != _result(old) for new, old in pairs)
    failed = [record for pair in pairs for record in pair if record.status == "error"]
    if failed:
        problem = f"{len(failed)} measurements ended in an error (first: {failed[0].item}: {failed[0].error})"
        return PairedEffect(metric, dataset, slice_, len(pairs), changed, None, problem)
    if metric == METRICS["perception"] and (hidden := sum(new.target is None for new, _ in pairs)):
        problem = f"the right answers of {hidden} items are hidden, so that none of their replies is right or wrong"
        return PairedEffect(metric, dataset, slice_, len(pairs), changed, None, problem)
    try:
        return PairedEffect(metric, dataset, slice_, len(pairs), changed, _paired(metric, pairs, seed))
    except (InvalidError, Undefined) as e:
        return PairedEffect(metric, dataset, slice_, len(pairs), changed, None, str(e))


def _result(record: Record) -> tuple[object, ...]:
    return record.choice, record.score, record.judge


def _paired(metric: str, pairs: Sequence[tuple[Record, Record]], seed: int) -> Paired:
    if metric == METRICS["assessment"]:
        return paired_scores(pairs, "srcc", TAIL, seed)
    return paired_items(metric, pairs, TAIL)
