"""`qbench plan`: compute the number of items that a decision needs, or the drop that a number of items detects."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qbench.baseline.baseline import MissingBaseline
from pytest_qbench.cli.command import Commands, show
from pytest_qbench.errors import UsageError

if TYPE_CHECKING:
    from pytest_qbench.gates.planning import PowerTarget, Row


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("plan", help="compute the items that a decision needs, and suggest margins")
    parser.add_argument(
        "--drop",
        type=float,
        metavar="D",
        help="drop that should turn a run red. Default: 1.5, 2, 3 and 5 points; with --runs twice the margin",
    )
    parser.add_argument("--items", type=int, metavar="N", help="number of items. Default: 450, 1,495 and 2,990")
    parser.add_argument("--margin", type=float, default=0.01, metavar="M", help="margin of the gate. Default: 0.01")
    parser.add_argument("--power", type=float, default=0.8, metavar="P", help="chance of a decision. Default: 0.8")
    parser.add_argument(
        "--alpha", type=float, default=0.05, metavar="A", help="false-alarm probability of a run. Default: 0.05"
    )
    parser.add_argument(
        "--gates", type=int, default=3, metavar="K", help="number of gates, which share alpha. Default: 3"
    )
    parser.add_argument(
        "--discordance", type=float, nargs="+", metavar="S",
        help="fraction of the answers that differ between the two runs. Default: 0.02, 0.06 and 0.20",
    )  # fmt: skip
    parser.add_argument(
        "--runs", type=Path, nargs=2, metavar=("A", "B"), help="plan from two run folders or baselines instead"
    )
    parser.add_argument(
        "--suggest", type=Path, nargs="+", metavar="RUN",
        help="suggest margins from a baseline, or from two runs of one model",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the plan."""
    from pytest_qbench.gates.planning import DISCORDANCES, PowerTarget

    for option in ("drop", "power", "alpha", "margin"):
        value = getattr(arguments, option)
        if value is not None and not 0 < value < 1:
            raise UsageError(f"--{option}={value:g}: a number between 0 and 1 is needed")
    for option in ("items", "gates"):
        value = getattr(arguments, option)
        if value is not None and value < 1:
            raise UsageError(f"--{option}={value}: at least 1 is needed")
    if arguments.alpha >= 0.5:
        raise UsageError(f"--alpha={arguments.alpha:g}: below 0.5 is needed")
    discordances = arguments.discordance or DISCORDANCES
    if wrong := [share for share in discordances if not 0 <= share <= 1]:
        raise UsageError(f"--discordance={wrong[0]:g}: a number between 0 and 1 is needed")
    if arguments.runs and (arguments.discordance or arguments.items):
        raise UsageError("--runs takes discordance and items from the runs: drop --discordance and --items")
    if arguments.suggest:
        if len(arguments.suggest) > 2 or arguments.runs:
            raise UsageError("--suggest takes one baseline, or two runs of one model, and no --runs")
        show("\n".join(_suggested(arguments.suggest, arguments.gates)))
        return
    if not arguments.runs and arguments.drop is not None and arguments.drop <= arguments.margin:
        raise UsageError(f"--drop={arguments.drop:g}: no number of items turns a drop within --margin red")
    target = PowerTarget(arguments.power, arguments.alpha, arguments.gates)
    each = f"alpha {target.alpha:g} shared by {target.gates} gates" if target.gates > 1 else f"alpha {target.alpha:g}"
    lines = _from_runs(arguments, target) if arguments.runs else _tables(arguments, discordances, target)
    show(f"paired comparison, one-sided, {each}, power {target.power:g}")
    show("\n".join(lines))


def _tables(arguments: argparse.Namespace, discordances: Sequence[float], target: PowerTarget) -> list[str]:
    from pytest_qbench.gates.planning import DROPS, SIZES, detectable_drop, items_for_drop, items_for_pass
    from pytest_qbench.report.text_table import aligned

    margin = arguments.margin
    head = [f"{100 * share:g} % discordant" for share in discordances]
    lines = [f"margin {margin:g}"]
    if arguments.drop or not arguments.items:
        drops = [arguments.drop] if arguments.drop else [drop for drop in DROPS if drop > margin]
        rows = [
            [f"{drop:g}", *(f"{items_for_drop(drop, share, margin, target):,}" for share in discordances)]
            for drop in drops
        ]
        lines += aligned([["items with which a drop turns red", *head], *rows])
        if min(discordances) < max(drops):
            lines.append(
                "  a drop changes at least as many answers: where fewer are discordant, the drop itself counts"
            )
    if arguments.items or not arguments.drop:
        sizes = [arguments.items] if arguments.items else SIZES
        found = [[detectable_drop(size, share, margin, target) for share in discordances] for size in sizes]
        rows = [
            [f"{size:,}", *("none" if drop is None else f"{drop:.4f}" for drop in drops)]
            for size, drops in zip(sizes, found, strict=True)
        ]
        lines += aligned([["drop that turns red with items", *head], *rows])
    passing = [f"{items_for_pass(share, margin, target):,}" for share in discordances]
    return lines + aligned([["items with which an unchanged model passes", *head], [f"margin {margin:g}", *passing]])


def _from_runs(arguments: argparse.Namespace, target: PowerTarget) -> list[str]:
    from pytest_qbench.baseline.align import align
    from pytest_qbench.baseline.sources import read_candidate, read_reference
    from pytest_qbench.gates.evaluate import DEFAULT_MARGINS
    from pytest_qbench.gates.planning import Row, from_runs
    from pytest_qbench.report.text_table import aligned

    a, b = arguments.runs
    old = read_reference(a, 0.0, 1.0, 1.0)
    if isinstance(old, MissingBaseline):
        raise UsageError(old.reason)
    head = ["metric", "dataset", "items", "discordant", "turns red", "drop", "items needed", "unchanged passes"]
    new = read_candidate(b)
    planned = list(from_runs(new, align(old, new.expected), DEFAULT_MARGINS, target, arguments.drop))
    found = [row for row in planned if isinstance(row, Row)]
    if not found:
        raise UsageError(f"{a} and {b}: no metric can be compared; `qbench compare` shows the reasons")
    rows = [[row.metric, row.dataset, f"{row.items:,}", *_cells(row)] for row in found]
    left_out = [f"not planned: {row.metric} {row.dataset}: {row.reason}" for row in planned if not isinstance(row, Row)]
    return [*aligned([head, *rows], left=2), *left_out]


def _cells(row: Row) -> list[str]:
    discordant = "" if row.discordance is None else f"{100 * row.discordance:.1f} %"
    red = "none" if row.detectable_drop is None else f"{row.detectable_drop:.4f}"
    counts = ["-" if count is None else f"{count:,}" for count in (row.items_for_drop, row.items_for_pass)]
    return [discordant, red, f"{row.drop:g}", counts[0], f"with {counts[1]}"]


def _suggested(paths: Sequence[Path], gates: int) -> list[str]:
    from pytest_qbench.baseline.sources import read_candidate, read_reference
    from pytest_qbench.gates.evaluate import DEFAULT_MARGINS
    from pytest_qbench.gates.margins import suggest

    old = read_reference(paths[0], 0.0, 1.0, 1.0)
    if isinstance(old, MissingBaseline):
        raise UsageError(old.reason)
    found = suggest(DEFAULT_MARGINS, old, read_candidate(paths[1]) if len(paths) == 2 else None, gates)
    if not found:
        raise UsageError(f"{' and '.join(map(str, paths))}: no metric shows how much a model varies")
    return [str(one) for one in found]
