"""MkDocs hook: writes options, fixtures, commands and metrics into docs/reference.md from the code itself."""

from __future__ import annotations

import argparse
import inspect
from importlib import import_module
from typing import Any


def options() -> str:
    from pytest_qbench.options import OPTIONS

    rows = ["| option | in the pytest configuration | meaning |", "| --- | --- | --- |"]
    for o in OPTIONS:
        shown = o.name + (f"={o.metavar}" if o.metavar else "")
        rows.append(f"| `{shown}` | {f'`{o.dest}`' if o.ini else '-'} | {o.help} |".replace("auto|N", "auto\\|N"))
    return "\n".join(rows)


def fixtures() -> str:
    from pytest_qbench import fixtures as module

    names = [name for name in vars(module) if name.startswith("qbench_")]
    return "\n\n".join(f"### `{name}`\n\n{_doc(getattr(module, name))}" for name in names)


def _doc(fixture: Any) -> str:
    found = fixture._get_wrapped_function() if hasattr(fixture, "_get_wrapped_function") else fixture
    return inspect.getdoc(found) or ""


def commands() -> str:
    from pytest_qbench.cli import COMMANDS

    parser = argparse.ArgumentParser(prog="qbench")
    group = parser.add_subparsers()
    for name in COMMANDS:
        import_module(f"pytest_qbench.commands.{name}").add(group)  # type: ignore[arg-type]
    parts = []
    for name, one in group.choices.items():
        one.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=90)
        parts.append(f"### `qbench {name}`\n\n```text\n{one.format_help()}```")
    return "\n\n".join(parts)


def metrics() -> str:
    from pytest_qbench.metrics import DRIFTS, METRICS

    return "\n".join(f"- `{name}`" for name in (*METRICS, *DRIFTS))


MARKERS = {"<!-- options -->": options, "<!-- fixtures -->": fixtures, "<!-- commands -->": commands, "<!-- metrics -->": metrics}  # fmt: skip


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs calls this for every page."""
    for marker, made in MARKERS.items():
        if marker in markdown:
            markdown = markdown.replace(marker, made())
    return markdown
