"""`qbench doctor`: does the tool itself see? Loads a model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pytest_qbench.commands import Commands

if TYPE_CHECKING:
    from pytest_qbench.trials import Trial

_ROW = "{:30}  {:21}  {:21}  {:21}  {:15}  {}"
_SIGNS = {"regressed": "REGRESSED", "invalid": "INVALID"}


def add(commands: Commands) -> None:
    """Declare the command."""
    told = commands.add_parser("doctor", help="prove that the gates see faults, and are quiet without one")
    what = told.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--faults", action="store_true",
        help="run the embedded model against its baseline with known faults, and with harmless changes; minutes",
    )  # fmt: skip
    told.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print which gate caught what; 1 where a plain fault was missed or a harmless change raised an alarm."""
    from pytest_qbench.trials import trials

    print(_ROW.format("change", "accuracy", "judged sum", "SRCC, worst", "drift, largest", "found"))
    wrong = []
    for trial in trials():
        print(_line(trial), flush=True)
        if trial.verdict in ("MISSED", "FALSE ALARM"):
            wrong.append(trial)
    for trial in wrong:
        for gate in trial.gates:
            print(f"{trial.name}: {gate.name}: {gate.verdict} ({gate.reason})")
    print(
        f"{len(wrong)} MISSED OR FALSE: {', '.join(t.name for t in wrong)}"
        if wrong
        else "every plain fault was caught, every harmless change stayed green"
    )
    return 1 if wrong else 0


def _line(trial: Trial) -> str:
    cells = []
    for gate in trial.gates:
        worst = min((row.delta for row in gate.rows if row.delta is not None), default=None)
        change = "-" if worst is None else f"{worst:+.4f}"
        cells.append(f"{change} {_SIGNS.get(gate.verdict, gate.verdict)}")
    values = [(row.value or 0.0, moved) for row, moved in trial.drifts]
    largest, _ = max(values, default=(0.0, False))
    drift = f"{largest:.4f}{' MOVED' if any(moved for _, moved in values) else ''}"
    return _ROW.format(trial.name, *cells, drift, trial.verdict)
