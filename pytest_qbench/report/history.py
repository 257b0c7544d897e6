"""Past runs in a row: how each metric went over time, with its interval, and where the baseline changed."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_qbench.errors import UsageError
from pytest_qbench.metrics.metrics import Metric
from pytest_qbench.report.finished_run import Finished, read_finished
from pytest_qbench.report.labels import name_of, row_label
from pytest_qbench.report.page import assemble
from pytest_qbench.report.text_table import aligned
from pytest_qbench.runs.read import SUMMARY

COLUMNS = (
    "run", "began", "verdict", "model", "data", "baseline", "baseline_recorded", "baseline_changed", "metric",
    "dataset", "split", "slice", "value", "ci_lower", "ci_upper", "items", "baseline_value", "delta", "metric_verdict",
)  # fmt: skip


@dataclass(frozen=True)
class Past:
    """A run, what it is a run of, and whether it was compared with another baseline than the one before it."""

    run: Finished
    series: str
    baseline_changed: bool

    @property
    def recorded(self) -> bool:
        """Whether this run became the baseline."""
        return "written" in self.run.summary["baseline"]


@dataclass(frozen=True)
class History:
    """The runs of a folder, the oldest first; `left_out` names the folders that are no finished run, and why."""

    folder: Path
    past: tuple[Past, ...]
    left_out: tuple[str, ...]


def history(folder: Path) -> History:
    """Read every run folder in `folder`; raises `UsageError` where there is none."""
    if not folder.is_dir():
        raise UsageError(f"--history={folder}: no such folder; name the folder that holds the run folders")
    runs: list[Finished] = []
    left_out = []
    for path in sorted(p for p in folder.iterdir() if p.is_dir()):
        try:
            runs.append(read_finished(path))
        except UsageError as e:
            left_out.append(str(e))
    if not runs:
        reason = f" ({left_out[0]})" if left_out else ""
        raise UsageError(f"--history={folder}: holds no finished run, no */{SUMMARY} of this version{reason}")
    runs.sort(key=lambda run: (run.summary["began"], run.folder.name))
    past = []
    compared: dict[str, Any] = {}
    for run in runs:
        series, base = _series(run), _baseline(run)
        past.append(Past(run, series, series in compared and compared[series] != base))
        compared[series] = base
    return History(folder, tuple(past), tuple(left_out))


def _series(run: Finished) -> str:
    """Runs of one series measure the same: the name of the model, the data and the way to look at it."""
    made = run.summary["fingerprint"]
    parts = [(run.summary["model"] or {}).get("name"), made.get("data"), "blind" if made.get("blind") else None]
    return ", ".join(str(part) for part in parts if part)


def _baseline(run: Finished) -> tuple[str | None, str | None]:
    told = run.summary["baseline"]
    return told["name"], told.get("recorded")


def table(found: History) -> list[list[Any]]:
    """One row per run and metric, in the order of `COLUMNS`; None where there is no value."""
    return [
        [*_run_cells(past), m.name, m.dataset, m.split, m.slice, m.value, *(m.ci or (None, None)), m.n, m.baseline,
         m.delta, m.verdict]
        for past in found.past
        for m in past.run.metrics
    ]  # fmt: skip


def _run_cells(past: Past) -> list[Any]:
    summary = past.run.summary
    return [
        past.run.folder.name, summary["began"], summary["verdict"], (summary["model"] or {}).get("name"),
        summary["fingerprint"].get("data"), *_baseline(past.run), past.baseline_changed,
    ]  # fmt: skip


def write_csv(found: History, path: Path) -> None:
    """Write `table`; raises `OSError`. A text that a spreadsheet would take for a formula gets an apostrophe."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([_harmless(cell) for cell in row] for row in table(found))


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def lines(found: History) -> list[str]:
    """The runs as a table for the terminal: their totals over time."""
    names = ("perception.accuracy", "description.sum", "assessment.srcc")
    head = ["run", "began", *(name for name in names), "verdict"]
    rows = [head]
    for past in found.past:
        run = past.run
        totals = [_total(run, name) for name in names]
        mark = " (another baseline)" if past.baseline_changed else " (became the baseline)" if past.recorded else ""
        rows.append([run.folder.name, str(run.summary["began"])[:16], *totals, str(run.summary["verdict"]) + mark])
    return [*aligned(rows, left=2), *(f"left out: {reason}" for reason in found.left_out)]


def _total(run: Finished, name: str) -> str:
    """The total of a metric: its mean over datasets where there is one, else each dataset's."""
    rows = [m for m in run.of(name) if m.slice is None]
    chosen = [m for m in rows if m.dataset is None] or rows
    return " ".join("undefined" if m.value is None else f"{m.value:.4f}" for m in chosen) or "-"


def history_page(found: History) -> str:
    """The history as a page of its own."""
    runs = [
        {
            "run": past.run.folder.name, "began": past.run.summary["began"], "verdict": past.run.summary["verdict"],
            "series": past.series, "baseline": list(_baseline(past.run)), "changed": past.baseline_changed,
            "recorded": past.recorded, "metrics": [_point(m) for m in past.run.metrics],
        }
        for past in found.past
    ]  # fmt: skip
    data = {"folder": str(found.folder), "runs": runs, "left_out": found.left_out}
    return assemble("Q-Bench: history", "history", json.loads(json.dumps(data)))


def _point(m: Metric) -> list[Any]:
    return [f"{name_of(m)} {row_label(m)}", m.value, m.ci, m.n, m.baseline, m.slice is None]
