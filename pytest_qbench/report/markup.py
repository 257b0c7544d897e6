"""HTML and SVG from Python values: every text is escaped here, and nowhere else."""

from __future__ import annotations

import html
from typing import Any

from pytest_qbench.escaping import printable


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def escaped(value: Any) -> Markup:
    """A value as printable text of a page; markup as it is, None as nothing."""
    if isinstance(value, Markup):
        return value
    return Markup("" if value is None else html.escape(printable(str(value), lines=True), quote=True))


def tag(name: str, *children: Any, **attributes: Any) -> Markup:
    """An element. `class_` is the attribute "class", other underscores are hyphens; None and False leave one out."""
    told = "".join(
        _attribute(key, value) for key, value in attributes.items() if value is not None and value is not False
    )
    inner = "".join(map(escaped, children))
    return Markup(f"<{name}{told}>{inner}</{name}>")


def void(name: str, **attributes: Any) -> Markup:
    """An element without content or end tag, such as ``input``."""
    told = "".join(
        _attribute(key, value) for key, value in attributes.items() if value is not None and value is not False
    )
    return Markup(f"<{name}{told}>")


def joined(*parts: Any) -> Markup:
    """Texts and elements one after the other."""
    return Markup("".join(map(escaped, parts)))


def table(head: list[Any], rows: list[list[Any]], class_: str | None = None) -> Markup:
    """A table; each cell names its column, which a narrow screen shows beside it. An element ``td`` stays as it is."""
    top = tag("thead", tag("tr", *(tag("th", cell, scope="col") for cell in head)))
    body = [tag("tr", *(_cell(cell, name) for cell, name in zip(row, head, strict=True))) for row in rows]
    return tag("div", tag("table", top, tag("tbody", *body), class_=class_), class_="scroll")


def _cell(cell: Any, column: Any) -> Markup:
    if isinstance(cell, Markup) and cell.startswith("<td"):
        return cell
    return tag("td", cell, data_column=None if isinstance(column, Markup) else column)


def _attribute(key: str, value: Any) -> str:
    name = key.removesuffix("_").replace("__", ":").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escaped(value)}"'
