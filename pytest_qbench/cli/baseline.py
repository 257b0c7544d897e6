"""`qbench baseline RUN`: record a finished run, or merged shards, as a baseline."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qbench.cli.command import Commands, show
from pytest_qbench.errors import UsageError

if TYPE_CHECKING:
    from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
    from pytest_qbench.metrics.results import Results


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("baseline", help="record a finished run (or merged shards) as a baseline")
    parser.add_argument(
        "run_folder", type=Path, nargs="+", metavar="RUN",
        help="the run folder; several runs of one model give a baseline that holds the answers of all",
    )  # fmt: skip
    parser.add_argument("--name", help="name of the baseline. Default: the name that the run was compared with")
    parser.add_argument(
        "--baseline-dir", type=Path, default=Path("baselines"), metavar="DIR",
        help="the folder of baselines. Default: baselines",
    )  # fmt: skip
    parser.add_argument("--accept-regression", action="store_true", help="record the run even if it is worse")
    parser.add_argument(
        "--accept-lost-items", action="store_true", help="record the run even if it lacks items of the old baseline"
    )
    parser.add_argument("--max-errors", type=float, default=0.0, metavar="SHARE", help="tolerated. Default: 0")
    parser.add_argument("--max-unparsed", type=float, default=0.05, metavar="SHARE", help="tolerated. Default: 0.05")
    parser.add_argument("--max-cut", type=float, default=0.05, metavar="SHARE", help="tolerated. Default: 0.05")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Record the baseline and print the changes. Return 1 if the run is not eligible."""
    from pytest_qbench.baseline.align import align
    from pytest_qbench.baseline.baseline import MissingBaseline, changes
    from pytest_qbench.baseline.store import find_baseline, read_baseline, write_baseline
    from pytest_qbench.runs.combine import combine_runs
    from pytest_qbench.runs.read import read_summary

    folder, results = arguments.run_folder[0], combine_runs(arguments.run_folder)
    summary = read_summary(folder)
    name = arguments.name or summary.baseline.name or ""
    if not name or Path(name).name != name or name.startswith("."):
        raise UsageError(f"--name={name}: a plain name is needed, such as --name={folder.resolve().name}")
    path = find_baseline(arguments.baseline_dir, name)
    old: Baseline | MissingBaseline = align(read_baseline(path), results.expected) if path else MissingBaseline("none")
    if reason := _why_ineligible(arguments, results, old, summary.data.direction_stated):
        show(f"NOT RECORDED: {reason}")
        return 1
    written = write_baseline(arguments.baseline_dir, name, results)
    folders = ", ".join(map(str, arguments.run_folder))
    show(f"BASELINE RECORDED: {written}, {len(results.records):,} items of {folders}")
    for line in changes(old, results):
        show(line)
    return 0


def _why_ineligible(
    arguments: argparse.Namespace, results: Results, old: Baseline | MissingBaseline, stated: Collection[str]
) -> str | None:
    """Return the reason why this run cannot become the baseline, or None."""
    from pytest_qbench.baseline.baseline import MissingBaseline
    from pytest_qbench.baseline.eligibility import why_incomplete
    from pytest_qbench.gates.evaluate import DEFAULT_MARGINS, Limits, evaluate
    from pytest_qbench.gates.promotion import lost_items, unexcluded_drop
    from pytest_qbench.gates.targets import gated_tasks
    from pytest_qbench.metrics.direction import reversed_scales
    from pytest_qbench.metrics.specs import task_of

    fingerprint, limits = results.fingerprint, (arguments.max_errors, arguments.max_unparsed, arguments.max_cut)
    if fingerprint.selection and fingerprint.selection.shard:
        return "it is one shard; join all of them first with qbench merge"
    if fingerprint.control:
        return f"it is a control ({fingerprint.control}), which no gate can judge"
    control = fingerprint.judge_control
    if control and control.failed and results.datasets("description"):
        return f"the judge failed its control set: {control.failed}"
    if reason := why_incomplete(results, *limits) or next(iter(reversed_scales(results.metrics, stated)), None):
        return reason
    if isinstance(old, MissingBaseline):
        return None
    if not arguments.accept_lost_items and (lost := lost_items(old, results)):
        return f"{lost}; record it under another --name, or add --accept-lost-items"
    if arguments.accept_regression:
        return None
    names = [name for name in DEFAULT_MARGINS if task_of(name) in gated_tasks(results)]
    gates = [
        evaluate(name, results, old, Limits(*limits, max(1, len(names))), margin=DEFAULT_MARGINS[name])
        for name in names
    ]
    if regressed := [gate.name for gate in gates if gate.verdict == "regressed"]:
        return f"{', '.join(regressed)} regressed; accept it with --accept-regression"
    if broken := [gate for gate in gates if gate.verdict == "invalid" and not (gate.incomparable or gate.nothing)]:
        return f"{broken[0].name}: {broken[0].reason}"
    return f"{drop}, or add --accept-regression" if (drop := unexcluded_drop(gates)) else None
