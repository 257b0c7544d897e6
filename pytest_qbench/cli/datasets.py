"""`qbench datasets`: list the embedded datasets, or those in --data."""

from __future__ import annotations

import argparse

from pytest_qbench.cli.command import Commands, show


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("datasets", help="list the available datasets: place, items, hash, licence")
    parser.add_argument("--data", metavar="DIR", help="list this data folder, or hf for the hub and its cache")
    parser.add_argument(
        "--check", action="store_true", help="with --data: decode every image and list missing and damaged ones"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print datasets and unread files. Return 1 if there is no dataset, or one or an image cannot be read."""
    from pathlib import Path

    from pytest_qbench.data.listing import HEADER, listing
    from pytest_qbench.data.load import EXPECTED, unread
    from pytest_qbench.errors import UsageError
    from pytest_qbench.report.labels import plural
    from pytest_qbench.report.text_table import aligned

    if arguments.check and arguments.data is None:
        raise UsageError("datasets: --check needs --data=DIR")
    found = list(listing(arguments.data))
    table = aligned([HEADER, *(row.cells for row in found)], left=len(HEADER))
    show("\n".join(table) if found else f"no dataset found; expected {EXPECTED}")
    for row in found:
        if row.meaning:
            show(row.meaning)
    for entry in unread(arguments.data, Path()) if arguments.data else ():
        show(f"not read: {entry.entry}: {entry.reason}")
    if arguments.data is None:
        show("for other datasets: --data=DIR for a data folder, --data=hf for the hub and its cache")
    faults = [fault for row in found if arguments.check for fault in row.image_faults()]
    for fault in faults:
        show(fault)
    unread_datasets = sum(not row.readable for row in found)
    if arguments.check:
        text = f"{len(faults)} images are missing or damaged" if faults else "every image can be decoded"
        show(
            f"{text}; not checked: {plural(unread_datasets, 'dataset')} that cannot be read"
            if unread_datasets
            else text
        )
    return int(not found or bool(faults) or bool(unread_datasets))
