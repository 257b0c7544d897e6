"""`qbench merge RUN... --out DIR`: join the shards of a run into one run folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_qbench.cli.command import Commands, show


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("merge", help="join the run folders of all shards of a run")
    parser.add_argument("run_folders", type=Path, nargs="+", metavar="RUN", help="the run folder of a shard")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the new run folder")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Join the run folders and print the counts."""
    from pytest_qbench.runs.merge import merge

    merged = merge(arguments.run_folders, arguments.out)
    counts = merged.counts()
    show(f"{arguments.out}: {counts.total} items of {len(arguments.run_folders)} shards: "
          f"{counts.scored} scored, {counts.unparsed} unparsed, {counts.errors} errors")  # fmt: skip
    show(f"evaluate its gates with: qbench compare BASELINE {arguments.out}")
