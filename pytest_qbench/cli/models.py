"""`qbench models`: list the aliases of --qbench-model."""

from __future__ import annotations

import argparse

from pytest_qbench.cli.command import Commands


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    commands.add_parser("models", help="list the aliases of --qbench-model").set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the aliases."""
    from pytest_qbench.models.specs import aliases

    for name, alias in aliases().items():
        target = "embedded" if alias.packaged else alias.target
        print(f"{name:20}  {target:50}  {alias.notes}")
