"""A finished run as one HTML page, which needs no network and is readable without its script.

Verdict, tables and charts are HTML and SVG. The script (assets/page.js) adds tabs, the list of all items and the dialog
of an item. The page contains the items in compressed form; the script shows them as text, never as markup. The content
security policy names the script by its hash, so that nothing else can run or be fetched.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from string import Template
from typing import Any

from pytest_qbench.escaping import printable_data
from pytest_qbench.report import sections
from pytest_qbench.report.cards import changed_items
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.headline import headline
from pytest_qbench.report.item_table import columns
from pytest_qbench.report.markup import Markup, escaped, joined, tag
from pytest_qbench.report.reference import reference_section
from pytest_qbench.report.why_section import why_section


def page(run: FinishedRun) -> str:
    """Return the page of a run as HTML."""
    names = list(run.thumbnails)
    panels = changed_items(run, names)
    unchanged = "No item changed, or there was nothing to compare with." if run.gates else None
    parts = [
        ("gates", "Gates", sections.gates(run)),
        ("why", "Why", why_section(run.explanation) if run.explanation else None),
        ("flips", "What changed", tag("div", *panels, class_="tabs") if panels else unchanged and tag("p", unchanged)),
        ("flaky", "Flaky items", sections.flaky(run)),
        ("heat", "Accuracy by type and concern", sections.heat_maps(run)),
        ("metrics", "Metrics", sections.metrics(run)),
        ("reference", "Chance and published rows", reference_section(run)),
        ("bias", "Yes rate and position bias", sections.answer_bias(run)),
        ("judge", "Rounds of the judge", sections.judge(run)),
        ("ranks", "Scores and MOS", sections.ranks(run, names)),
        ("items", "All items", Markup(asset("items.html"))),
        ("conditions", "Conditions", sections.conditions(run)),
    ]
    body = joined(
        _pictures(run.thumbnails), sections.header(run), navigation(parts), main(parts),
        tag("dialog", id="item", aria_label="Item"),
    )  # fmt: skip
    return assemble(headline(run), body, "page", {"items": columns(run), "pictures": names})


def navigation(parts: Sequence[tuple[str, str, Any]]) -> Markup:
    """Return links to those parts (id, title, content) that have content."""
    links = [tag("a", title, href=f"#{name}") for name, title, content in parts if content]
    return tag("nav", *links, aria_label="Parts of the report")


def main(parts: Sequence[tuple[str, str, Any]]) -> Markup:
    """Return those parts (id, title, content) that have content, each under its title."""
    return tag(
        "main",
        *(tag("section", tag("h2", title), content, id=name) for name, title, content in parts if content),
    )


def _pictures(thumbnails: Mapping[str, str]) -> Markup:
    """Return an invisible SVG that defines each thumbnail once. The cards refer to it."""
    symbols = [
        tag("symbol", tag("image", href=url, width=200, height=200), id=f"picture{i}", viewBox="0 0 200 200")
        for i, url in enumerate(thumbnails.values())
    ]
    return tag("svg", *symbols, width=0, height=0, class_="pictures", aria_hidden="true")


def assemble(title: str, body: Markup, script: str | None = None, data: Any = None) -> str:
    """Return a whole page. `script` names a script in assets/, and `data` is its input."""
    code = asset(f"{script}.js") if script else ""
    packed = gzip.compress(
        json.dumps(printable_data(data), ensure_ascii=False, separators=(",", ":")).encode(), 9, mtime=0
    )
    allowed = f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'" if script else "'none'"
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
        "form-action 'none'"
    )
    scripts = ""
    if script:
        encoded = base64.b64encode(packed).decode()
        scripts = f'<script type="application/gzip" id="data">{encoded}</script>\n<script>{code}</script>'
    return Template(asset("frame.html")).substitute(
        title=escaped(f"Q-Bench: {title}"), policy=policy, style=asset("page.css"), body=body, scripts=scripts
    )


def asset(name: str) -> str:
    """Return the text of a file in assets/."""
    return resources.files("pytest_qbench.report").joinpath("assets", name).read_text(encoding="utf-8")
