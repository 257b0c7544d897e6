"""The console command `qbench`: what there is to run, and what finished runs say, without a model."""

from __future__ import annotations

import argparse
import os
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

CUT_OFF = 141
"""Exit status where who reads the output has gone: a shell's for SIGPIPE. Never green, the verdict may be lost."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status (4: usage)."""
    parser = argparse.ArgumentParser(prog="qbench", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        import_module(f"pytest_qbench.cli.{name}").add(commands)
    arguments = parser.parse_args(argv)
    try:
        status = int(arguments.run(arguments) or 0)
        sys.stdout.flush()
    except UsageError as e:
        print(f"qbench: {e}", file=sys.stderr)
        return 4
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return CUT_OFF
    return status
