"""`qbench plan`: how many items find which drop."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qbench.cli.command import Commands
from pytest_qbench.errors import UsageError

if TYPE_CHECKING:
    from pytest_qbench.gates.planning import Aim, Row


def add(commands: Commands) -> None:
    """Declare the command."""
    told = commands.add_parser("plan", help="tell how many items find which drop")
    told.add_argument(
        "--drop",
        type=float,
        metavar="D",
        help="items needed for this drop. Default: 1, 2, 3, 5 points; with --runs twice the gates' margins",
    )
    told.add_argument("--items", type=int, metavar="N", help="drop shown by N items. Default: 450, 1,495 and 2,990")
    told.add_argument("--power", type=float, default=0.8, metavar="P", help="chance to find the drop. Default: 0.8")
    told.add_argument("--alpha", type=float, default=0.05, metavar="A", help="false alarms of a run. Default: 0.05")
    told.add_argument("--gates", type=int, default=3, metavar="K", help="gates that share alpha. Default: 3")
    told.add_argument(
        "--discordance", type=float, nargs="+", metavar="S",
        help="share of the items that come out otherwise in the two runs. Default: 0.06 and 0.20",
    )  # fmt: skip
    told.add_argument(
        "--runs", type=Path, nargs=2, metavar=("A", "B"), help="plan from two run folders or baselines instead"
    )
    told.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the plan."""
    from pytest_qbench.gates.planning import DISCORDANCES, Aim

    for option in ("drop", "power", "alpha"):
        value = getattr(arguments, option)
        if value is not None and not 0 < value < 1:
            raise UsageError(f"--{option}={value:g}: a share between 0 and 1 is needed")
    for option in ("items", "gates"):
        value = getattr(arguments, option)
        if value is not None and value < 1:
            raise UsageError(f"--{option}={value}: at least 1 is needed")
    if arguments.alpha >= 0.5:
        raise UsageError(f"--alpha={arguments.alpha:g}: below 0.5 is needed")
    discordances = arguments.discordance or DISCORDANCES
    if wrong := [share for share in discordances if not 0 <= share <= 1]:
        raise UsageError(f"--discordance={wrong[0]:g}: a share between 0 and 1 is needed")
    if arguments.runs and (arguments.discordance or arguments.items):
        raise UsageError("--runs takes discordance and items from the runs: drop --discordance and --items")
    aim = Aim(arguments.power, arguments.alpha, arguments.gates)
    each = f"alpha {aim.alpha:g} shared by {aim.gates} gates" if aim.gates > 1 else f"alpha {aim.alpha:g}"
    lines = _from_runs(arguments, aim) if arguments.runs else _tables(arguments, discordances, aim)
    print(f"paired comparison, one-sided, {each}, power {aim.power:g}")
    print("\n".join(lines))
    print("a gate regresses only beyond its margin too: plan for a drop of about twice the margin")


def _tables(arguments: argparse.Namespace, discordances: Sequence[float], aim: Aim) -> list[str]:
    from pytest_qbench.gates.planning import DROPS, SIZES, needed, shown
    from pytest_qbench.report.text_table import aligned

    head = [f"{100 * share:g} % discordant" for share in discordances]
    lines: list[str] = []
    if arguments.drop or not arguments.items:
        drops = [arguments.drop] if arguments.drop else DROPS
        rows = [[f"{drop:g}", *(f"{needed(drop, share, aim):,}" for share in discordances)] for drop in drops]
        lines += aligned([["items needed for a drop of", *head], *rows])
    if arguments.items or not arguments.drop:
        sizes = [arguments.items] if arguments.items else SIZES
        drops_shown = [[shown(size, share, aim) for share in discordances] for size in sizes]
        rows = [
            [f"{size:,}", *("none" if drop is None else f"{drop:.4f}" for drop in found)]
            for size, found in zip(sizes, drops_shown, strict=True)
        ]
        lines += aligned([["drop shown by items", *head], *rows])
    return lines


def _from_runs(arguments: argparse.Namespace, aim: Aim) -> list[str]:
    from pytest_qbench.baseline.sources import candidate, reference
    from pytest_qbench.gates.evaluate import DEFAULT_MARGINS
    from pytest_qbench.gates.planning import Row, from_runs
    from pytest_qbench.report.text_table import aligned

    a, b = arguments.runs
    old = reference(a, 0.0, 1.0)
    if isinstance(old, str):
        raise UsageError(old)
    drops = {name: arguments.drop or 2 * margin for name, margin in DEFAULT_MARGINS.items()}
    head = ["metric", "dataset", "items", "discordant", "drop shown", "drop", "items needed"]
    planned = list(from_runs(candidate(b), old, drops, aim))
    found = [row for row in planned if isinstance(row, Row)]
    if not found:
        raise UsageError(f"{a} and {b}: nothing in them can be compared; `qbench compare` says why")
    rows = [[row.metric, row.dataset, f"{row.items:,}", *_cells(row)] for row in found]
    left_out = [f"not planned: {row.metric} {row.dataset}: {row.reason}" for row in planned if not isinstance(row, Row)]
    return [*aligned([head, *rows], left=2), *left_out]


def _cells(row: Row) -> list[str]:
    discordant = "" if row.discordance is None else f"{100 * row.discordance:.1f} %"
    mde = "none" if row.mde is None else f"{row.mde:.4f}"
    return [discordant, mde, f"{row.drop:g}", "-" if row.needed is None else f"{row.needed:,}"]
