"""`qbench doctor --faults --model=SPEC`: which of twenty known faults the gates catch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qbench.cli.command import show
from pytest_qbench.errors import UsageError

if TYPE_CHECKING:
    from pytest_qbench.doctor.coverage import FaultResult, GateCoverage
    from pytest_qbench.doctor.covered_gate import CoveredGate

_ROW = "{:32}  {:9}  {}"


def coverage(arguments: argparse.Namespace) -> int:
    """Print the result of each fault, the smallest strengths and the share. Returns 1 below --minimum."""
    if arguments.minimum is not None and not 0 <= arguments.minimum <= 1:
        raise UsageError(f"--minimum={arguments.minimum:g}: a share from 0 to 1 is needed")
    study = _study(arguments)
    from pytest_qbench.doctor.coverage import share_caught

    show(f"{study.model.name}: {len(study.items):,} items, {len(study.faults)} faults", flush=True)
    show(_ROW.format("fault", "", "gates: change, verdict"))
    found = []
    try:
        for result in study.results():
            found.append(result)
            show(_line(result), flush=True)
    finally:
        study.model.close()
    show("\n".join(_strengths(found, list(dict.fromkeys(gate.label for gate in study.gates)))))
    share = share_caught(found)
    missed = [result.fault.name for result in found if not result.caught_by]
    told = f"; not: {', '.join(missed)}" if missed else ""
    show(f"gate coverage: {share:.0%} ({len(found) - len(missed)} of {len(found)} faults caught{told})")
    if arguments.minimum is not None and share < arguments.minimum:
        show(f"FAILED: below --minimum={arguments.minimum:g}; add items or narrow the margins")
        return 1
    return 0


def _study(arguments: argparse.Namespace) -> GateCoverage:
    """Load the model and the data. Raises `UsageError` for a model without weights here, or without a gate."""
    from pytest_qbench.data import open_datasets, select
    from pytest_qbench.gates.evaluate import Limits
    from pytest_qbench.judges.load import check_judge, make_judge
    from pytest_qbench.models.load import load_model
    from pytest_qbench.models.model_args import parse_model_args
    from pytest_qbench.models.specs import check, parse_spec

    spec, given = parse_spec(arguments.model), parse_model_args(arguments.model_arg)
    check(spec, option="--model=")
    if spec.kind != "transformers":
        raise UsageError(f"doctor: {arguments.model} has no weights to put faults into; name a local model")
    gates, where = _gates(arguments)
    names = tuple(arguments.datasets.split(",")) if arguments.datasets else None
    datasets = open_datasets(arguments.data, rootdir=Path.cwd(), names=names, split=arguments.split)
    gates = _judged(gates, where, {dataset.task for dataset in datasets}, arguments.judge)
    gated = {gate.task for gate in gates}
    judge = arguments.judge or "lexicon"
    check_judge(judge, ())
    chosen = select([each for each in datasets if each.task in gated], limit=arguments.limit, seed=arguments.seed)

    from pytest_qbench.doctor.coverage import GateCoverage
    from pytest_qbench.models.transformers.model import TransformersModel

    model = load_model(spec, given)
    if not isinstance(model, TransformersModel):
        raise UsageError(f"doctor: {arguments.model} generates no text; name another model")
    made = make_judge(judge)
    return GateCoverage(
        model, [item for each in chosen for item in each.items], gates, Limits(seed=arguments.seed),
        arguments.answer or spec.answer or "generate", lambda: made,
    )  # fmt: skip


def _gates(arguments: argparse.Namespace) -> tuple[list[CoveredGate], str]:
    """Return the gates that --gate names, else those of the suite, and a text that says where they stand."""
    from pytest_qbench.cli.compare import gate_margin
    from pytest_qbench.cli.suite_gates import suite_gates
    from pytest_qbench.doctor.covered_gate import CoveredGate

    if arguments.gate and arguments.suite:
        raise UsageError("--gate replaces the gates of --suite: drop one of the two")
    if not arguments.gate:
        return suite_gates(arguments.suite or ())
    named = dict(map(gate_margin, arguments.gate))
    return [CoveredGate(name, margin, test=name) for name, margin in named.items()], "--gate"


def _judged(gates: Sequence[CoveredGate], where: str, tasks: Set[str], judge: str | None) -> list[CoveredGate]:
    """Print the gates, and return those that can be judged. Raises `UsageError` if there is none."""
    reasons = {
        task: f"the data has no {task}" if task not in tasks else "descriptions need a judge; add --judge=SPEC"
        for task in (gate.task for gate in gates)
        if task not in tasks or (task == "description" and not judge)
    }
    left_out = [gate for gate in gates if gate.task in reasons]
    if left_out and (where == "--gate" or len(left_out) == len(gates)):
        raise UsageError(f"{where}: {left_out[0].metric}: {reasons[left_out[0].task]}")
    chosen = [gate for gate in gates if gate not in left_out]
    show(f"gates of {where}: {', '.join(map(str, chosen))}")
    for gate in left_out:
        show(f"not judged: {gate}: {reasons[gate.task]}")
    return chosen


def _line(result: FaultResult) -> str:
    cells = []
    for gate in result.gates:
        changes = [row.delta for row in gate.rows if row.delta is not None]
        change = f"{min(changes):+.4f} " if changes else ""
        cells.append(f"{gate.name} {change}{gate.verdict}")
    return _ROW.format(result.fault.name, "caught" if result.caught_by else "missed", "; ".join(cells))


def _strengths(found: Sequence[FaultResult], gates: Sequence[str]) -> list[str]:
    from pytest_qbench.doctor.coverage import smallest_seen
    from pytest_qbench.report.text_table import aligned

    columns = [smallest_seen(found, gate) for gate in gates]
    families = list(columns[0])
    rows = [[family, *(column[family] or "none" for column in columns)] for family in families]
    return ["smallest strength that each gate sees:", *aligned([["", *gates], *rows], left=1 + len(gates))]
