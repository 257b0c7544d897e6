"""The console command `qbench`: what there is to run, and what a finished run says, without a model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_qbench import __version__
from pytest_qbench.errors import UsageError


def models(arguments: argparse.Namespace) -> None:
    """Print the aliases that --qbench-model knows."""
    from pytest_qbench.models.specs import aliases

    for name, alias in aliases().items():
        target = "embedded" if alias.packaged else alias.target
        print(f"{name:20}  {target:50}  {alias.notes}")


def datasets(arguments: argparse.Namespace) -> None:
    """Print the datasets that there are, embedded and in --data."""
    from pytest_qbench.data.listing import HEADER, listing
    from pytest_qbench.report.tables import aligned

    print("\n".join(aligned([HEADER, *listing(arguments.data)], left=len(HEADER))))
    if arguments.data is None:
        print("others: name a data folder with --data=DIR, or --data=hf for the hub and its cache")


def report(arguments: argparse.Namespace) -> None:
    """Print what a finished run measured."""
    from pytest_qbench.report.finished import report

    print("\n".join(report(arguments.run_folder, arguments.scoring)))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status (4: usage)."""
    parser = argparse.ArgumentParser(prog="qbench", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("models", help="list the aliases for --qbench-model").set_defaults(run=models)
    listed = commands.add_parser("datasets", help="list the data there is: place, items, hash, licence")
    listed.add_argument("--data", metavar="DIR", help="look in this data folder too, or hf")
    listed.set_defaults(run=datasets)
    told = commands.add_parser("report", help="show a finished run")
    told.add_argument("run_folder", type=Path, metavar="RUN", help="a run folder")
    told.add_argument("--scoring", choices=["all"], help="compare the ways to a quality score, from recorded logits")
    told.set_defaults(run=report)
    arguments = parser.parse_args(argv)
    try:
        arguments.run(arguments)
    except UsageError as e:
        print(f"qbench: {e}", file=sys.stderr)
        return 4
    return 0
