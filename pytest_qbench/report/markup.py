"""Build HTML and SVG from Python values. All text is escaped here, and nowhere else."""

from __future__ import annotations

import html
from typing import Any

from pytest_qbench.escaping import printable


class Markup(str):
    """Text that is already markup and is not escaped again."""

    __slots__ = ()


def escaped(value: Any) -> Markup:
    """Return a value as escaped, printable text. Markup stays unchanged, and None becomes empty."""
    if isinstance(value, Markup):
        return value
    return Markup("" if value is None else html.escape(printable(str(value), lines=True), quote=True))


def tag(name: str, *children: Any, **attributes: Any) -> Markup:
    """Return an element. `class_` sets "class"; in other attribute names, underscores become hyphens.

    An attribute that is None or False is left out.
    """
    parts = "".join(
        _attribute(key, value) for key, value in attributes.items() if value is not None and value is not False
    )
    inner = "".join(map(escaped, children))
    return Markup(f"<{name}{parts}>{inner}</{name}>")


def void(name: str, **attributes: Any) -> Markup:
    """Return an element without content and end tag, such as ``input``."""
    parts = "".join(
        _attribute(key, value) for key, value in attributes.items() if value is not None and value is not False
    )
    return Markup(f"<{name}{parts}>")


def joined(*parts: Any) -> Markup:
    """Return texts and elements as one markup."""
    return Markup("".join(map(escaped, parts)))


def table(head: list[Any], rows: list[list[Any]], class_: str | None = None) -> Markup:
    """Return a table. Each cell names its column for narrow screens. A cell that is already ``td`` stays unchanged."""
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
