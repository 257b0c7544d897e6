"""A finished run as one page: data, plotting library, style and script in one file that asks the network for nothing.

The data lies in the page compressed; the script (assets/page.js) shows it as text, never as markup. A content
security policy names each script by its hash, so that nothing else can run or be fetched.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from dataclasses import asdict
from importlib import resources
from string import Template
from typing import Any

from pytest_qbench.report.breakdowns import heat, rounds
from pytest_qbench.report.finished_run import Finished
from pytest_qbench.report.item_table import columns, rounded
from pytest_qbench.report.labels import name_of, row_label
from pytest_qbench.report.notices import remarks
from pytest_qbench.report.outliers import outliers

POINTS = 4000  # of a database that its scatter draws beside the outliers; more look the same and cost seconds


def page(run: Finished) -> str:
    """The page of a run, as HTML."""
    return assemble(f"Q-Bench: {run.summary['verdict']}", "page", payload(run), run.thumbnails)


def payload(run: Finished) -> dict[str, Any]:
    """What the script of the page gets, JSON-ready."""
    summary = run.summary
    position = {key: i for i, key in enumerate(run.items)}
    return {
        "summary": {
            key: summary.get(key)
            for key in (
                "verdict",
                "began",
                "seconds",
                "baseline",
                "items",
                "notes",
                "errors",
                "missing",
                "left_out",
                "sight",
                "changes",
            )
        },
        "model": (summary["model"] or {}).get("name"),
        "folder": str(run.folder),
        "remarks": remarks(run),
        "conditions": [
            [key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]
            for key, value in summary["fingerprint"].items()
            if value is not None
        ],
        "metrics": [{**asdict(m), "label": f"{name_of(m)} {row_label(m)}"} for m in run.metrics],
        "gates": [
            {
                **asdict(gate),
                "rows": [{**asdict(row), "label": f"{name_of(row)} {row_label(row)}"} for row in gate.rows],
                "lost": [[position[gate.task, m.item], m.before, m.after] for m in gate.lost],
                "gained": [[position[gate.task, m.item], m.before, m.after] for m in gate.gained],
            }
            for gate in run.gates
        ],
        "heat": heat(run.records.values(), run.before.values()),
        "rounds": rounds(run.records.values()),
        "outliers": {
            dataset: [[position[r.task, r.item], rounded(moved)] for r, moved in found]
            for dataset, found in outliers(run.records.values()).items()
        },
        "points": POINTS,
        "items": columns(run),
    }


def assemble(title: str, script: str, data: Any, thumbnails: dict[str, str] | None = None) -> str:
    """Put a page together: `script` names the script and the body in assets/; `data` is what the script gets."""
    from plotly.offline import get_plotlyjs

    scripts = [get_plotlyjs(), asset("common.js") + asset(f"{script}.js")]
    packed = gzip.compress(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(), 6, mtime=0)
    pictures = json.dumps(thumbnails or {}, ensure_ascii=False).replace("<", "\\u003c")
    policy = (
        f"default-src 'none'; script-src {' '.join(map(_hash, scripts))}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    return Template(asset("frame.html")).substitute(
        title=html.escape(title), policy=policy, style=asset("page.css"), body=asset(f"{script}.html"),
        data=base64.b64encode(packed).decode(), pictures=pictures, plotly=scripts[0], script=scripts[1],
    )  # fmt: skip


def asset(name: str) -> str:
    """A file of the page."""
    return resources.files("pytest_qbench.report").joinpath("assets", name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
