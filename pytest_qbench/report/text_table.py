"""Plain-text tables."""

from __future__ import annotations

from collections.abc import Sequence

Rows = Sequence[Sequence[str]]
LEAST = 12  # columns that a shortened name keeps


def aligned(rows: Rows, left: int = 1, width: int | None = None) -> list[str]:
    """Align the columns of `rows`, all of one length: the first `left` to the left, the rest to the right.

    Where a `width` is given, names in the first column are shortened in their middle to fit it.
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    if width is not None and (over := _width(widths) - width) > 0:
        widths[0] = min(widths[0], max(LEAST, widths[0] - over))
        rows = [[shortened(row[0], widths[0]), *row[1:]] for row in rows]
    return [
        "  "
        + "  ".join(
            c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def split_to_fit(rows: Rows, at: int, width: int) -> list[list[str]]:
    """One table where `rows` fit into `width`, else two: the columns before `at`, and the first with the others."""
    if _width([max(len(row[i]) for row in rows) for i in range(len(rows[0]))]) <= width:
        return [aligned(rows, width=width)]
    parts = [row[:at] for row in rows], [[row[0], *row[at:]] for row in rows]
    # A row that is blank beyond its name has nothing to show there.
    return [aligned([row for row in part if any(row[1:])], width=width) for part in parts]


def shortened(text: str, length: int) -> str:
    """At most `length` characters of `text`, its middle left out."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return text[:head] + "…" + text[len(text) - (length - 1 - head) :]


def _width(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * len(widths)
