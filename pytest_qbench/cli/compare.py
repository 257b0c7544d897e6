"""`qbench compare A B`: judge whether B is worse than A. Both are finished runs, baselines or recorded outputs."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qbench.cli.command import Commands, show
from pytest_qbench.errors import CANNOT_TELL, NOT_MEASURED, UsageError
from pytest_qbench.scoring.protocols import PROTOCOLS

if TYPE_CHECKING:
    from pytest_qbench.cli.scored_outputs import OutputScorer
    from pytest_qbench.metrics.results import Results

SHOWN = 10  # unused files and entries of recorded outputs that are listed


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "compare", help="judge a run B against A, each a run folder, a baseline or recorded outputs; or two scorings"
    )
    parser.add_argument(
        "a", type=Path, metavar="A",
        help="the reference: a run folder, a baseline such as baselines/tiny, or recorded outputs (a PATH of replay:)",
    )  # fmt: skip
    candidate = parser.add_argument("b", type=Path, metavar="B", help="the candidate, of the same kinds")

    class OneRun(argparse.Action):
        """Stores a strategy; with one, the command takes a single run."""

        def __call__(
            self, parser: object, namespace: argparse.Namespace, values: object, option: object = None
        ) -> None:
            setattr(namespace, self.dest, values)
            candidate.required = False  # as nargs="?", B would have to stand right after A

    parser.add_argument(
        "--scoring", metavar="STRATEGY", action=OneRun,
        help="without B: compare this way to score the run A, such as logit-sum:good+high/poor+low",
    )  # fmt: skip
    parser.add_argument("--against", metavar="STRATEGY", help="with another one. Default: the scoring of the run")
    parser.add_argument(
        "--gate", action="append", metavar="METRIC=MARGIN",
        help="judge this metric; repeatable. Default: the gates of the suites, perception.accuracy=0.01, "
        "description.sum=0.06 and assessment.srcc=0.01",
    )  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="exit with 11 if a gate is inconclusive")
    parser.add_argument("--max-errors", type=float, default=0.0, metavar="SHARE", help="tolerated errors. Default: 0")
    parser.add_argument("--max-unparsed", type=float, default=0.05, metavar="SHARE", help="tolerated. Default: 0.05")
    parser.add_argument("--max-cut", type=float, default=0.05, metavar="SHARE", help="tolerated. Default: 0.05")
    parser.add_argument("--flips", type=int, default=10, metavar="N", help="items listed each way. Default: 10")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the resampling. Default: 0")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the comparison as a page to this file")
    parser.add_argument("--md", type=Path, metavar="FILE", help="write it as Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it as data, like summary.json")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the gates as JUnit XML, a test case each")
    outputs = parser.add_argument_group("recorded outputs")
    outputs.add_argument(
        "--data", metavar="SPEC", help="the data that they answer. Default: the items of the other run"
    )
    outputs.add_argument("--datasets", metavar="A,B", help="some of its datasets. Default: all")
    outputs.add_argument("--split", default="dev", choices=("dev", "test"), help="Default: dev")
    outputs.add_argument("--protocol", default="default", choices=PROTOCOLS, help="Default: that of the other run")
    outputs.add_argument(
        "--judge", metavar="SPEC", help="judge of descriptions. Default: that of the other run, if lexicon"
    )
    outputs.add_argument(
        "--model-arg", "--qbench-model-arg", action="append", default=[], metavar="KEY=VALUE",
        help="files=PATTERN, duplicates=first or last, filter=NAME",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the comparison. Return the exit status, which means the same as that of a run."""
    if arguments.scoring is not None or arguments.against is not None:
        return _compare_scorings(arguments)
    from pytest_qbench.baseline.align import count_by_rule
    from pytest_qbench.baseline.sources import read_candidate, read_reference
    from pytest_qbench.gates.evaluate import DEFAULT_MARGINS, Limits
    from pytest_qbench.gates.targets import gated_tasks
    from pytest_qbench.metrics.specs import task_of
    from pytest_qbench.report.compare import as_finished, compare
    from pytest_qbench.report.reference import reference_lines
    from pytest_qbench.report.write import write_reports

    for option in ("max_errors", "max_unparsed"):
        if not 0 <= (share := getattr(arguments, option)) <= 1:
            raise UsageError(f"--{option.replace('_', '-')}={share:g}: a number from 0 to 1 is needed")
    if min(arguments.flips, arguments.seed) < 0:
        raise UsageError("--flips and --seed: whole numbers of at least 0 are needed")
    margins = dict(gate_margin(text) for text in arguments.gate) if arguments.gate else DEFAULT_MARGINS
    shares = (arguments.max_errors, arguments.max_unparsed, arguments.max_cut)
    notes: list[str] = []

    def score(name: str, path: Path, other: Path) -> Results:
        scorer = _scorer(arguments, other)
        results = scorer.score(path)
        notes.append(f"outputs of {name} matched with the items: {count_by_rule(scorer.matched_by)}")
        left_out = [f"not used of {name}: {entry.entry}: {entry.reason}" for entry in results.left_out]
        notes.extend(left_out[:SHOWN])
        if len(left_out) > SHOWN:
            notes.append(f"not used of {name}: {len(left_out) - SHOWN} more")
        return results

    a, b = arguments.a, arguments.b
    old = read_reference(a, *shares, lambda path: score("A", path, b))
    new = read_candidate(b, lambda path: score("B", path, a))
    comparisons = max(1, sum(task_of(name) in gated_tasks(new) for name in margins))
    found = compare(new, old, margins, Limits(*shares, comparisons, arguments.seed), arguments.flips)
    finished = as_finished(found, new, old, a, b, arguments.strict)
    show(f"A: {a}\nB: {b}")
    show("\n".join([*found.lines, *reference_lines(finished), *notes, found.verdict]))
    if unwritten := write_reports(finished, arguments.html, arguments.md, arguments.json, arguments.junit):
        raise UsageError(unwritten[0])
    return _exit_status(found.verdicts, arguments.strict)


def _exit_status(verdicts: set[str], strict: bool) -> int:
    if "regressed" in verdicts:
        return 1
    if not verdicts or "invalid" in verdicts:
        return NOT_MEASURED
    return CANNOT_TELL if strict and "inconclusive" in verdicts else 0


def _compare_scorings(arguments: argparse.Namespace) -> int:
    """Print the comparison of two scorings of one run. Return 0, or 10 if a comparison is missing."""
    from pytest_qbench.report.finished_run import read_finished
    from pytest_qbench.report.rescoring import two_strategies_lines

    if arguments.b is not None or arguments.scoring is None:
        raise UsageError("compare: --scoring=STRATEGY, with or without --against=STRATEGY, takes one run folder")
    for option in ("gate", "strict", "html", "md", "json", "junit"):
        if getattr(arguments, option):
            raise UsageError(f"compare: --{option} cannot be combined with --scoring")
    lines, is_complete = two_strategies_lines(
        read_finished(arguments.a), arguments.scoring, arguments.against, arguments.seed
    )
    show("\n".join(lines))
    return 0 if is_complete else NOT_MEASURED


def _scorer(arguments: argparse.Namespace, other: Path) -> OutputScorer:
    """Return a scorer of recorded outputs, with the items and conditions of the `other` run or baseline."""
    from pytest_qbench.baseline.sources import source_kind
    from pytest_qbench.baseline.store import read_baseline
    from pytest_qbench.cli.scored_outputs import OutputScorer
    from pytest_qbench.runs.items_file import read_items
    from pytest_qbench.runs.read import read_summary

    kind = source_kind(other)
    conditions = None
    if kind != "outputs":
        conditions = read_summary(other).fingerprint if kind == "run" else read_baseline(other).fingerprint
    return OutputScorer(
        data=arguments.data, datasets=arguments.datasets.split(",") if arguments.datasets else None,
        split=arguments.split, items=read_items(other) if kind == "run" else None,
        conditions=conditions, protocol=arguments.protocol, judge=arguments.judge,
        arguments=arguments.model_arg,
    )  # fmt: skip


def gate_margin(text: str) -> tuple[str, float]:
    """Return metric and margin of METRIC=MARGIN. Raises `UsageError` for another text."""
    from pytest_qbench.gates.arguments import check_bounds
    from pytest_qbench.metrics.specs import METRICS

    name, _, value = text.partition("=")
    if name not in METRICS or not re.fullmatch(r"(\d+(\.\d*)?|\.\d+)(e-?\d+)?", value):
        raise UsageError(
            f"--gate={text}: METRIC=MARGIN is needed, such as assessment.srcc=0.01; metrics: {', '.join(METRICS)}"
        )
    try:
        check_bounds(name, float(value), None, None)
    except ValueError as e:
        raise UsageError(f"--gate={text}: {str(e).partition(': ')[2]}") from e
    return name, float(value)
