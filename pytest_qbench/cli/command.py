"""The commands of `qbench`, one module each: `add` declares its arguments, `run` does it.

`run` returns the exit status, None for 0, and raises `UsageError` for what cannot be done (exit status 4).
"""

from __future__ import annotations

import argparse
from typing import Protocol


class Commands(Protocol):
    """What `argparse.ArgumentParser.add_subparsers` returns."""

    def add_parser(self, name: str, *, help: str) -> argparse.ArgumentParser:
        """Declare a command."""
        ...
