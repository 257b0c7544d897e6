"""`Results`, the records of a run with the items that it had to measure: the input of gates and reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property

from pytest_qbench.items import Item, LeftOut
from pytest_qbench.metrics.fingerprint import Fingerprint
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.metrics.specs import METRICS, task_of
from pytest_qbench.metrics.stop_state import StopState
from pytest_qbench.records import CUT, Record


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """Numbers of items: expected (`total`), scored, unparsed and in error. `cut` counts replies cut at token limits."""

    total: int
    scored: int
    unparsed: int
    errors: int
    cut: int = 0

    @property
    def missing(self) -> int:
        """Number of expected items without a record."""
        return self.total - self.scored - self.unparsed - self.errors

    def to_json(self) -> dict[str, int]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, int]) -> ItemCounts:
        """Return the counts of an entry. Raises `TypeError` for unknown keys."""
        return cls(**data)


@dataclass
class Results:
    """The records of a run with the items that it had to measure.

    `expected` holds the items of every task in the suites, by (task, id). `absent` are the tasks of the suites without
    data. `is_narrowed` says whether options selected a part of the data. `fingerprint` holds the run's conditions.
    `stop` says how a run was stopped early. Its `expected` are the items before the stop.
    """

    records: list[Record]
    expected: Mapping[tuple[str, str], Item]
    fingerprint: Fingerprint = field(default_factory=Fingerprint)
    left_out: tuple[LeftOut, ...] = ()
    absent: frozenset[str] = frozenset()
    is_narrowed: bool = False
    stop: StopState | None = None

    @cached_property
    def digests(self) -> dict[tuple[str, str], str]:
        """The hash of each expected item. Each comparison of a metric needs them."""
        return {key: item.digest() for key, item in self.expected.items()}

    @cached_property
    def metrics(self) -> list[Metric]:
        """All metrics of the run."""
        from pytest_qbench.metrics.compute import compute_metrics  # a run that only collects needs no statistics

        return compute_metrics(self.records, self.averages_halves)

    @cached_property
    def is_weighted(self) -> bool:
        """Whether items were drawn with unequal probabilities, so that each counts with a weight."""
        return any(item.probability is not None for item in self.expected.values())

    @property
    def averages_halves(self) -> bool:
        """Whether the correlation of a dataset with two halves is the mean of theirs, as in the paper."""
        return self.fingerprint.scoring is not None and self.fingerprint.scoring.averages_halves

    @cached_property
    def diagnostics(self) -> list[Metric]:
        """Further numbers, which no gate judges (see `diagnostics.py`). None of a sample with unequal probabilities."""
        if self.is_weighted:
            return []
        from pytest_qbench.metrics.diagnostics import diagnose

        return diagnose(self.records, self.expected)

    def metric(self, name: str, dataset: str | None = None, slice: str | None = None) -> Metric:
        """Return one metric or diagnostic. Raises `KeyError` with the names of those that exist."""
        for metric in self.metrics if name in METRICS else self.diagnostics:
            if (metric.name, metric.dataset, metric.slice) == (name, dataset, slice):
                return metric
        known = sorted({(m.name, m.dataset or "*") for m in (*self.metrics, *self.diagnostics)})
        raise KeyError(f"no metric {name!r} of dataset {dataset!r}, slice {slice!r}; there are {known}")

    def datasets(self, task: str) -> list[str]:
        """Return the names of a task's expected datasets, in the order of the data."""
        return list(dict.fromkeys(item.dataset for (t, _), item in self.expected.items() if t == task))

    def of(self, name: str, dataset: str | None = None) -> list[Record]:
        """Return the records of a metric's task, or of one of its datasets."""
        task = task_of(name)
        return [r for r in self.records if r.task == task and dataset in (None, r.dataset)]

    def missing(self, task: str, dataset: str | None = None) -> list[str]:
        """Return the ids of a task's expected items without a record."""
        return [item.id for item in self._missing if item.task == task and dataset in (None, item.dataset)]

    @cached_property
    def _missing(self) -> list[Item]:
        have = {(r.task, r.item) for r in self.records}
        return [item for key, item in self.expected.items() if key not in have]

    def counts(self) -> ItemCounts:
        """Return the number of items by status."""
        status = [r.status for r in self.records]
        unparsed, errors = status.count("unparsed"), status.count("error")
        return ItemCounts(
            total=len(self.expected),
            scored=len(status) - unparsed - errors,
            unparsed=unparsed,
            errors=errors,
            cut=sum(has_status(r, "cut") for r in self.records),
        )


def has_status(record: Record, status: str) -> bool:
    """Return whether a record has a status. The status ``cut`` means that the token limit cut the reply off."""
    return record.finish == CUT if status == "cut" else record.status == status


def share(records: Iterable[Record], status: str) -> float:
    """Return the fraction of the outcomes with a status (see `has_status`), 0 without records."""
    found = [has_status(one, status) for r in records for one in r.outcomes]
    return sum(found) / len(found) if found else 0.0
