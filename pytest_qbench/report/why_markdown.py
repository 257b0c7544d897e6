"""Why two sides differ, as blocks of Markdown."""

from __future__ import annotations

from pytest_qbench.report.markdown_text import code, table
from pytest_qbench.report.why_text import HEAD, SLICE_HEAD, cells, slice_note, slice_rows
from pytest_qbench.runs.explanation import Explanation


def why_markdown(found: Explanation) -> list[str]:
    """Return the explanation as blocks of Markdown, without pictures."""
    rows = [[*cells(stage)[:5], code(detail) if (detail := cells(stage)[5]) else ""] for stage in found.stages]
    blocks = [f"### Why\n\n{code(found.verdict)}", f"A: {code(found.a)}, B: {code(found.b)}"]
    if lines := [
        *(f"- also on its own: {stage}" for stage in found.also),
        *(f"- {code(text)}" for text in found.causes),
        *(f"- differs: {code(text)}" for text in found.conditions),
        *(f"- not seen: {code(text)}" for text in found.unseen),
    ]:
        blocks.append("\n".join(lines))
    blocks.append(table(HEAD, rows, left=2))
    if found.slices:
        blocks.append(f"Slices: {slice_note(found)}")
        if slices := [[code(row[0]), *row[1:]] for row in slice_rows(found)]:
            blocks.append(table(SLICE_HEAD, slices))
    return blocks
