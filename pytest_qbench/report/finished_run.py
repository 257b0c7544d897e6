"""A finished run as its folder tells it: everything that reports show, without model, data or baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_qbench.baseline.snapshot import BEFORE
from pytest_qbench.errors import UsageError
from pytest_qbench.gates.flips import Flip
from pytest_qbench.items import Item
from pytest_qbench.metrics.metrics import Metric
from pytest_qbench.metrics.specs import task_of
from pytest_qbench.records import RECORDS, Record, read_records
from pytest_qbench.report.thumbnails import read_thumbnails
from pytest_qbench.runs.items_file import read_items
from pytest_qbench.runs.read import SUMMARY, read_summary
from pytest_qbench.untrusted.shape import Shape, check_shape

#: What reports show beyond what every summary holds.
_SHAPE: Shape = {
    "began": str, "model": (dict, None), "notes": [str], "baseline": {"name": (str, None)},
    "items": dict.fromkeys(("total", "scored", "unparsed", "errors"), int),
    "gates": [{"lost_count": int, "gained_count": int}],
}  # fmt: skip

Key = tuple[str, str]  # task and item


@dataclass(frozen=True, slots=True)
class Gate:
    """One judged gate. `outcome` is what its test ended in: pass, fail, inconclusive or not gated."""

    name: str
    verdict: str
    outcome: str
    reason: str
    rows: tuple[Metric, ...]
    lost: tuple[Flip, ...]
    gained: tuple[Flip, ...]
    lost_count: int
    gained_count: int
    is_measured: bool  # whether the run has numbers of its task

    @property
    def word(self) -> str:
        """The verdict for a reader: what was never judged is not called invalid."""
        if self.verdict == "regressed" and all(row.delta is None for row in self.rows):
            return "out of bounds"
        if self.verdict != "invalid" or self.outcome == "fail":
            return self.verdict
        if self.outcome == "pass":
            return "no baseline yet"
        return "not gated" if self.is_measured else "not measured"

    @property
    def task(self) -> str:
        """The task of its metric."""
        return self.name.partition(".")[0]


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
    summary: Mapping[str, Any]
    held: Held | None = None

    @cached_property
    def metrics(self) -> list[Metric]:
        """All metrics, diagnostics included."""
        return [metric(m) for m in self.summary["metrics"]]

    @cached_property
    def gates(self) -> list[Gate]:
        """The gates that ran."""
        measured = {task_of(m.name) for m in self.metrics}
        return [
            Gate(
                g["name"], g["verdict"], g["outcome"], g["reason"], tuple(map(metric, g["rows"])),
                tuple(Flip(**m) for m in g["lost"]), tuple(Flip(**m) for m in g["gained"]),
                g["lost_count"], g["gained_count"], task_of(g["name"]) in measured,
            )
            for g in self.summary["gates"]
        ]  # fmt: skip

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


def metric(data: Mapping[str, Any]) -> Metric:
    """A row of `summary.json` as a metric; raises `TypeError` for another shape."""
    pairs = {key: tuple(data[key]) for key in ("ci", "delta_ci") if data.get(key) is not None}
    return Metric(**{**data, **pairs})


def read_finished(folder: Path) -> Finished:
    """Read the summary of a run folder; raises `UsageError` for a folder that is no finished run."""
    found = read_summary(folder)
    finished = Finished(folder, found)
    try:
        check_shape(found, _SHAPE)
        _ = finished.metrics, finished.gates
    except (ValueError, TypeError, KeyError) as e:
        raise UsageError(f"{folder / SUMMARY}: no summary of this version: {e}; run again") from e
    return finished
