"""`qbench doctor`: is a model measured right here: batches, images, words, likelihoods, generation?"""

from __future__ import annotations

import argparse

from pytest_qbench.commands import Commands


def add(commands: Commands) -> None:
    """Declare the command."""
    doctor = commands.add_parser("doctor", help="check that a model is measured right on this machine")
    doctor.add_argument("--model", required=True, metavar="SPEC", help="as --qbench-model")
    doctor.add_argument(
        "--model-arg", action="append", default=[], metavar="KEY=VALUE", help="as --qbench-model-arg; repeatable"
    )
    doctor.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Load the model, run the checks, print a table; 1 when one of them failed."""
    from pytest_qbench.errors import UsageError
    from pytest_qbench.models import check, parse_model_args, parse_spec
    from pytest_qbench.report.tables import aligned

    spec, given = parse_spec(arguments.model), parse_model_args(arguments.model_arg)
    check(spec)
    if spec.kind != "transformers":
        raise UsageError(f"doctor: {arguments.model} has no weights to check; name a model that runs here")

    from pytest_qbench.models.conformance import checks
    from pytest_qbench.models.transformers import TransformersModel

    def load() -> TransformersModel:
        return TransformersModel(spec, {**spec.args, **given})

    model = load()
    about = model.describe()
    print(f"{spec.name}: {about['architecture']}, {about['dtype']} on {about['device']}")
    found = list(checks(model, load))
    model.close()
    print("\n".join(aligned([("check", "outcome", "detail"), *((c.name, c.outcome, c.detail) for c in found)], left=3)))
    failed = [each.name for each in found if each.outcome == "failed"]
    print(f"FAILED: {', '.join(failed)}" if failed else f"all checks hold ({sum(c.outcome == 'ok' for c in found)})")
    return 1 if failed else 0
