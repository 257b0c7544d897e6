"""The distance of a run from the anchor of its baseline, beside that from the baseline itself."""

from __future__ import annotations

from dataclasses import replace

from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
from pytest_qbench.baseline.lineage import TOTALS
from pytest_qbench.baseline.snapshot import add_baseline_values, comparable_records
from pytest_qbench.metrics.results import Results
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.headline import format_date
from pytest_qbench.report.labels import change_text, plural, title_of
from pytest_qbench.runs.summary_parts import AnchorState


def anchor_state(
    results: Results, baseline: Baseline | MissingBaseline, anchor: Baseline | MissingBaseline
) -> AnchorState | None:
    """Return the totals of a run with those of the anchor on the same items; None without an anchor of its own.

    A total that cannot be compared, as under other conditions, has no change.
    """
    if isinstance(baseline, MissingBaseline) or isinstance(anchor, MissingBaseline) or anchor is baseline:
        return None
    rows = [m for m in results.metrics if m.name in TOTALS and m.slice is None]
    known = add_baseline_values(rows, comparable_records(results, anchor), results.averages_halves)
    dates = [each.recorded for each in baseline.lineage.ancestors]
    updates = len(dates) - dates.index(anchor.recorded) if anchor.recorded in dates else len(dates)
    return AnchorState(anchor.recorded, updates, tuple(replace(row, against="anchor") for row in known))


def since_anchor(run: FinishedRun) -> str | None:
    """Return a line with the change of each total since the anchor, and since the baseline; None without an anchor."""
    state = run.summary.anchor
    if state is None:
        return None
    now = {(m.name, m.dataset): m.delta for m in run.metrics if m.slice is None and m.against is None}
    parts = []
    for row in state.rows:
        title = title_of(replace(row, against=None))
        change = "not comparable" if row.delta is None else change_text(row.name, row.delta)
        latest = now.get((row.name, row.dataset))
        since = "" if latest is None else f" ({change_text(row.name, latest)} since the baseline)"
        parts.append(f"{title} {change}{since}")
    when = f"{format_date(state.recorded)}, {plural(state.updates, 'update')} ago"
    return f"since the anchor ({when}): {', '.join(parts)}"


def anchor_changes(run: FinishedRun) -> dict[tuple[str, str | None], float | None]:
    """Return the change since the anchor by metric and dataset."""
    return {} if run.summary.anchor is None else {(m.name, m.dataset): m.delta for m in run.summary.anchor.rows}
