"""Everything a run measured, with what was expected: what gates judge and reports show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property

from pytest_qbench.items import Item, LeftOut
from pytest_qbench.metrics.diagnostics import diagnose
from pytest_qbench.metrics.fingerprint import Fingerprint
from pytest_qbench.metrics.metrics import Metric, compute_metrics
from pytest_qbench.metrics.specs import METRICS, task_of
from pytest_qbench.records import CUT, Record


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """Items expected, scored, unparsed and in error. `cut` counts the replies of any status that a limit ended."""

    total: int
    scored: int
    unparsed: int
    errors: int
    cut: int = 0

    @property
    def missing(self) -> int:
        """Items that were expected and have no record."""
        return self.total - self.scored - self.unparsed - self.errors

    def to_json(self) -> dict[str, int]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, int]) -> ItemCounts:
        """Return the counts of an entry; raises `TypeError` for other keys."""
        return cls(**data)


@dataclass
class Results:
    """The records of a run beside the items that it had to measure.

    `expected` holds the items of every task that a suite asked for, by (task, id); `absent` are the tasks asked for
    that the data does not have; `narrowed` tells whether options selected a part of the data. `fingerprint` says under
    which conditions the records were made (see `fingerprint.py`).
    """

    records: list[Record]
    expected: Mapping[tuple[str, str], Item]
    fingerprint: Fingerprint = field(default_factory=Fingerprint)
    left_out: tuple[LeftOut, ...] = ()
    absent: frozenset[str] = frozenset()
    narrowed: bool = False

    @cached_property
    def metrics(self) -> list[Metric]:
        """All metrics of the run."""
        return compute_metrics(self.records, self.halves)

    @property
    def halves(self) -> bool:
        """Whether a dataset of two halves counts by the mean of their correlations, as the paper does it."""
        return self.fingerprint.scoring is not None and self.fingerprint.scoring.halves

    @cached_property
    def diagnostics(self) -> list[Metric]:
        """Numbers beside the metrics, which no gate judges (see `diagnostics.py`)."""
        return diagnose(self.records, self.expected)

    def metric(self, name: str, dataset: str | None = None, slice: str | None = None) -> Metric:
        """Return one metric or diagnostic; raises `KeyError` with what there is."""
        for metric in self.metrics if name in METRICS else self.diagnostics:
            if (metric.name, metric.dataset, metric.slice) == (name, dataset, slice):
                return metric
        known = sorted({(m.name, m.dataset or "*") for m in (*self.metrics, *self.diagnostics)})
        raise KeyError(f"no metric {name!r} of dataset {dataset!r}, slice {slice!r}; there are {known}")

    def datasets(self, task: str) -> list[str]:
        """Names of the datasets that were expected for a task, in order."""
        return list(dict.fromkeys(item.dataset for (t, _), item in self.expected.items() if t == task))

    def of(self, name: str, dataset: str | None = None) -> list[Record]:
        """The records of a metric's task (and of one dataset)."""
        task = task_of(name)
        return [r for r in self.records if r.task == task and dataset in (None, r.dataset)]

    def missing(self, task: str, dataset: str | None = None) -> list[str]:
        """Ids of expected items of a task without a record."""
        return [item.id for item in self._missing if item.task == task and dataset in (None, item.dataset)]

    @cached_property
    def _missing(self) -> list[Item]:
        have = {(r.task, r.item) for r in self.records}
        return [item for key, item in self.expected.items() if key not in have]

    def counts(self) -> ItemCounts:
        """Count the items by what became of them."""
        status = [r.status for r in self.records]
        unparsed, errors = status.count("unparsed"), status.count("error")
        return ItemCounts(
            total=len(self.expected),
            scored=len(status) - unparsed - errors,
            unparsed=unparsed,
            errors=errors,
            cut=sum(has(r, "cut") for r in self.records),
        )


def has(record: Record, status: str) -> bool:
    """Tell whether a record has a status; ``cut`` stands for a reply that the token limit ended."""
    return record.finish == CUT if status == "cut" else record.status == status


def share(records: Iterable[Record], status: str) -> float:
    """Return the share of the records with a status (see `has`); 0 for no records."""
    found = [has(r, status) for r in records]
    return sum(found) / len(found) if found else 0.0
