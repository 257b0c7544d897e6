"""Write `docs/reference.md` from the code: options, commands and fixtures. mkdocs calls this hook when it builds the site."""

from __future__ import annotations

import argparse
import inspect
from importlib import import_module
from typing import Any

from mkdocs.structure.files import File, Files

from pytest_qbench.cli.main import COMMANDS
from pytest_qbench.plugin import fixtures
from pytest_qbench.session.options import OPTIONS


def reference() -> str:
    """Return the page in Markdown."""
    return "\n\n".join([
        "# Reference", "Made from the code.",
        "## Options of pytest", _table(["option", "in the configuration", "meaning"], [_option(o) for o in OPTIONS]),
        "## Commands", *(part for name in COMMANDS for part in _command(name)),
        "## Fixtures", _table(["fixture", "what it gives"], _fixtures()),
    ]) + "\n"  # fmt: skip


def _option(option: Any) -> list[str]:
    value = f"={option.metavar}" if option.metavar else ""
    return [f"`{option.name}{value}`", f"`{option.dest}`" if option.ini else "", _plain(option.help)]


def _command(name: str) -> list[str]:
    parser = argparse.ArgumentParser(prog="qbench")
    commands = parser.add_subparsers()
    import_module(f"pytest_qbench.cli.{name}").add(commands)
    (action,) = [a for a in commands._choices_actions if a.dest == name]
    rows = [
        [f"`{', '.join(a.option_strings) or a.metavar or a.dest}`", _plain(a.help or "")]
        for a in commands.choices[name]._actions
        if a.dest != "help"
    ]
    return [
        f"### qbench {name}",
        f"{_plain(action.help or '')}.",
        *([_table(["argument", "meaning"], rows)] if rows else []),
    ]


def _fixtures() -> list[list[str]]:
    found = [(name, value) for name, value in vars(fixtures).items() if name.startswith("qbench_")]
    return [
        [f"`{name}`", _plain((inspect.getdoc(value) or "").partition("\n\n")[0])]
        for name, value in found
        if inspect.getdoc(value)
    ]


def _plain(text: str) -> str:
    flat = " ".join(text.split()).replace("%%", "%")
    return flat.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def on_files(files: Files, config: Any) -> Files:
    """Add the page to the site."""
    files.append(File.generated(config, "reference.md", content=reference()))
    return files
