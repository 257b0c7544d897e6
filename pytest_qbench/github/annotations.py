"""Annotations of a workflow: one line per judged row, with its numbers, as workflow commands on standard output."""

from __future__ import annotations

from pytest_qbench.errors import NOT_MEASURED
from pytest_qbench.escaping import one_line
from pytest_qbench.github.conclusion import Conclusion
from pytest_qbench.report.headline import JudgedRow, judged_rows
from pytest_qbench.report.labels import before_text, change_text, interval_text, size_text, value_text

MOST = 10  # annotations of each level that GitHub keeps of one step
_LEVELS = {"good": "notice", "open": "warning", "bad": "error"}
_LEVEL_OF = {"success": "notice", "neutral": "warning", "failure": "error"}


def annotation_lines(found: Conclusion, name: str) -> list[str]:
    """Return the workflow commands: the verdict, then the rows, worst first. The last of a level counts the others."""
    title = {NOT_MEASURED: f"{name}: not measured"}.get(found.status, name)
    lines = [_command(_LEVEL_OF[found.word], title, found.headline)]
    rows = judged_rows(found.run) if found.run else []
    by_level: dict[str, list[JudgedRow]] = {"error": [], "warning": [], "notice": []}
    for row in rows:
        by_level[_LEVELS[row.tone]].append(row)
    for level, ours in by_level.items():
        room = MOST - (level == _LEVEL_OF[found.word])
        shown = ours if len(ours) <= room else ours[: room - 1]
        lines += [_command(level, f"{name}: {row.label}", _text(row)) for row in shown]
        if more := len(ours) - len(shown):
            lines.append(_command(level, name, f"{more} more rows, in the report"))
    return lines


def _text(row: JudgedRow) -> str:
    """Return the numbers of a row: values, change with interval, margin; and the reason where there are none."""
    m = row.row
    if m is None or m.value is None:
        return f"{row.verdict}: {row.gate.reason}"
    value = value_text(m.name, m.value)
    if m.delta is None:
        return f"{row.verdict}: {value}; {row.gate.reason}"
    interval = "" if m.delta_ci is None else f" in {interval_text(m)}"
    return (
        f"{row.verdict}: {before_text(m)} -> {value}, change {change_text(m.name, m.delta)}{interval}, "
        f"margin {size_text(m.name, m.margin)}, {m.n:,} items"
    )


def _command(level: str, title: str, text: str) -> str:
    shown = one_line(title).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={shown}::{one_line(text).replace('%', '%25')}"
