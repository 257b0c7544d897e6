"""`qbench sign RUN --key=KEY`: sign a finished run with an SSH key, so that another machine can judge it."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_qbench.cli.command import Commands, show


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("sign", help="sign a finished run with an SSH key")
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="the run folder")
    parser.add_argument(
        "--key", type=Path, required=True, metavar="FILE",
        help="the private SSH key, or the public key of a private key that ssh-agent holds",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Sign the run and print the number of signed files."""
    from pytest_qbench.evidence.manifest import SIGNATURE, sign_run
    from pytest_qbench.runs.read import read_run, read_summary

    folder = arguments.run_folder
    read_run(folder)  # an unfinished or damaged run is no evidence
    count = sign_run(folder, arguments.key.expanduser())
    show(f"SIGNED: {folder}, {count} files, {SIGNATURE}; verdict: {read_summary(folder).verdict}")
