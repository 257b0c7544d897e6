"""`qbench github`: show a run on GitHub, as a comment on the pull request, annotations and a check."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qbench.cli.command import Commands
from pytest_qbench.errors import UsageError

if TYPE_CHECKING:
    from pytest_qbench.github.api import Api
    from pytest_qbench.github.conclusion import Conclusion

BOT = "github-actions[bot]"


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("github", help="in a workflow of GitHub: comment on the pull request, annotate, check")
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="the run folder, finished or not")
    parser.add_argument("--status", type=int, required=True, metavar="N", help="the exit status of pytest")
    parser.add_argument("--name", default="Q-Bench", help="of check and comment, one for each model. Default: Q-Bench")
    parser.add_argument("--author", default=BOT, metavar="LOGIN", help=f"who owns the token. Default: {BOT}")
    parser.add_argument("--no-comment", action="store_true", help="write no comment")
    parser.add_argument("--no-check", action="store_true", help="create no check")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the annotations, write comment and check, and return the status with which the job should end.

    A comment or check that GitHub refuses is a warning: a pull request from a fork has a token that may only read.
    """
    from pytest_qbench.escaping import one_line
    from pytest_qbench.github.annotations import annotation_lines
    from pytest_qbench.github.api import Api
    from pytest_qbench.github.conclusion import conclude

    if not one_line(arguments.name).strip():
        raise UsageError("--name: a name is needed")
    silent = arguments.no_comment and arguments.no_check
    api = None if silent else Api.from_environment(os.environ)
    found = conclude(arguments.run_folder, arguments.status)
    for line in annotation_lines(found, arguments.name):
        print(line)  # not escaped: these are the workflow commands, whose texts are
    if api is not None:
        _publish(api, arguments, found)
    if output := os.environ.get("GITHUB_OUTPUT"):
        try:
            with Path(output).open("a", encoding="utf-8") as file:
                file.write(f"conclusion={found.word}\nstatus={found.status}\n")
        except OSError as e:
            raise UsageError(f"GITHUB_OUTPUT={output}: cannot be written: {e.strerror}") from e
    return found.status


def _publish(api: Api, arguments: argparse.Namespace, found: Conclusion) -> None:
    from pytest_qbench.github.api import GitHubError
    from pytest_qbench.github.check import create_check
    from pytest_qbench.github.comment import body, keep_comment
    from pytest_qbench.github.event import read_event

    event = read_event(os.environ)
    if not arguments.no_check and event.commit:
        try:
            create_check(api, arguments.name, event.commit, found)
            print(f"check: {found.word}")
        except GitHubError as e:
            print(f"::warning title=no check::{e}; the job needs the permission checks: write")
    if not arguments.no_comment and event.number is not None:
        try:
            text = body(found, arguments.name, event.commit, os.environ)
            done = keep_comment(api, event.number, arguments.author, text)
            print(f"comment: {done}")
        except GitHubError as e:
            print(f"::warning title=no comment::{e}; the job needs the permission pull-requests: write")
