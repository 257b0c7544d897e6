"""`qbench compare A B`: is B worse than A? Finished runs or baselines, no model needed."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_qbench.cli.command import Commands
from pytest_qbench.errors import UsageError


def add(commands: Commands) -> None:
    """Declare the command."""
    told = commands.add_parser("compare", help="judge a finished run B against A, each a run folder or a baseline")
    told.add_argument(
        "a", type=Path, metavar="A", help="the reference: a run folder, or a baseline such as baselines/tiny"
    )
    told.add_argument("b", type=Path, metavar="B", help="what is judged: likewise")
    told.add_argument(
        "--gate", action="append", metavar="METRIC=MARGIN",
        help="judge this metric; repeatable. Default: the gates of the suites, that is perception.accuracy=0.01, "
        "description.sum=0.06 and assessment.srcc=0.01",
    )  # fmt: skip
    told.add_argument("--strict", action="store_true", help="exit with 1 on an inconclusive gate too")
    told.add_argument("--max-errors", type=float, default=0.0, metavar="SHARE", help="tolerated errors. Default: 0")
    told.add_argument("--max-unparsed", type=float, default=0.05, metavar="SHARE", help="tolerated. Default: 0.05")
    told.add_argument("--flips", type=int, default=10, metavar="N", help="items listed each way. Default: 10")
    told.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the resampling. Default: 0")
    told.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the comparison; 0 where every gate holds, else 1."""
    from pytest_qbench.baseline.sources import candidate, reference
    from pytest_qbench.gates.evaluate import DEFAULT_MARGINS, Limits
    from pytest_qbench.gates.targets import gated_tasks
    from pytest_qbench.metrics.metrics import task_of
    from pytest_qbench.report.compare import compare

    margins = dict(_margin(text) for text in arguments.gate) if arguments.gate else DEFAULT_MARGINS
    old, new = reference(arguments.a, arguments.max_errors, arguments.max_unparsed), candidate(arguments.b)
    comparisons = max(1, sum(task_of(name) in gated_tasks(new) for name in margins))
    limits = Limits(arguments.max_errors, arguments.max_unparsed, comparisons, arguments.seed)
    found = compare(new, old, margins, limits, arguments.flips)
    print(f"A: {arguments.a}\nB: {arguments.b}")
    print("\n".join([*found.lines, found.verdict]))
    return 0 if found.holds and not (arguments.strict and found.verdict.startswith("INCONCLUSIVE")) else 1


def _margin(text: str) -> tuple[str, float]:
    from pytest_qbench.gates.reasons import RANGES
    from pytest_qbench.metrics.metrics import METRICS

    name, _, value = text.partition("=")
    try:
        margin = float(value)
    except ValueError:
        margin = -1.0
    if name not in METRICS or not 0 <= margin < float("inf"):
        raise UsageError(
            f"--gate={text}: METRIC=MARGIN is needed, such as assessment.srcc=0.01; metrics: {', '.join(METRICS)}"
        )
    if margin >= RANGES[name] / 2:
        raise UsageError(f"--gate={text}: the margin would allow any drop; give less than {RANGES[name] / 2:g}")
    return name, margin
