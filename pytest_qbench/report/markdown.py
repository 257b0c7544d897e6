"""A finished run as Markdown, for the step summary of a CI job or a comment on a change.

The headline and the judged rows come first; everything else is folded. Text from models, data files and folder names is
in code spans, where it cannot act as markup.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from pytest_qbench.escaping import one_line
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.headline import JudgedRow, drift_lines, headline, judged_rows, next_step, subject, totals
from pytest_qbench.report.labels import (
    before_text,
    change_text,
    interval_text,
    own_interval,
    plural,
    size_text,
    title_of,
    value_text,
)
from pytest_qbench.report.markdown_text import code, table
from pytest_qbench.report.notices import error_kinds, notices
from pytest_qbench.report.since_anchor import since_anchor
from pytest_qbench.report.why_markdown import why_markdown
from pytest_qbench.runs.summary_parts import Flip, Gate

FLIPS_SHOWN = 10  # lost and gained items of a gate that are listed, each
MOST = 1_000_000  # bytes: GitHub drops a step summary above 1 MiB
SIGNS = {"good": "✅", "bad": "❌", "open": "❔"}
CUT = "\n\nThe report was cut here: it is larger than GitHub shows. The run folder holds all of it.\n"


def markdown(run: FinishedRun, most: int = MOST) -> str:
    """Return the report in GitHub's Markdown. If it exceeds `most` bytes, the last blocks are left out."""
    text, size = "", 0
    for block in _blocks(run):
        size += len(block.encode()) + 2
        if size > most - len(CUT):
            return text + CUT
        text += ("\n\n" if text else "") + block
    return text + "\n"


def _blocks(run: FinishedRun) -> Iterator[str]:
    yield f"## Q-Bench: {code(headline(run))}"
    yield ", ".join(code(part) for part in subject(run))
    yield from _rows(run)
    if anchor := since_anchor(run):
        yield code(anchor)
    if lines := [
        *(f"- ⚠ {code(text)}" for text in drift_lines(run)),
        *(f"- next: {one_line(step)}" for step in next_step(run)),
    ]:
        yield "\n".join(lines)
    if lines := _problems(run):
        yield "\n".join(lines)
    if run.explanation is not None:
        yield from why_markdown(run.explanation)
    for gate in run.gates:
        yield from _flips(gate)
    yield from _folded("Gates", _gates(run))
    yield from _folded("All metrics", _metrics(run.metrics))
    yield from _folded("Notes", _notes(run))


def _folded(title: str, content: str | None) -> Iterator[str]:
    """Yield a block that opens on a click. The empty line lets GitHub read Markdown inside it."""
    if content:
        yield f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"


def _rows(run: FinishedRun) -> Iterator[str]:
    """Yield the table of the judged rows. Without a comparison, yield the table of the main numbers."""
    found = judged_rows(run)
    if any(one.row is not None and one.row.delta is not None for one in found):
        head = ["", "before", "now", "change", "interval", "margin", "verdict"]
        yield table(head, [_row(one) for one in found])
    elif numbers := totals(run):
        cells = [[code(title_of(m)), value_text(m.name, m.value), own_interval(m), f"{m.n:,}"] for m in numbers]
        yield table(["", "value", "95 % interval", "items"], cells)


def _row(one: JudgedRow) -> list[str]:
    name = f"{SIGNS[one.tone]} {code(one.label)}"
    m = one.row
    if m is None:
        return [name, "", "", "", "", "", one.verdict]
    verdict = f"**{one.verdict}**" if one.tone == "bad" else "identical" if one.is_identical else one.verdict
    return [
        name, before_text(m), value_text(m.name, m.value), change_text(m.name, m.delta), interval_text(m),
        size_text(m.name, m.margin), verdict,
    ]  # fmt: skip


def _problems(run: FinishedRun) -> list[str]:
    """Return the lines that must not be folded: notes, errors by kind, missing items."""
    lines = [f"- {code(note)}" for note in run.summary.notes]
    for kind in error_kinds(run):
        lines.append(f"- error: {code(kind.text)} ({plural(kind.count, 'item')}, first {code(kind.items[0])})")
    lines += [f"- missing: {code(item)}" for item in run.summary.missing]
    return lines


def _gates(run: FinishedRun) -> str | None:
    rows = [[code(gate.name), gate.word, code(gate.reason)] for gate in run.gates]
    return table(["gate", "verdict", "reason"], rows, left=3) if rows else None


def _metrics(metrics: Sequence[Metric]) -> str | None:
    rows = [
        [
            code(title_of(m)), value_text(m.name, m.value), before_text(m), change_text(m.name, m.delta),
            own_interval(m), f"{m.n:,}",
        ]
        for m in metrics
    ]  # fmt: skip
    return table(["metric", "value", "baseline", "change", "95 % interval", "items"], rows) if rows else None


def _flips(gate: Gate) -> Iterator[str]:
    if not gate.lost_count and not gate.gained_count:
        return
    rows = [*_moved("lost", gate.lost, gate.lost_count), *_moved("gained", gate.gained, gate.gained_count)]
    title = f"{gate.name}: {plural(gate.lost_count, 'item')} lost, {gate.gained_count:,} gained"
    yield from _folded(html.escape(one_line(title)), table(["", "item", "question", "before", "now"], rows, left=5))


def _moved(way: str, moved: Sequence[Flip], count: int) -> list[list[str]]:
    rows = [
        [way, code(m.item), code(m.question), code(m.before or "-"), code(m.after or "-")] for m in moved[:FLIPS_SHOWN]
    ]
    more = count - len(rows)
    return [*rows, *([[way, f"{more:,} more", "", "", ""]] if more else [])]


def _notes(run: FinishedRun) -> str:
    lines = [f"- {code(notice.text)}" for notice in notices(run)]
    left_out = run.summary.left_out
    lines += [f"- left out: {code(e.entry)}: {code(e.reason)}" for e in left_out[:FLIPS_SHOWN]]
    if len(left_out) > FLIPS_SHOWN:
        lines.append(f"- left out: {len(left_out) - FLIPS_SHOWN:,} more, in `summary.json`")
    lines.append(f"- files: {code(str(run.folder))}")
    return "\n".join(lines)
