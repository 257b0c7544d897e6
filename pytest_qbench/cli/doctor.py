"""`qbench doctor`: is a model measured right here, and does the tool itself see? Loads a model."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pytest_qbench.cli.command import Commands

if TYPE_CHECKING:
    from pytest_qbench.doctor.sensitivity import Trial

_ROW = "{:30}  {:21}  {:21}  {:21}  {:15}  {}"
_SIGNS = {"regressed": "REGRESSED", "invalid": "INVALID"}


def add(commands: Commands) -> None:
    """Declare the command."""
    told = commands.add_parser("doctor", help="check that a model is measured right, or that the gates see faults")
    what = told.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", metavar="SPEC", help="check this model's batches, images, words and replies")
    what.add_argument(
        "--faults", action="store_true",
        help="run the embedded model against its baseline with known faults, and with harmless changes; minutes",
    )  # fmt: skip
    told.add_argument(
        "--model-arg", action="append", default=[], metavar="KEY=VALUE", help="as --qbench-model-arg; repeatable"
    )
    told.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check the model, or the gates; 1 where something is wrong."""
    return _faults() if arguments.faults else _model(arguments.model, arguments.model_arg)


def _model(named: str, model_args: list[str]) -> int:
    """Load the model, run the checks, print a table; 1 where one of them failed."""
    from pytest_qbench.errors import UsageError
    from pytest_qbench.models.load import load_model
    from pytest_qbench.models.specs import check, parse_model_args, parse_spec
    from pytest_qbench.report.text_table import aligned

    spec, given = parse_spec(named), parse_model_args(model_args)
    check(spec)
    if spec.kind != "transformers":
        raise UsageError(f"doctor: {named} has no weights to check; name a model that runs here")

    from pytest_qbench.doctor.conformance import checks
    from pytest_qbench.models.transformers.model import TransformersModel

    def load() -> TransformersModel:
        model = load_model(spec, given)
        if not isinstance(model, TransformersModel):
            raise UsageError(f"doctor: {named} does not write, and the checks are about what a model writes")
        return model

    model = load()
    about = model.describe()
    print(f"{spec.name}: {about['architecture']}, {about['dtype']} on {about['device']}")
    found = list(checks(model, load))
    model.close()
    print("\n".join(aligned([("check", "outcome", "detail"), *((c.name, c.outcome, c.detail) for c in found)], left=3)))
    failed = [each.name for each in found if each.outcome == "failed"]
    print(f"FAILED: {', '.join(failed)}" if failed else f"all checks hold ({sum(c.outcome == 'ok' for c in found)})")
    return 1 if failed else 0


def _faults() -> int:
    """Print which gate caught what; 1 where a plain fault was missed or a harmless change raised an alarm."""
    from pytest_qbench.doctor.sensitivity import trials

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
