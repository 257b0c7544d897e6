"""`qbench datasets`: the data there is, embedded and in --data."""

from __future__ import annotations

import argparse

from pytest_qbench.cli.command import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    listed = commands.add_parser("datasets", help="list the data there is: place, items, hash, licence")
    listed.add_argument("--data", metavar="DIR", help="look in this data folder too, or hf")
    listed.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the datasets and the files that are not read; return 1 where a dataset cannot be read."""
    from pathlib import Path

    from pytest_qbench.data.listing import HEADER, listing
    from pytest_qbench.data.load import unread
    from pytest_qbench.report.text_table import aligned

    found = list(listing(arguments.data))
    print("\n".join(aligned([HEADER, *(row.cells for row in found)], left=len(HEADER))))
    for row in found:
        if row.meaning:
            print(row.meaning)
    for entry in unread(arguments.data, Path()) if arguments.data else ():
        print(f"not read: {entry.entry}: {entry.reason}")
    if arguments.data is None:
        print("others: name a data folder with --data=DIR, or --data=hf for the hub and its cache")
    return int(any(not row.readable for row in found))
