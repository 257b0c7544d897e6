"""The console command `qbench`: what there is to run, without running it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pytest_qbench import __version__
from pytest_qbench.errors import UsageError


def models() -> None:
    """Print the aliases that --qbench-model knows."""
    from pytest_qbench.models.specs import aliases

    for name, alias in aliases().items():
        target = "embedded" if alias.packaged else alias.target
        print(f"{name:20}  {target:50}  {alias.notes}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status (4: usage)."""
    parser = argparse.ArgumentParser(prog="qbench", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("models", help="list the aliases for --qbench-model").set_defaults(run=models)
    arguments = parser.parse_args(argv)
    try:
        arguments.run()
    except UsageError as e:
        print(f"qbench: {e}", file=sys.stderr)
        return 4
    return 0
