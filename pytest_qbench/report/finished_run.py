"""`FinishedRun`, the input of all reports: a run read from its folder, without model, data or baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pytest_qbench.baseline.snapshot import SNAPSHOT
from pytest_qbench.items import Item
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.records import Record, read_records
from pytest_qbench.report.thumbnails import read_thumbnails
from pytest_qbench.runs.explanation import Explanation, read_explanation
from pytest_qbench.runs.items_file import read_items
from pytest_qbench.runs.read import read_records_of, read_summary
from pytest_qbench.runs.summary import Summary
from pytest_qbench.runs.summary_parts import Gate

Key = tuple[str, str]  # task and item


@dataclass(frozen=True)
class RunData:
    """The items and records of a comparison, which no run folder contains. `before` holds the records of run A."""

    items: Mapping[Key, Item]
    records: Mapping[Key, Record]
    before: Mapping[Key, Record]


@dataclass(frozen=True)
class FinishedRun:
    """A run folder and its summary. Records and items are in `data`, or are read from the folder on first access."""

    folder: Path
    summary: Summary
    data: RunData | None = None

    @property
    def metrics(self) -> Sequence[Metric]:
        """All metrics, diagnostics included."""
        return self.summary.metrics

    @property
    def gates(self) -> Sequence[Gate]:
        """The results of the gates."""
        return self.summary.gates

    @cached_property
    def records(self) -> Mapping[Key, Record]:
        """Records by task and item."""
        if self.data is not None:
            return self.data.records
        return read_records_of(self.folder, self.summary)

    @cached_property
    def items(self) -> Mapping[Key, Item]:
        """Items by task and id."""
        if self.data is not None:
            return self.data.items
        return {(item.task, item.id): item for item in read_items(self.folder)}

    @cached_property
    def before(self) -> Mapping[Key, Record]:
        """The baseline's records of the same items, by task and item. Empty without a baseline."""
        if self.data is not None:
            return self.data.before
        path = self.folder / SNAPSHOT
        return {(r.task, r.item): r for r in read_records(path)} if path.exists() else {}

    @cached_property
    def explanation(self) -> Explanation | None:
        """Why the run differs from its baseline, None if nobody asked."""
        return None if self.data is not None else read_explanation(self.folder)

    @cached_property
    def thumbnails(self) -> dict[str, str]:
        """Thumbnails as data URLs, by the name of the image."""
        return read_thumbnails(self.folder)

    def of(self, name: str) -> list[Metric]:
        """Return all rows of one metric."""
        return [m for m in self.metrics if m.name == name]

    def of_dataset(self, task: str, dataset: str) -> list[Record]:
        """Return the records of one dataset."""
        return [r for r in self.records.values() if (r.task, r.dataset) == (task, dataset)]


def read_finished(folder: Path) -> FinishedRun:
    """Return the run in a folder. Raises `UsageError` if the folder does not hold a finished run."""
    return FinishedRun(folder, read_summary(folder))
