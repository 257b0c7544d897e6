"""`qbench datasets`: list the embedded datasets and those in --data."""

from __future__ import annotations

import argparse

from pytest_qbench.cli.command import Commands


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("datasets", help="list the available datasets: place, items, hash, licence")
    parser.add_argument("--data", metavar="DIR", help="also list this data folder, or hf for the hub and its cache")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the datasets."""
    from pytest_qbench.data.listing import HEADER, listing
    from pytest_qbench.report.text_table import aligned

    print("\n".join(aligned([HEADER, *listing(arguments.data)], left=len(HEADER))))
    if arguments.data is None:
        print("for other datasets: --data=DIR for a data folder, --data=hf for the hub and its cache")
