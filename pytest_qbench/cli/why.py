"""`qbench why A B`: name the first stage where B departs from A, from the file's bytes to the judge."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qbench.cli.command import Commands, show
from pytest_qbench.errors import UsageError
from pytest_qbench.prompts import ANSWER_MODES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_qbench.items import Dataset


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser(
        "why", help="name the first stage where a model B departs from A, each a model, a baseline or a finished run"
    )
    parser.add_argument("a", metavar="A", help="the reference: a model as in --qbench-model, a baseline, a run folder")
    parser.add_argument("b", metavar="B", help="the candidate, of the same kinds")
    for side in ("a", "b"):
        parser.add_argument(
            f"--{side}-arg", action="append", default=[], metavar="KEY=VALUE",
            help=f"a model argument of {side.upper()}, as in --qbench-model-arg; repeatable",
        )  # fmt: skip
    parser.add_argument("--data", default="mini", metavar="SPEC", help="the data that both are asked. Default: mini")
    parser.add_argument("--data-b", metavar="SPEC", help="another copy of the data for B. Default: that of A")
    parser.add_argument("--datasets", metavar="A,B", help="some of its datasets. Default: all")
    parser.add_argument("--split", default="dev", choices=("dev", "test"), help="Default: dev")
    parser.add_argument("--answer", choices=ANSWER_MODES, help="Default: that of a recorded side, or of an alias")
    parser.add_argument("--prompts", metavar="NAME|FILE", help="Default: those of a recorded side, or default")
    parser.add_argument("--items", type=int, default=16, metavar="N", help="items looked at, at most 16. Default: 16")
    parser.add_argument(
        "--pool", type=int, default=32, metavar="N",
        help="items asked, of which those with the largest difference are looked at. Default: 32",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the sample. Default: 0")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the explanation as a page to this file")
    parser.add_argument("--md", type=Path, metavar="FILE", help="write it as Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write it as data")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the explanation. Return 0 if no stage differs, 1 if one does, 10 if nothing could be compared."""
    from pytest_qbench.errors import NOT_MEASURED
    from pytest_qbench.prompt_sets.read import name_or_path, read_prompt_set
    from pytest_qbench.report.why_text import why_lines
    from pytest_qbench.why.choose import MOST
    from pytest_qbench.why.sources import asking, explain_named, named

    if not 1 <= arguments.items <= MOST:
        raise UsageError(f"--items={arguments.items}: a whole number from 1 to {MOST} is needed")
    if arguments.pool < arguments.items:
        raise UsageError(f"--pool={arguments.pool}: at least --items={arguments.items} is needed")
    if arguments.seed < 0:
        raise UsageError(f"--seed={arguments.seed}: a whole number of at least 0 is needed")
    a, b = named(arguments.a, arguments.a_arg, "--a-arg"), named(arguments.b, arguments.b_arg, "--b-arg")
    prompts = read_prompt_set(name_or_path(arguments.prompts)) if arguments.prompts else None
    if arguments.data_b and (a.recorded or b.recorded):
        raise UsageError("--data-b: only two models can be asked different copies of the data; name two models")
    found = explain_named(
        a, b, asking((a, b), arguments.answer, prompts), _opener(arguments, arguments.data),
        most=arguments.items, size=arguments.pool, seed=arguments.seed,
        data_of_b=_opener(arguments, arguments.data_b) if arguments.data_b else None,
    )  # fmt: skip
    show("\n".join(why_lines(found)))
    _write(arguments, found)
    return NOT_MEASURED if not found.items else 1 if found.first else 0


def _opener(arguments: argparse.Namespace, spec: str) -> Callable[[], Sequence[Dataset]]:
    def opened() -> Sequence[Dataset]:
        from pytest_qbench.data import open_datasets

        names = tuple(arguments.datasets.split(",")) if arguments.datasets else None
        return open_datasets(spec, rootdir=Path.cwd(), names=names, split=arguments.split)

    return opened


def _write(arguments: argparse.Namespace, found: object) -> None:
    """Write the files that the user named. Raises `UsageError` for one that cannot be written."""
    import json

    from pytest_qbench.report.why_markdown import why_markdown
    from pytest_qbench.report.why_page import why_page
    from pytest_qbench.runs.explanation import Explanation

    assert isinstance(found, Explanation)
    made: dict[str, Callable[[], str]] = {
        "html": lambda: why_page(found), "md": lambda: "\n\n".join(why_markdown(found)) + "\n",
        "json": lambda: json.dumps(found.to_json(), indent=1, ensure_ascii=False) + "\n",
    }  # fmt: skip
    for name, text in made.items():
        path = getattr(arguments, name)
        try:
            if path is not None:
                path.write_text(text(), encoding="utf-8")
        except OSError as e:
            raise UsageError(f"--{name}={path}: cannot be written: {e.strerror}") from None
