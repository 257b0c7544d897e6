"""The history of several runs: each metric over time with its interval, and changes of the baseline."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pytest_qbench.errors import UsageError
from pytest_qbench.escaping import cell
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.report.charts import Point, line_chart
from pytest_qbench.report.finished_run import FinishedRun, read_finished
from pytest_qbench.report.headline import JudgedRow, format_date, format_time, headline, tone_of, word_of
from pytest_qbench.report.labels import change_text, own_interval, plural, row_label, short_name, value_text
from pytest_qbench.report.markup import Markup, joined, table, tag
from pytest_qbench.report.page import assemble, main, navigation
from pytest_qbench.report.since_anchor import anchor_changes
from pytest_qbench.report.text_table import aligned
from pytest_qbench.runs.summary import SUMMARY

TOTALS = ("perception.accuracy", "description.sum", "assessment.srcc")
COLUMNS = (
    "run", "began", "verdict", "model", "data", "baseline", "baseline_recorded", "baseline_changed", "metric",
    "dataset", "split", "slice", "value", "ci_lower", "ci_upper", "items", "baseline_value", "delta", "metric_verdict",
    "anchor_recorded", "anchor_delta",
)  # fmt: skip


@dataclass(frozen=True)
class PastRun:
    """A run of the history. `series` names its model and data.

    `baseline_changed` says whether its baseline differs from that of the previous run of the series.
    """

    run: FinishedRun
    series: str
    baseline_changed: bool

    @property
    def is_baseline(self) -> bool:
        """Whether this run became the baseline."""
        return self.run.summary.baseline.written is not None


@dataclass(frozen=True)
class History:
    """The runs of a folder, oldest first. `left_out` has a message for each folder without a finished run."""

    folder: Path
    past: tuple[PastRun, ...]
    left_out: tuple[str, ...]


def read_history(folder: Path) -> History:
    """Return the history of the run folders in `folder`. Raises `UsageError` if there are none."""
    if not folder.is_dir():
        raise UsageError(f"--history={folder}: no such folder; name the folder that holds the run folders")
    runs: list[FinishedRun] = []
    left_out = []
    for path in sorted(p for p in folder.iterdir() if p.is_dir()):
        try:
            runs.append(read_finished(path))
        except UsageError as e:
            left_out.append(str(e))
    if not runs:
        reason = f" ({left_out[0]})" if left_out else ""
        raise UsageError(f"--history={folder}: holds no finished run, no */{SUMMARY} of this version{reason}")
    runs.sort(key=lambda run: (run.summary.began, run.folder.name))
    past = []
    compared: dict[str, Any] = {}
    for run in runs:
        series, base = _series(run), _baseline(run)
        past.append(PastRun(run, series, series in compared and compared[series] != base))
        compared[series] = base
    return History(folder, tuple(past), tuple(left_out))


def _series(run: FinishedRun) -> str:
    """Return the name of a run's series: model and data, and what makes a run a control."""
    made = run.summary.fingerprint
    parts = [made.model_name, made.data, made.control]
    return ", ".join(str(part) for part in parts if part)


def _baseline(run: FinishedRun) -> tuple[str | None, str | None]:
    return run.summary.baseline.name, run.summary.baseline.recorded


def metric_rows(found: History) -> list[list[Any]]:
    """Return one row per run and metric with the columns `COLUMNS`. None stands for a missing value."""
    return [
        [*_run_cells(past), m.name, m.dataset, m.split, m.slice, m.value, *(m.ci or (None, None)), m.n, m.baseline,
         m.delta, m.verdict, *_anchor_cells(past.run, m)]
        for past in found.past
        for m in past.run.metrics
    ]  # fmt: skip


def _anchor_cells(run: FinishedRun, m: Metric) -> list[Any]:
    """Return the date of the anchor and the change since, for a total."""
    if run.summary.anchor is None or m.slice is not None or (m.name, m.dataset) not in (found := anchor_changes(run)):
        return [None, None]
    return [run.summary.anchor.recorded, found[m.name, m.dataset]]


def _run_cells(past: PastRun) -> list[Any]:
    summary = past.run.summary
    return [
        past.run.folder.name, summary.began, summary.verdict, summary.fingerprint.model_name,
        summary.fingerprint.data, *_baseline(past.run), past.baseline_changed,
    ]  # fmt: skip


def write_csv(found: History, path: Path) -> None:
    """Write `metric_rows` as CSV. Text that looks like a formula gets an apostrophe in front. Raises `OSError`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([cell(value) for value in row] for row in metric_rows(found))


def history_lines(found: History) -> list[str]:
    """Return a table for the terminal: one row per run with its totals and verdict."""
    names = [name for name in TOTALS if any(past.run.of(name) for past in found.past)]
    anchored = any(past.run.summary.anchor for past in found.past)
    head = ["run", "began", *(short_name(name) for name in names), *(["since the anchor"] * anchored), "verdict"]
    rows = [head]
    for past in found.past:
        run = past.run
        totals = [_total(run, name) for name in names]
        mark = " (another baseline)" if past.baseline_changed else " (became the baseline)" if past.is_baseline else ""
        distance = [_since_anchor(run)] * anchored
        rows.append([run.folder.name, run.summary.began[:16], *totals, *distance, run.summary.verdict + mark])
    return [*aligned(rows, left=2), *(f"left out: {reason}" for reason in found.left_out)]


def _since_anchor(run: FinishedRun) -> str:
    """Return the changes since the anchor as text, means instead of their datasets."""
    found = anchor_changes(run)
    means = {name for name, dataset in found if dataset is None}
    shown = [
        f"{short_name(name)} {change_text(name, delta)}"
        for (name, dataset), delta in found.items()
        if delta is not None and (dataset is None or name not in means)
    ]
    return ", ".join(shown) or "-"


def _total(run: FinishedRun, name: str) -> str:
    """Return the mean of a metric over datasets. If there is none, return the value of each dataset."""
    rows = [m for m in run.of(name) if m.slice is None]
    chosen = [m for m in rows if m.dataset is None] or rows
    return ", ".join(value_text(name, m.value) for m in chosen) or "-"


def history_page(found: History, where: Path | None = None) -> str:
    """Return the history as an HTML page: a table of the runs, then a chart per gated metric.

    `where` is the path of the page. With it, each run links to its own page.
    """
    newest = found.past[-1]
    parts = [
        ("runs", "Runs", _run_table(found, where)),
        ("gated", "Gated metrics", tag("div", *_charts(found, _gated(found)), class_="charts")),
        ("all", "All metrics", _others(found)),
    ]
    title = f"{plural(len(found.past), 'run')} in {found.folder}"
    left_out = [tag("li", f"left out: {reason}") for reason in found.left_out]
    head = tag(
        "header", tag("p", "Q-Bench · history", class_="eyebrow"),
        tag("h1", f"Newest run: {headline(newest.run)}", id="verdict", class_=tone_of(word_of(newest.run))),
        tag("p", title, id="about"), tag("ul", *left_out, id="notes") if left_out else "",
    )  # fmt: skip
    return assemble(title, joined(head, navigation(parts), main(parts)))


def _run_table(found: History, where: Path | None) -> Markup:
    names = [name for name in TOTALS if any(past.run.of(name) for past in found.past)]
    head = ["run", "date", "model, data", "commit", *(short_name(name) for name in names), "verdict", "baseline"]
    anchored = any(past.run.summary.anchor for past in found.past)
    head += ["since the anchor"] * anchored
    rows = []
    for number, past in reversed(list(enumerate(found.past, 1))):
        run = past.run
        commit = (run.summary.commit or "")[:8]
        word = word_of(run)
        baseline = " of ".join(format_date(part) if i else part for i, part in enumerate(filter(None, _baseline(run))))
        baseline += " (changed)" if past.baseline_changed else " (became the baseline)" if past.is_baseline else ""
        rows.append([
            tag("td", f"{number} ", _linked(run, where), data_column="run"), format_time(run.summary.began),
            past.series, commit, *(_total(run, name) for name in names),
            tag("span", word.lower(), class_=f"chip {tone_of(word)}"), baseline, *[_since_anchor(run)] * anchored,
        ])  # fmt: skip
    return table(head, rows)


def _linked(run: FinishedRun, where: Path | None) -> Markup:
    """Return the name of a run, with a link to its page if its folder, or the folder above, contains one."""
    name = run.folder.name
    for page in (run.folder / "report.html", run.folder.with_suffix(".html")):
        if where is not None and page.is_file():
            return tag("a", name, href=quote(os.path.relpath(page, where.parent)))
    return tag("span", name)


def _gated(found: History) -> list[str]:
    """Return the names of the metrics that a gate has judged in any run. Without gates, return the main metrics."""
    judged = dict.fromkeys(row.name for past in found.past for gate in past.run.gates for row in gate.rows)
    return list(judged) or [name for name in TOTALS if any(past.run.of(name) for past in found.past)]


def _charts(found: History, names: Sequence[str]) -> list[Markup]:
    made = []
    for name in names:
        lines: dict[str, list[Point]] = {}
        for at, past in enumerate(found.past):
            verdicts = {
                (row.dataset, row.slice): JudgedRow(g, row)
                for g in past.run.gates
                for row in g.rows
                if row.name == name and row.against is None
            }
            for m in past.run.of(name):
                if m.slice is None and m.value is not None:
                    one = verdicts.get((m.dataset, None))
                    label = m.dataset or row_label(m)
                    lines.setdefault(_line(past, label), []).append(_point(at, past, m, one))
        if lines:
            marks = [at for at, past in enumerate(found.past) if past.baseline_changed]
            chart = line_chart(list(lines.items()), len(found.past), marks, f"{name} over time")
            made.append(tag("div", tag("h3", short_name(name)), chart, class_="chart"))
    return made


def _line(past: PastRun, label: str) -> str:
    """Return the name of a run's line in a chart: the dataset. Each kind of control has its own line."""
    return " ".join(filter(None, (label, past.run.summary.fingerprint.control)))


def _point(at: int, past: PastRun, m: Metric, one: JudgedRow | None) -> Point:
    title = f"run {at + 1}, {past.run.folder.name}: {value_text(m.name, m.value)} {own_interval(m)}, {m.n:,} items"
    verdict = f", {one.verdict}" if one else ""
    assert m.value is not None
    return Point(at, m.value, m.ci, one.tone if one else "none", title + verdict)


def _others(found: History) -> Markup:
    gated = _gated(found)
    others = dict.fromkeys(m.name for past in found.past for m in past.run.metrics if m.name not in gated)
    charts = _charts(found, list(others))
    return tag("details", tag("summary", f"{plural(len(charts), 'chart')} more"), tag("div", *charts, class_="charts"))
