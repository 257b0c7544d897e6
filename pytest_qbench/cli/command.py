"""The interface of a subcommand's module: `add` declares its arguments, `run` executes it.

`run` returns the exit status (None: 0). It raises `UsageError`, exit status 4, for wrong arguments or input.
"""

from __future__ import annotations

import argparse
from typing import Protocol


class Commands(Protocol):
    """The result of `argparse.ArgumentParser.add_subparsers`."""

    def add_parser(self, name: str, *, help: str) -> argparse.ArgumentParser:
        """Add the parser of a subcommand."""
        ...
