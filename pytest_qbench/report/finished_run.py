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
from pytest_qbench.records import RECORDS, Record, read_records
from pytest_qbench.report.thumbnails import read_thumbnails
from pytest_qbench.runs.items_file import read_items
from pytest_qbench.runs.read import SUMMARY, read_summary

_KEYS = {"began", "items", "notes", "baseline"}  # what reports show beyond what every summary holds

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

    @property
    def task(self) -> str:
        """The task of its metric."""
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Finished:
    """A run folder and its summary; everything larger is read when it is asked for."""

    folder: Path
    summary: Mapping[str, Any]

    @cached_property
    def metrics(self) -> list[Metric]:
        """All metrics, diagnostics included."""
        return [metric(m) for m in self.summary["metrics"]]

    @cached_property
    def gates(self) -> list[Gate]:
        """The gates that ran."""
        return [
            Gate(
                g["name"], g["verdict"], g["outcome"], g["reason"], tuple(map(metric, g["rows"])),
                tuple(Flip(**m) for m in g["lost"]), tuple(Flip(**m) for m in g["gained"]),
            )
            for g in self.summary["gates"]
        ]  # fmt: skip

    @cached_property
    def records(self) -> dict[Key, Record]:
        """What came out, by task and item."""
        return {(r.task, r.item): r for r in read_records(self.folder / RECORDS)}

    @cached_property
    def items(self) -> dict[Key, Item]:
        """What was asked."""
        return {(item.task, item.id): item for item in read_items(self.folder)}

    @cached_property
    def before(self) -> dict[Key, Record]:
        """What the baseline held for the same items; empty where the run was compared with none."""
        path = self.folder / BEFORE
        return {(r.task, r.item): r for r in read_records(path)} if path.is_file() else {}

    @cached_property
    def thumbnails(self) -> dict[str, str]:
        """Small images as data URLs, by the name of the image."""
        return read_thumbnails(self.folder)

    def of(self, name: str) -> list[Metric]:
        """All rows of one metric."""
        return [m for m in self.metrics if m.name == name]


def metric(data: Mapping[str, Any]) -> Metric:
    """A row of `summary.json` as a metric; raises `TypeError` for another shape."""
    pairs = {key: tuple(data[key]) for key in ("ci", "delta_ci") if data.get(key) is not None}
    return Metric(**{**data, **pairs})


def read_finished(folder: Path) -> Finished:
    """Read the summary of a run folder; raises `UsageError` for a folder that is no finished run."""
    found = read_summary(folder)
    if not found.keys() >= _KEYS:
        raise UsageError(f"{folder / SUMMARY}: has no {', '.join(sorted(_KEYS - found.keys()))}; run again")
    finished = Finished(folder, found)
    try:
        _ = finished.metrics, finished.gates
    except (TypeError, KeyError) as e:
        raise UsageError(f"{folder / SUMMARY}: no summary of this version: {e}; run again") from e
    return finished
