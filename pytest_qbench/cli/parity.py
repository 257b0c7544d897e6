"""`qbench parity A B`: tell whether two ways to run a model give the same answers."""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qbench.cli.command import Commands, show
from pytest_qbench.errors import CANNOT_TELL, NOT_MEASURED, UsageError
from pytest_qbench.prompts import ANSWER_MODES
from pytest_qbench.scoring.protocols import PROTOCOLS
from pytest_qbench.untrusted.files import write_text

if TYPE_CHECKING:
    from pytest_qbench.gates.evaluate import Limits
    from pytest_qbench.metrics.results import Results
    from pytest_qbench.parity.compare import Parity
    from pytest_qbench.parity.sides import Measurement, Side

FOLDER = Path(".qbench", "parity")
# Options of pytest that this command takes without their prefix, for both sides.
_SHARED = ("data", "datasets", "tasks", "split", "limit", "seed", "answer", "prompts", "protocol", "batch_size",
           "judge", "judge_rounds", "concurrency", "timeout")  # fmt: skip


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "parity", help="tell whether two ways to run a model give the same answers, each a model or a finished run"
    )
    parser.add_argument(
        "a", metavar="A", help="the reference: a model, as in --qbench-model, or a finished run's folder"
    )
    parser.add_argument("b", metavar="B", help="the other side, of the same kinds")
    for name in ("a", "b"):
        parser.add_argument(f"--{name}-arg", action="append", default=[], metavar="KEY=VALUE",
                            help=f"a model argument of {name.upper()}, as --qbench-model-arg; repeatable")  # fmt: skip
    noise = parser.add_mutually_exclusive_group()
    noise.add_argument("--again", type=Path, metavar="RUN", help="a second finished run of A, for the noise floor")
    noise.add_argument(
        "--once", action="store_true", help="measure no side a second time: the noise floor is not known"
    )
    parser.add_argument("--margin", action="append", default=[], metavar="MEASURE=VALUE",
                        help="a fixed margin, such as perception.flips=0.01; repeatable")  # fmt: skip
    parser.add_argument("--strict", action="store_true", help="exit with 11 if it cannot tell")
    parser.add_argument("--max-errors", type=float, default=0.0, metavar="SHARE", help="tolerated errors. Default: 0")
    parser.add_argument("--max-unparsed", type=float, default=0.05, metavar="SHARE", help="tolerated. Default: 0.05")
    parser.add_argument("--max-cut", type=float, default=0.05, metavar="SHARE", help="tolerated. Default: 0.05")
    parser.add_argument(
        "--moves", type=int, default=5, metavar="N", help="items listed for each difference. Default: 5"
    )
    parser.add_argument("--dir", type=Path, metavar="DIR",
                        help=f"new folder for the runs. Default: one under {FOLDER}")  # fmt: skip
    asked = parser.add_argument_group("what is asked, the same of both sides. Default: as the finished run was asked")
    for name in _SHARED:
        choices = {"answer": ANSWER_MODES, "protocol": PROTOCOLS}.get(name)
        asked.add_argument(f"--{name.replace('_', '-')}", choices=choices, help=f"as --qbench-{name.replace('_', '-')}",
                           **({} if choices else {"metavar": "VALUE"}))  # type: ignore[arg-type]  # fmt: skip
    asked.add_argument("--judge-arg", action="append", default=[], metavar="KEY=VALUE", help="as --qbench-judge-arg")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the comparison. Return 0, 1 if the sides differ, 10 if they are not comparable; with --strict 11."""
    from pytest_qbench.cli.parity_text import parity_lines, verdict_line
    from pytest_qbench.parity.compare import compare_runs
    from pytest_qbench.parity.pairs import NotComparable

    margins, limits = dict(_margin(text) for text in arguments.margin), _limits(arguments)
    try:
        a, b, again, described = _measured(arguments, limits)
        found = compare_runs(a, b, again, margins)
    except NotComparable as e:
        show(f"NOT COMPARABLE: {e}")
        return NOT_MEASURED
    show("\n".join([f"noise floor: {described}", *parity_lines(found, a, b, arguments.moves), verdict_line(found)]))
    return _exit_status(found, arguments.strict)


def _exit_status(found: Parity, strict: bool) -> int:
    if found.verdict == "different":
        return 1
    return CANNOT_TELL if strict and found.verdict == "cannot tell" else 0


def _measured(
    arguments: argparse.Namespace, limits: Limits
) -> tuple[Results, Results, tuple[Results, Results] | None, str]:
    """Return the results of A and B, those of a side measured twice, and what the noise floor is."""
    from pytest_qbench.parity.pairs import check_complete
    from pytest_qbench.parity.sides import Measurement, Side

    a = Side.of("A", arguments.a, arguments.a_arg)
    b = Side.of("B", arguments.b, arguments.b_arg)
    folder = arguments.dir or FOLDER / datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    if a.folder and b.folder:
        if given := [name for name in _SHARED if getattr(arguments, name) is not None]:
            raise UsageError(f"--{given[0].replace('_', '-')}: both sides are finished runs, so nothing is measured")
    else:
        _create(folder, is_default=arguments.dir is None)
    measurement = Measurement(folder, tuple(_options(arguments, a, b)), lambda text: show(text, flush=True))
    found: dict[str, Results] = {}
    for side in (a, b):
        found[side.name] = measurement.results(side)
        check_complete(side.name, found[side.name], limits)
    return found["A"], found["B"], *_noise(arguments, limits, measurement, (a, b), found)


def _create(folder: Path, *, is_default: bool) -> None:
    """Create the folder of the runs. The default one is kept out of version control, as run folders are."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"--dir={folder}: is not an empty folder; name a new one")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if is_default and not (ignored := FOLDER.parent / ".gitignore").exists():
            write_text(ignored, "*\n")
    except OSError as e:
        raise UsageError(f"--dir={folder}: cannot be written: {e.strerror}; name another folder") from e


def _noise(
    arguments: argparse.Namespace, limits: Limits, measurement: Measurement, sides: tuple[Side, Side],
    found: dict[str, Results],
) -> tuple[tuple[Results, Results] | None, str]:  # fmt: skip
    """Return a side's second and first measurement, and a description. A local model is taken before other kinds."""
    from pytest_qbench.parity.pairs import NotComparable, check_complete
    from pytest_qbench.runs.read import read_run

    if arguments.again is not None:
        second = read_run(arguments.again)
        check_complete("--again", second, limits)
        return (second, found["A"]), f"A measured again: {arguments.again}"
    chosen = next((s for s in sides if s.is_local_model), next((s for s in sides if s.is_repeatable), None))
    if arguments.once or chosen is None:
        why = "--once" if arguments.once else "no side is a model; name a second run of A with --again=RUN"
        return None, f"not known ({why}), so only small changes are equal and only large ones different"
    first = found[chosen.name]
    try:
        second, how = measurement.again(chosen, first.fingerprint)
        check_complete("it", second, limits)
    except (NotComparable, UsageError) as e:
        return None, f"not known, as the second measurement failed: {e}"
    return (second, first), f"{chosen.name} measured again: {how}"


def _options(arguments: argparse.Namespace, a: Side, b: Side) -> list[str]:
    """Return the options of pytest for the measured sides: those of a finished run, then those of the command line."""
    from pytest_qbench.parity.sides import options_of
    from pytest_qbench.runs.read import read_summary

    folder = next((side.folder for side in (a, b) if side.folder), None)
    options = options_of(read_summary(folder).fingerprint) if folder else []
    given = {name: getattr(arguments, name) for name in _SHARED if getattr(arguments, name) is not None}
    if folder is None and "answer" not in given:  # the default of one alias, for both
        stated = [side.spec.answer for side in (a, b) if side.spec is not None and side.spec.answer]
        given["answer"] = stated[0] if stated else "generate"
    options += [f"--qbench-{name.replace('_', '-')}={value}" for name, value in given.items()]
    return options + [f"--qbench-judge-arg={argument}" for argument in arguments.judge_arg]


def _limits(arguments: argparse.Namespace) -> Limits:
    from pytest_qbench.gates.evaluate import Limits

    shares = (arguments.max_errors, arguments.max_unparsed, arguments.max_cut)
    if not all(0 <= share <= 1 for share in shares):
        raise UsageError("--max-errors, --max-unparsed and --max-cut: numbers from 0 to 1 are needed")
    if arguments.moves < 0:
        raise UsageError("--moves: a whole number of at least 0 is needed")
    return Limits(*shares)


def _margin(text: str) -> tuple[str, float]:
    from pytest_qbench.parity.measures import MEASURES

    name, _, value = text.partition("=")
    if name not in MEASURES or not re.fullmatch(r"(\d+(\.\d*)?|\.\d+)(e-?\d+)?", value) or not float(value) > 0:
        raise UsageError(f"--margin={text}: MEASURE=VALUE above 0 is needed; measures: {', '.join(MEASURES)}")
    return name, float(value)
