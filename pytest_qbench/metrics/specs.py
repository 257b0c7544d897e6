"""The metrics that a gate can judge, one row each: an item's contribution, range, direction and kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType
from typing import TYPE_CHECKING

from pytest_qbench.items import DIMENSIONS
from pytest_qbench.metrics.probabilities import confidence
from pytest_qbench.metrics.yes_or_no import is_yes_or_no, says_yes
from pytest_qbench.records import CUT, Record

if TYPE_CHECKING:
    from pytest_qbench.stats.correlation import Kind

ItemValue = Callable[[Record], float | None]


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """Properties of one metric.

    A metric is a mean over items, a `correlation` of scores with MOS, or a drift. For a mean, `value_of` returns the
    contribution of a record, None if it does not count. With `is_rate`, each item contributes 0 or 1. With
    `needs_answer_key`, items with hidden answers do not count.
    """

    name: str
    least: float = 0.0
    greatest: float = 1.0
    value_of: ItemValue | None = None
    correlation: Kind | None = None
    is_rate: bool = False
    lower_is_better: bool = False
    needs_answer_key: bool = False
    is_drift: bool = False

    @property
    def task(self) -> str:
        """The task of the metric: the part before the dot."""
        return task_of(self.name)

    @property
    def is_fraction(self) -> bool:
        """Whether values are fractions of items or probabilities, which reports write in per cent."""
        return (self.task == "perception" and not self.is_drift) or self.is_rate

    @property
    def span(self) -> float:
        """Distance from the least to the greatest value."""
        return self.greatest - self.least

    def item_value(self, record: Record) -> float | None:
        """Return the contribution of one record to a mean over items. Raises `TypeError` for other metrics.

        An item that was asked several times contributes the mean of its outcomes.
        """
        if record.repeats is None:
            return self._outcome_value(record)
        values = self.outcome_values(record)
        return None if values is None else fmean(values)

    def outcome_values(self, record: Record) -> list[float] | None:
        """Return the contribution of each outcome of a record; None if one of them does not count."""
        values = [self._outcome_value(one) for one in record.outcomes]
        known = [value for value in values if value is not None]
        return known if len(known) == len(values) else None

    def _outcome_value(self, outcome: Record) -> float | None:
        if self.value_of is None:
            raise TypeError(f"{self.name} is not a mean over items")
        return self.value_of(outcome)


def task_of(name: str) -> str:
    """Return the task of a metric or diagnostic: the part before the dot."""
    return name.partition(".")[0]


def correlation_of(name: str) -> Kind | None:
    """Return the kind of correlation of a metric, None for other metrics and for diagnostics."""
    spec = SPECS.get(name)
    return spec.correlation if spec else None


def kind_of(name: str) -> Kind:
    """Return the kind of a correlation metric. Raises `KeyError` for other metrics."""
    if (kind := correlation_of(name)) is None:
        raise KeyError(name)
    return kind


def judged_mean(record: Record, dimension: str) -> float | None:
    """Return an item's mean verdict over the readable rounds, in [0, 2].

    For the `dimension` "sum", return the sum over all dimensions, in [0, 6]. None if one has no readable verdict.
    """
    if record.judge is None:
        return None
    if dimension == "sum":
        parts = [judged_mean(record, d) for d in DIMENSIONS]
        return None if None in parts else float(sum(p for p in parts if p is not None))
    readable = [v for v in record.judge.get(dimension, []) if v is not None]
    return fmean(readable) if readable else None


def _is_yes(record: Record) -> float | None:
    return float(says_yes(record.choice) is True) if is_yes_or_no(record) else None


def _is_cut(record: Record) -> float:
    return float(record.finish == CUT)


def _judged(dimension: str) -> ItemValue:
    return lambda record: judged_mean(record, dimension)


_TABLE = (
    MetricSpec("perception.accuracy", value_of=lambda r: float(r.status == "correct"), is_rate=True,
               needs_answer_key=True),
    MetricSpec("perception.unparsed_rate", value_of=lambda r: float(r.status == "unparsed"), is_rate=True,
               lower_is_better=True),
    MetricSpec("perception.cut_rate", value_of=_is_cut, is_rate=True, lower_is_better=True),
    MetricSpec("description.cut_rate", value_of=_is_cut, is_rate=True, lower_is_better=True),
    MetricSpec("perception.yes_rate", value_of=_is_yes, is_rate=True),
    MetricSpec("perception.confidence", value_of=confidence, needs_answer_key=True),
    *(MetricSpec(f"description.{d}", greatest=2.0, value_of=_judged(d)) for d in DIMENSIONS),
    MetricSpec("description.sum", greatest=2.0 * len(DIMENSIONS), value_of=_judged("sum")),
    MetricSpec("assessment.srcc", least=-1.0, correlation="srcc"),
    MetricSpec("assessment.plcc", least=-1.0, correlation="plcc"),
    MetricSpec("perception.drift", is_drift=True),  # a drift needs a baseline: see `drift`
    MetricSpec("assessment.drift", is_drift=True),
)  # fmt: skip
SPECS: Mapping[str, MetricSpec] = MappingProxyType({spec.name: spec for spec in _TABLE})
METRICS = tuple(spec.name for spec in _TABLE if not spec.is_drift)
DRIFTS = tuple(spec.name for spec in _TABLE if spec.is_drift)
CORRELATIONS = tuple(spec.name for spec in _TABLE if spec.correlation)
CUT_RATES = tuple(spec.name for spec in _TABLE if spec.value_of is _is_cut)
