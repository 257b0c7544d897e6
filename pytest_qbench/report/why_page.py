"""A whole page with one explanation, for `qbench why --html`."""

from __future__ import annotations

from pytest_qbench.report.markup import joined, tag
from pytest_qbench.report.page import assemble
from pytest_qbench.report.why_section import why_section
from pytest_qbench.runs.explanation import Explanation


def why_page(found: Explanation) -> str:
    """Return the page as HTML."""
    title = f"why {found.b} differs from {found.a}"
    tone = "bad" if found.first else "good"
    head = tag("header", tag("p", "Q-Bench", class_="eyebrow"), tag("h1", title, class_=tone))
    return assemble(title, joined(head, tag("main", tag("section", why_section(found), id="why"))))
