"""`qbench lint --since=REF`: what made the gates weaker since a commit, and where the reason is missing."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_qbench.cli.command import Commands, show


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "lint", help="list weaker gates, limits and baselines since a commit; each needs a written reason"
    )
    parser.add_argument("--since", required=True, metavar="REF", help="a commit or branch, such as origin/main")
    parser.add_argument(
        "message", type=Path, nargs="?", metavar="MESSAGE",
        help="the file with the message of the next commit, whose staged files are compared (commit-msg hook)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print each weakness with its reasons. Return 1 if a reason is missing."""
    from pytest_qbench.policy.git import Repository
    from pytest_qbench.policy.reasons import explain
    from pytest_qbench.untrusted.files import SMALL, read_text

    repository = Repository.around(Path())
    message = None if arguments.message is None else read_text(arguments.message, SMALL)
    found = explain(repository, repository.base_of(arguments.since), message)
    for one in found:
        what = f"{one.weakness.kind}: {one.weakness.subject}: {one.weakness.text}"
        if one.missing:
            show(f"NO REASON: {what} (by {one.missing})")
        else:
            show(f"{what} (reason: {'; '.join(one.reasons)})")
    unexplained = sum(one.missing is not None for one in found)
    if unexplained:
        show(f'{unexplained} without a reason: write why into the commit message, as a line "Qbench-reason: ..."')
        return 1
    show(f"{len(found)} weaker, each with a reason" if found else "nothing became weaker")
    return 0
