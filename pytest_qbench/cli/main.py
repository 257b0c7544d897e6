"""Compare, explain and show finished runs, keep baselines, plan gates, check models: the command `qbench`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from pytest_qbench import __version__
from pytest_qbench.errors import UsageError
from pytest_qbench.untrusted.locks import check_system

COMMANDS = (
    "baseline",
    "compare",
    "datasets",
    "doctor",
    "export",
    "github",
    "lint",
    "merge",
    "models",
    "parity",
    "plan",
    "report",
    "sign",
    "study",
    "verify",
    "why",
)

BROKEN_PIPE_STATUS = 141
"""Exit status if the reader of a pipe closes it, as shells report SIGPIPE. Not 0: the verdict may be lost."""


class _Commands(argparse._SubParsersAction):  # type: ignore[type-arg] # argparse has no public name for it
    """The commands; what `qbench --help` says of one also opens its own help."""

    def add_parser(  # type: ignore[override] # every command has a help
        self, name: str, *, help: str, **options: Any
    ) -> argparse.ArgumentParser:
        """Add the parser of a command."""
        options.setdefault("description", f"{help[0].upper()}{help[1:]}.")
        parser: argparse.ArgumentParser = super().add_parser(name, help=help, **options)
        return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status, 4 for a usage error."""
    parser = argparse.ArgumentParser(prog="qbench", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, action=_Commands)
    for name in COMMANDS:
        import_module(f"pytest_qbench.cli.{name}").add(commands)
    arguments = parser.parse_args(argv)
    try:
        check_system()
        status = int(arguments.run(arguments) or 0)
        sys.stdout.flush()
    except UsageError as e:
        print(f"qbench: {e}", file=sys.stderr)
        return 4
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout again at exit
        return BROKEN_PIPE_STATUS
    return status
