"""The summary of a run as lines of text, for pytest's terminal, a CI log and `qbench report`.

About ten lines show the judged rows and the verdict. -v adds the tables (`details.py`), -vv adds each wrong item.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_qbench.escaping import one_line, printable
from pytest_qbench.items import TASKS
from pytest_qbench.report.details import conditions, tables, wrong_items
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.headline import (
    JudgedRow,
    drift_lines,
    headline,
    judged_rows,
    largest_drops,
    level_text,
    next_step,
    subject,
    tone_of,
    totals,
    word_of,
)
from pytest_qbench.report.labels import (
    TASK_NAMES,
    before_text,
    change_text,
    interval_text,
    own_interval,
    plural,
    shortened_mean,
    size_text,
    slice_label,
    title_of,
    value_text,
)
from pytest_qbench.report.notices import error_kinds, notices
from pytest_qbench.report.since_anchor import since_anchor
from pytest_qbench.report.text_table import aligned, shortened, shortened_pair
from pytest_qbench.report.why_text import short_why_lines, why_lines
from pytest_qbench.runs.summary_parts import Flip

if TYPE_CHECKING:
    from pytest_qbench.gates.evaluate import GateResult
    from pytest_qbench.metrics.metric import Metric

COLOURS = {"good": "green", "bad": "red", "open": "yellow"}
SIGNS = {"good": ".", "bad": "x", "open": "?"}
NAMED = 10  # lost items that a failing gate lists


class Line(NamedTuple):
    """A line of text. `marks` are "bold", a colour, or both."""

    text: str
    marks: tuple[str, ...] = ()


def gate_text(result: GateResult) -> str:
    """Return the output of a failing gate: the reason, a table of the comparison, then the lost items."""
    lines = [f"{result.name} {result.verdict}: {result.reason}"]
    if compared := [m for m in result.rows if m.delta_ci is not None]:
        head = ["", "before", "now", "change", level_text(compared), "margin", "sees", "verdict"]
        rows = [
            [title_of(m), *_compared(m), size_text(m.name, m.margin), size_text(m.name, m.mde), m.verdict or "-"]
            for m in compared
        ]
        lines += aligned([head, *rows])
    if result.lost:
        counts = f"{plural(result.lost_count, 'item')} lost, {result.gained_count:,} gained"
        lines.append(f"{counts}; before -> now:")
        lines += [f"  {flip_text(flip)}" for flip in result.lost[:NAMED]]
        if result.lost_count > NAMED:
            lines.append(f"  ... and {result.lost_count - NAMED:,} more")
    return "\n".join(map(printable, lines))


def flip_text(flip: Flip) -> str:
    """Return a line about a changed item."""
    before, after = shortened_pair(_said(flip.before), _said(flip.after), 60)
    question = _flat(flip.question, 120)
    end = "" if not question else " " if question.endswith(("?", ".", "!", ":")) else ": "
    return f"{flip.item}: {question}{end}{before} -> {after}"


def coloured(line: Line) -> str:
    """Return a line with escape sequences for its marks, for a terminal without pytest."""
    codes = {"bold": "1", "red": "31", "green": "32", "yellow": "33"}
    marks = ";".join(codes[mark] for mark in line.marks)
    return f"\x1b[{marks}m{line.text}\x1b[0m" if marks else line.text


def section(run: FinishedRun, width: int, verbosity: int = 0) -> list[Line]:
    """Return the lines about a run. The verdict comes first and last.

    Tables fit into `width` columns, unless the shortest names are too long.
    """
    verdict = Line(headline(run), ("bold", COLOURS[tone_of(word_of(run))]))
    lines = [verdict, Line(" | ".join(subject(run)))]
    lines += _rows(run, width)
    lines += [Line(text) for text in [since_anchor(run)] if text]
    lines += _reasons(run, verbosity)
    if verbosity >= 0:
        lines += _warnings(run, verbosity)
    if run.explanation is not None:
        short = short_why_lines(run.explanation) if verbosity <= 0 else why_lines(run.explanation)
        lines += [Line(text, ("yellow",) if text.startswith("why:") else ()) for text in short]
    lines += _unmeasured(run, verbosity)
    lines += [Line(note, ("red",)) for note in run.summary.notes]
    lines += [Line(hint, ("yellow",)) for hint in run.summary.hints]
    if written := run.summary.baseline.written:
        lines += [Line(change) for change in run.summary.changes]
        lines.append(Line(f"baseline recorded: {written}"))
    lines += [Line(text) for text in run.summary.submissions]
    if verbosity > 0:
        lines += _details(run, width)
    if verbosity > 1:
        lines += [Line(text) for text in wrong_items(run)]
    if verbosity >= 0:
        lines += _lost(run, verbosity)
        lines += [Line(f"next: {step}") for step in next_step(run)]
    lines.append(Line(f"files: {_relative_path(run.folder)}"))
    return [Line(printable(line.text), line.marks) for line in (*lines, verdict)]


def _rows(run: FinishedRun, width: int) -> list[Line]:
    """Return one row per judged dataset. Without a comparison, return the main metrics."""
    rows = [one for one in judged_rows(run) if one.row is not None]
    compared = [one for one in rows if one.row is not None and one.row.delta is not None]
    if not compared:
        alone = totals(run)
        if not alone:
            return []
        cells = [[f"  {title_of(m)}", value_text(m.name, m.value), own_interval(m), f"{m.n:,}"] for m in alone]
        return [Line(text) for text in aligned([["", "value", "95 % interval", "items"], *cells], width=width)]
    head = ["", "before", "now", "change", level_text([one.row for one in compared if one.row]), "margin", ""]
    cells = []
    for one in rows:
        assert one.row is not None
        label = f"{SIGNS[one.tone]} {one.label}"
        cells.append([label, *_compared(one.row), size_text(one.row.name, one.row.margin), _verdict_cell(one)])
    if max(map(len, aligned([head, *cells], indent=""))) > width:
        cells = [[shortened_mean(label), *others] for label, *others in cells]
    table = aligned([head, *cells], width=width, indent="")
    return [Line(table[0], ("bold",)), *(
        Line(text, (COLOURS[one.tone],) if one.tone != "good" else ())
        for text, one in zip(table[1:], rows, strict=True)
    )]  # fmt: skip


def _compared(m: Metric) -> list[str]:
    return [before_text(m), value_text(m.name, m.value), change_text(m.name, m.delta), interval_text(m)]


def _verdict_cell(one: JudgedRow) -> str:
    """Return the last cell of a row: the verdict, and for an open verdict the drop that this run can detect."""
    assert one.row is not None
    if one.verdict == "inconclusive":
        sees = one.row.mde
        return "cannot tell" if sees is None else f"sees {size_text(one.row.name, sees)}".removesuffix(" pt")
    if one.is_identical:
        return "identical"
    return one.verdict.upper() if one.tone == "bad" else one.verdict


def _reasons(run: FinishedRun, verbosity: int) -> list[Line]:
    """Return the reason of each gate that failed or could not be judged, with -v of all gates."""
    names_by_reason: dict[tuple[str, str, str], list[str]] = {}
    for gate in run.gates:
        compared = any(row.delta is not None for row in gate.rows)
        if verbosity > 0 or gate.outcome == "fail" or (verbosity >= 0 and not compared and gate.outcome != "pass"):
            names_by_reason.setdefault((gate.word, gate.reason, JudgedRow(gate, None).tone), []).append(gate.name)
    return [
        Line(f"gate{'s' if len(names) > 1 else ''} {', '.join(names)}: {word} ({reason})", (COLOURS[tone],))
        for (word, reason, tone), names in names_by_reason.items()
    ]


def _warnings(run: FinishedRun, verbosity: int) -> list[Line]:
    """Return the lines about drift, falling slices and blindness, and the warnings. With -v, return all notices."""
    lines = [Line(f"! {text}", ("yellow",)) for text in drift_lines(run)]
    if slices := largest_drops(run):
        moved = ", ".join(
            f"{slice_label(m.slice or '')} {change_text(m.name, m.delta)} ({m.n:,} items)" for m in slices
        )
        lines.append(Line(f"! accuracy fell most on: {moved}", ("yellow",)))
    if found := run.summary.sight:
        adds = change_text("perception.accuracy", found.seeing - found.blind)
        values = (value_text("perception.accuracy", v) for v in (found.seeing, found.blind))
        lines.append(Line("accuracy with images {}, blind {}: images add {}".format(*values, adds)))
    return lines + [
        Line(one.text, ("yellow",) * one.is_warning)
        for one in notices(run)
        if one.is_warning or one.is_always_shown or verbosity > 0
    ]


def _unmeasured(run: FinishedRun, verbosity: int) -> list[Line]:
    """Return lines about items without a result: errors by kind, missing items, and entries left out of the data."""
    summary = run.summary
    lines = []
    for kind in error_kinds(run):
        names = ", ".join(kind.items[:3]) + (", ..." if kind.count > 3 else "")
        lines.append(Line(f"error: {kind.text} ({plural(kind.count, 'item')}: {names})", ("red",)))
        if kind.traceback and verbosity >= 0:
            lines += [Line(f"    {text}") for text in kind.traceback.rstrip().splitlines()]
    missing = summary.items.missing
    if missing:
        named = summary.missing
        most = len(named) if verbosity > 0 else 3
        more = ", ..." if missing > most else ""
        lines.append(Line(f"missing: {plural(missing, 'item')}: {', '.join(named[:most])}{more}", ("red",)))
    if summary.left_out:
        texts = [f"{' '.join(filter(None, (e.dataset, e.entry)))}: {e.reason}" for e in summary.left_out]
        if verbosity > 0:
            lines += [Line(f"left out: {text}") for text in texts]
        else:
            count = "1 entry" if len(texts) == 1 else f"{len(texts):,} entries"
            more = "; -v lists them" if len(texts) > 1 else ""
            lines.append(Line(f"left out: {count} of the data ({texts[0]}{more})"))
    return lines


def _lost(run: FinishedRun, verbosity: int) -> list[Line]:
    """Return the number of changed items by task, with -v also each of them."""
    moved = [gate for gate in run.gates if gate.lost_count or gate.gained_count]
    if not moved:
        return []
    lines: list[Line] = []
    if verbosity > 0:
        for gate in moved:
            lines += [*_moved("lost", gate.lost), *_moved("gained", gate.gained)]
            listed, count = len(gate.lost) + len(gate.gained), gate.lost_count + gate.gained_count
            if listed < count:
                lines.append(Line(f"  the {listed:,} largest moves of {count:,}"))
    counts = ", ".join(
        f"{TASK_NAMES[gate.task].lower()} {gate.lost_count:,} lost and {gate.gained_count:,} gained"
        for gate in sorted(moved, key=lambda gate: TASKS.index(gate.task))
    )
    return [*lines, Line(f"changed: {counts}")]


def _moved(word: str, moved: Iterable[Flip]) -> list[Line]:
    return [Line(f"  {word} {flip_text(flip)}") for flip in moved]


def _details(run: FinishedRun, width: int) -> list[Line]:
    lines = []
    for table in tables(run, width):
        lines += [Line(text, ("bold",) if i == 0 else ()) for i, text in enumerate(table)]
    lines.append(Line("  conditions", ("bold",)))
    return lines + [Line(shortened(text, width)) for text in conditions(run)]


def _relative_path(folder: Path) -> str:
    """Return a folder's path, relative to the current folder if it is inside."""
    here = Path.cwd()
    return os.path.relpath(folder, here) if folder.is_absolute() and folder.is_relative_to(here) else str(folder)


def _said(text: str | None) -> str:
    return "nothing" if text is None else one_line(text)


def _flat(text: str, most: int) -> str:
    flat = one_line(text)
    return flat if len(flat) <= most else flat[: most - 3] + "..."
