"""`qbench doctor`: check that a model is measured correctly here, or that the gates detect faults."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pytest_qbench.cli.command import Commands, show
from pytest_qbench.cli.doctor_coverage import coverage
from pytest_qbench.errors import UsageError
from pytest_qbench.prompts import ANSWER_MODES

if TYPE_CHECKING:
    from pytest_qbench.doctor.sensitivity import SensitivityResult

_ROW = "{:30}  {:21}  {:21}  {:21}  {:15}  {}"
_SIGNS = {"regressed": "REGRESSED", "invalid": "INVALID"}


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    doctor = commands.add_parser(
        "doctor",
        help="check that batching, images and scoring are correct for a model, or that the gates detect faults",
    )
    doctor.add_argument(
        "--model",
        metavar="SPEC",
        help="check that batches, images, words and replies of this model are handled correctly",
    )
    doctor.add_argument(
        "--faults", action="store_true",
        help="compare the embedded model with its baseline under known faults and harmless changes; takes minutes. "
        "With --model: count which of twenty known faults the gates catch, which takes 21 runs",
    )  # fmt: skip
    doctor.add_argument(
        "--model-arg",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a model argument, as in --qbench-model-arg; repeatable",
    )
    group = doctor.add_argument_group("with --faults --model")
    group.add_argument("--data", default="mini", metavar="SPEC", help="the data. Default: mini")
    group.add_argument("--datasets", metavar="A,B", help="some of its datasets. Default: all")
    group.add_argument("--split", default="dev", choices=("dev", "test"), help="Default: dev")
    group.add_argument("--limit", type=int, metavar="N", help="N items per dataset. Default: all")
    group.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the sample. Default: 0")
    group.add_argument("--answer", choices=ANSWER_MODES, help="Default: that of the alias, else generate")
    group.add_argument(
        "--suite", action="append", metavar="PATH",
        help="a test file or a folder whose gates are judged; repeatable. Default: the tests below the current folder, "
        "or the packaged suites if these have no gate",
    )  # fmt: skip
    group.add_argument(
        "--gate", action="append", metavar="METRIC=MARGIN", help="judge this gate, and none of a suite; repeatable"
    )
    group.add_argument("--judge", metavar="SPEC", help="judge of descriptions, which a gate of theirs needs")
    group.add_argument(
        "--minimum", type=float, metavar="SHARE", help="exit with 1 if the gates catch a smaller share of the faults"
    )
    doctor.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check the model, the gates, or both. Returns 1 if a check fails."""
    if not arguments.faults and arguments.model is None:
        raise UsageError("doctor: name --model=SPEC, --faults, or both")
    if arguments.faults and arguments.model is not None:
        return coverage(arguments)
    for option in ("minimum", "suite", "gate"):
        if getattr(arguments, option) is not None:
            raise UsageError(f"--{option}: needs --faults and --model=SPEC")
    return _faults() if arguments.faults else _model(arguments.model, arguments.model_arg)


def _model(named: str, model_args: list[str]) -> int:
    """Load the model, run the checks and print a table. Returns 1 if a check fails."""
    from pytest_qbench.models.load import load_model
    from pytest_qbench.models.model_args import parse_model_args
    from pytest_qbench.models.specs import check, parse_spec
    from pytest_qbench.report.text_table import aligned

    spec, given = parse_spec(named), parse_model_args(model_args)
    check(spec, option="--model=")
    if spec.kind != "transformers":
        raise UsageError(f"doctor: {named} has no weights to check; name a local model")

    from pytest_qbench.doctor.conformance import run_checks
    from pytest_qbench.doctor.replies import describe_replies
    from pytest_qbench.models.transformers.model import TransformersModel

    def load() -> TransformersModel:
        model = load_model(spec, given)
        if not isinstance(model, TransformersModel):
            raise UsageError(f"doctor: {named} generates no text, which the checks need; name another model")
        return model

    model = load()
    description = model.describe()
    show(f"{spec.name}: {description['architecture']}, {description['dtype']} on {description['device']}")
    # An alias that answers by likelihood is never asked for a reply.
    understood, replies = describe_replies(model) if spec.answer != "likelihood" else (True, "")
    found = list(run_checks(model, load))
    model.close()
    show("\n".join(aligned([("check", "outcome", "detail"), *((c.name, c.outcome, c.detail) for c in found)], left=3)))
    if replies:
        show(replies)
    failed = [each.name for each in found if each.outcome == "failed"] + ([] if understood else ["replies"])
    show(f"FAILED: {', '.join(failed)}" if failed else f"all checks passed ({sum(c.outcome == 'ok' for c in found)})")
    return 1 if failed else 0


def _faults() -> int:
    """Print the result of each change. Returns 1 for a missed fault or a false alarm."""
    from pytest_qbench.models.requirements import check_installed

    check_installed("--faults")
    from pytest_qbench.doctor.sensitivity import run_study

    show(_ROW.format("change", "accuracy", "judged sum", "SRCC, worst", "drift, largest", "found"))
    wrong = []
    for result in run_study():
        show(_line(result), flush=True)
        if result.verdict in ("MISSED", "FALSE ALARM"):
            wrong.append(result)
    for result in wrong:
        for gate in result.gates:
            show(f"{result.name}: {gate.name}: {gate.verdict} ({gate.reason})")
    show(
        f"{len(wrong)} MISSED OR FALSE: {', '.join(t.name for t in wrong)}"
        if wrong
        else "every detectable fault was caught, every harmless change stayed green"
    )
    return 1 if wrong else 0


def _line(result: SensitivityResult) -> str:
    cells = []
    for gate in result.gates:
        worst = min((row.delta for row in gate.rows if row.delta is not None), default=None)
        change = "-" if worst is None else f"{worst:+.4f}"
        cells.append(f"{change} {_SIGNS.get(gate.verdict, gate.verdict)}")
    values = [(row.value or 0.0, moved) for row, moved in result.drifts]
    largest, _ = max(values, default=(0.0, False))
    drift = f"{largest:.4f}{' MOVED' if any(moved for _, moved in values) else ''}"
    return _ROW.format(result.name, *cells, drift, result.verdict)
