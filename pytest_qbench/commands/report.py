"""`qbench report`: what a finished run measured."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_qbench.commands import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    told = commands.add_parser("report", help="show a finished run")
    told.add_argument("run_folder", type=Path, metavar="RUN", help="a run folder")
    told.add_argument("--scoring", choices=["all"], help="compare the ways to a quality score, from recorded logits")
    told.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the report."""
    from pytest_qbench.report.finished import report

    print("\n".join(report(arguments.run_folder, arguments.scoring)))
