"""`qbench report`: show a finished run, or the history of several runs."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from pytest_qbench.cli.command import Commands, show
from pytest_qbench.errors import UsageError


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("report", help="show a finished run, or the history of several runs with --history")
    parser.add_argument("run_folder", type=Path, nargs="?", metavar="RUN", help="a run folder")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the page to this file")
    parser.add_argument("--md", type=Path, metavar="FILE", help="write the report as Markdown to this file")
    parser.add_argument(
        "--scoring", choices=["all"], help="compare all ways to compute a quality score from the recorded logits"
    )
    parser.add_argument("--history", type=Path, metavar="DIR", help="show all run folders in DIR, oldest first")
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="with --history: write every metric of every run to this file"
    )
    parser.add_argument(
        "-v", "--verbose", action="count", default=0,
        help="also show tables, reasons, changed items and conditions; -vv shows each wrong item too",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the report and write the requested files."""
    if (arguments.run_folder is None) == (arguments.history is None):
        raise UsageError("report: name one run folder or --history=DIR")
    if arguments.history is not None:
        if arguments.md or arguments.scoring:
            raise UsageError("report: --history cannot be combined with --md and --scoring")
        return _history(arguments)
    if arguments.csv:
        raise UsageError("report: --csv needs --history=DIR")
    return _run(arguments)


def _run(arguments: argparse.Namespace) -> None:
    from pytest_qbench.report.finished_run import read_finished
    from pytest_qbench.report.rescoring import rescoring_lines
    from pytest_qbench.report.terminal import coloured, section
    from pytest_qbench.report.write import write_reports

    finished = read_finished(arguments.run_folder)
    _ = finished.records  # a folder that mixes two runs is refused, whatever is shown of it
    if arguments.scoring:
        show("\n".join(rescoring_lines(finished)))
    else:
        width = shutil.get_terminal_size().columns
        lines = section(finished, width, arguments.verbose)
        if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
            print("\n".join(map(coloured, lines)))  # `section` has escaped the lines; the colours must stay
        else:
            show("\n".join(line.text for line in lines))
    if unwritten := write_reports(finished, arguments.html, arguments.md):
        raise UsageError(unwritten[0])


def _history(arguments: argparse.Namespace) -> None:
    from pytest_qbench.report.history import history_lines, history_page, read_history, write_csv

    found = read_history(arguments.history)
    show("\n".join(history_lines(found)))
    try:
        if arguments.csv:
            write_csv(found, arguments.csv)
        if arguments.html:
            arguments.html.write_text(history_page(found, arguments.html), encoding="utf-8")
    except OSError as e:
        raise UsageError(f"{e.filename}: cannot be written: {e.strerror}") from e
