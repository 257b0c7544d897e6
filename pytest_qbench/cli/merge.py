"""`qbench merge RUN... --out DIR`: the shards of a run as one run folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_qbench.cli.command import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    joined = commands.add_parser("merge", help="join the run folders of all shards of a run")
    joined.add_argument("run_folders", type=Path, nargs="+", metavar="RUN", help="the run folder of a shard")
    joined.add_argument("--out", type=Path, required=True, metavar="DIR", help="the new run folder")
    joined.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Join them."""
    from pytest_qbench.runs.merge import merge

    merged = merge(arguments.run_folders, arguments.out)
    found = merged.counts()
    print(f"{arguments.out}: {found['total']} items of {len(arguments.run_folders)} shards: {found['scored']} scored, "
          f"{found['unparsed']} unparsed, {found['errors']} errors")  # fmt: skip
    print(f"judge it with: qbench compare BASELINE {arguments.out}")
