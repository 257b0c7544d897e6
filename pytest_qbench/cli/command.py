"""The interface of a subcommand's module: `add` declares its arguments, `run` executes it.

`run` returns the exit status (None: 0). It raises `UsageError`, exit status 4, for wrong arguments or input.
"""

from __future__ import annotations

import argparse
from typing import Protocol

from pytest_qbench.escaping import printable


class Commands(Protocol):
    """The result of `argparse.ArgumentParser.add_subparsers`."""

    def add_parser(self, name: str, *, help: str) -> argparse.ArgumentParser:
        """Add the parser of a subcommand."""
        ...


def show(text: str, *, flush: bool = False) -> None:
    """Print lines of text, escaped so that they cannot act on the terminal or a CI job."""
    print(printable(text, lines=True), flush=flush)
