"""A finished run as its folder tells it: everything that reports show, without model, data or baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pytest_qbench.baseline.snapshot import BEFORE
from pytest_qbench.items import Item
from pytest_qbench.metrics.metrics import Metric
from pytest_qbench.records import RECORDS, Record, read_records
from pytest_qbench.report.thumbnails import read_thumbnails
from pytest_qbench.runs.items_file import read_items
from pytest_qbench.runs.read import read_summary
from pytest_qbench.runs.summary import Summary
from pytest_qbench.runs.summary_parts import Gate

Key = tuple[str, str]  # task and item


@dataclass(frozen=True)
class Held:
    """Items and records of a comparison, which lie in no single run folder."""

    items: Mapping[Key, Item]
    records: Mapping[Key, Record]
    before: Mapping[Key, Record]


@dataclass(frozen=True)
class Finished:
    """A run folder and its summary; everything larger is read when it is asked for, unless it is `held`."""

    folder: Path
    summary: Summary
    held: Held | None = None

    @property
    def metrics(self) -> Sequence[Metric]:
        """All metrics, diagnostics included."""
        return self.summary.metrics

    @property
    def gates(self) -> Sequence[Gate]:
        """The gates that ran."""
        return self.summary.gates

    @cached_property
    def records(self) -> Mapping[Key, Record]:
        """What came out, by task and item."""
        if self.held is not None:
            return self.held.records
        return {(r.task, r.item): r for r in read_records(self.folder / RECORDS)}

    @cached_property
    def items(self) -> Mapping[Key, Item]:
        """What was asked."""
        if self.held is not None:
            return self.held.items
        return {(item.task, item.id): item for item in read_items(self.folder)}

    @cached_property
    def before(self) -> Mapping[Key, Record]:
        """What the baseline held for the same items; empty where the run was compared with none."""
        if self.held is not None:
            return self.held.before
        path = self.folder / BEFORE
        return {(r.task, r.item): r for r in read_records(path)} if path.exists() else {}

    @cached_property
    def thumbnails(self) -> dict[str, str]:
        """Small images as data URLs, by the name of the image."""
        return read_thumbnails(self.folder)

    def of(self, name: str) -> list[Metric]:
        """All rows of one metric."""
        return [m for m in self.metrics if m.name == name]

    def of_dataset(self, task: str, dataset: str) -> list[Record]:
        """The records of one dataset."""
        return [r for r in self.records.values() if (r.task, r.dataset) == (task, dataset)]


def read_finished(folder: Path) -> Finished:
    """Read the summary of a run folder; raises `UsageError` for a folder that is no finished run."""
    return Finished(folder, read_summary(folder))
