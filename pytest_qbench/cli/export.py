"""`qbench export`: write a finished run in the format of another tool."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_qbench.cli.command import Commands, show
from pytest_qbench.exports.formats import FORMATS


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("export", help="write a finished run for CTRF, MLflow, W&B, OpenTelemetry, ...")
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument("--to", required=True, choices=tuple(FORMATS), help="the format")
    parser.add_argument(
        "--out", metavar="PLACE",
        help="file, folder or (mlflow) address of the tracking store. Default: "
        + ", ".join(f"{one.out} ({name})" for name, one in FORMATS.items()),
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Write the export, and print its place and the outcome that it carries."""
    from pytest_qbench.exports.formats import export
    from pytest_qbench.report.finished_run import read_finished
    from pytest_qbench.report.outcome import outcome_of

    finished = read_finished(arguments.run_folder)
    outcome = outcome_of(finished)
    place = export(finished, arguments.to, arguments.out)
    missing = f", {len(outcome.missing):,} items missing" if outcome.missing else ""
    show(f"{arguments.to}: {place} ({outcome.word}{missing})")
