"""The console command `qbench`: what there is to run, and what finished runs say, without a model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from pytest_qbench import __version__
from pytest_qbench.errors import UsageError

COMMANDS = (
    "compare",
    "datasets",
    "doctor",
    "merge",
    "models",
    "plan",
    "report",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status (4: usage)."""
    parser = argparse.ArgumentParser(prog="qbench", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        import_module(f"pytest_qbench.commands.{name}").add(commands)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except UsageError as e:
        print(f"qbench: {e}", file=sys.stderr)
        return 4
