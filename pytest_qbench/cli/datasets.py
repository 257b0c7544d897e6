"""`qbench datasets`: the data there is, embedded and in --data."""

from __future__ import annotations

import argparse

from pytest_qbench.cli.command import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    listed = commands.add_parser("datasets", help="list the data there is: place, items, hash, licence")
    listed.add_argument("--data", metavar="DIR", help="look in this data folder too, or hf")
    listed.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the datasets."""
    from pytest_qbench.data.listing import HEADER, listing
    from pytest_qbench.report.text_table import aligned

    print("\n".join(aligned([HEADER, *listing(arguments.data)], left=len(HEADER))))
    if arguments.data is None:
        print("others: name a data folder with --data=DIR, or --data=hf for the hub and its cache")
