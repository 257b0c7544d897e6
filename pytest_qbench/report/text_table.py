"""Plain-text tables."""

from __future__ import annotations

from collections.abc import Sequence

Rows = Sequence[Sequence[str]]
LEAST = 12  # minimum length of a shortened name


def aligned(rows: Rows, left: int = 1, width: int | None = None, indent: str = "  ") -> list[str]:
    """Return one line per row, with the first `left` columns left-aligned and the others right-aligned.

    All rows have the same length. To fit a given `width`, the cells of the first column are shortened in the middle.
    """
    widths = _widths(rows)
    if width is not None and (over := _width(widths, indent) - width) > 0:
        widths[0] = min(widths[0], max(LEAST, widths[0] - over))
        rows = [[shortened(row[0], widths[0]), *row[1:]] for row in rows]
    return [
        indent
        + "  ".join(
            c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def split_to_fit(rows: Rows, at: int, width: int) -> list[list[str]]:
    """Return one table if `rows` fit into `width`, else two: the columns before `at`, then the first and the others."""
    if _width(_widths(rows), "  ") <= width:
        return [aligned(rows, width=width)]
    parts = [row[:at] for row in rows], [[row[0], *row[at:]] for row in rows]
    # A row with nothing but a name is left out.
    return [aligned([row for row in part if any(row[1:])], width=width) for part in parts]


def aligned_parts(rows: Rows, width: int | None) -> list[str]:
    """Return the lines of as many tables below each other as `width` needs; each begins with the first column."""
    if width is None:
        return aligned(rows)
    lines: list[str] = []
    start = 1
    while start < len(rows[0]):
        end = start + 1
        while end < len(rows[0]) and _width(_widths([[row[0], *row[start : end + 1]] for row in rows]), "  ") <= width:
            end += 1
        lines += aligned([[row[0], *row[start:end]] for row in rows], width=width)
        start = end
    return lines


def filled(parts: Sequence[str], width: int) -> list[str]:
    """Return the parts, joined by commas, on as few lines as possible."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(part) + 2 <= width:
            lines[-1] += f", {part}"
        else:
            lines.append(f"  {part}")
    return lines


def shortened(text: str, length: int) -> str:
    """Return `text` with its middle left out, at most `length` characters long."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return text[:head] + "…" + text[len(text) - (length - 1 - head) :]


def shortened_pair(before: str, after: str, length: int) -> tuple[str, str]:
    """Return two texts of at most `length` characters that show where they first differ."""
    ends = min(len(before), len(after))
    same = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), ends)
    start = 0 if same < length // 2 else same - length // 4
    return _part(before, start, length), _part(after, start, length)


def _part(text: str, start: int, length: int) -> str:
    """Return at most `length` characters of a text from `start` on, with an ellipsis for what is left out."""
    if len(text) <= length:
        return text
    start = min(start, len(text) - length + 1)
    part = text[start:] if start == 0 else "…" + text[start + 1 :]
    return part if len(part) <= length else part[: length - 1] + "…"


def _widths(rows: Rows) -> list[int]:
    return [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]


def _width(widths: Sequence[int], indent: str) -> int:
    return len(indent) + sum(widths) + 2 * (len(widths) - 1)
