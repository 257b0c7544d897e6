"""Pieces of Markdown: code spans for foreign texts, and tables."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_qbench.escaping import one_line

TEXT_SHOWN = 200
"""Maximum length of a foreign text in characters."""


def code(text: str) -> str:
    """Return a foreign text as a code span on one line, at most `TEXT_SHOWN` characters long."""
    flat = one_line(text) or " "
    cut = flat if len(flat) <= TEXT_SHOWN else flat[: TEXT_SHOWN - 1] + "…"
    fence = "`" * (max((len(run) for run in re.findall("`+", cut)), default=0) + 1)
    pad = " " if "`" in cut else ""
    return f"{fence}{pad}{cut}{pad}{fence}".replace("|", "\\|")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a table whose cells are already Markdown. The first `left` columns are left-aligned."""
    lines = [head, ["---" if i < left else "---:" for i in range(len(head))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
