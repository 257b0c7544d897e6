"""Baselines of recorded outputs, such as those that the authors of a benchmark or a model publish."""

from __future__ import annotations

import argparse
import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qbench.cli.command import show
from pytest_qbench.errors import UsageError

if TYPE_CHECKING:
    from pytest_qbench.metrics.results import Results

LARGEST_ERROR = 0.002
"""How far a total may lie from the published one, which has three or four digits."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of recorded outputs."""
    outputs = parser.add_argument_group("recorded outputs")
    outputs.add_argument(
        "--published", metavar="NAME", help="RUN holds the recorded outputs of this published model: compare its totals"
    )
    outputs.add_argument("--data", metavar="SPEC", help="the data that the outputs answer")
    outputs.add_argument("--datasets", metavar="A,B", help="some of its datasets. Default: all")
    outputs.add_argument("--split", default="dev", choices=("dev", "test"), help="Default: dev")
    outputs.add_argument("--judge", metavar="SPEC", help="judge of descriptions")
    outputs.add_argument("--model-arg", action="append", default=[], metavar="KEY=VALUE", help="as for replay:")


def check_published(name: str, outputs: list[Path]) -> None:
    """Raise `UsageError` for an unknown model, and for a missing file: no answers or scores of items are packaged."""
    from pytest_qbench.report.published_rows import published_names, totals_of

    names = published_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, 3, 0.3) or names[:3]
        raise UsageError(f"--published={name}: no published rows; there are {'; '.join(near)}; and others")
    if not outputs:
        raise UsageError(
            f"--published={name}: only totals are published in its tables ({', '.join(totals_of(name))}), and gates "
            "compare items: name the file of its recorded outputs, as in qbench baseline OUTPUTS --published=NAME "
            "--data=DATA"
        )


def score(arguments: argparse.Namespace) -> tuple[Results, str]:
    """Return the results of recorded outputs, and the default name of their baseline."""
    from pytest_qbench.cli.scored_outputs import OutputScorer

    path, data = arguments.run_folder[0], arguments.data
    if data is None:
        raise UsageError(f"{path}: holds recorded outputs; name the data that they answer with --data=FOLDER")
    scorer = OutputScorer(
        data=data, datasets=arguments.datasets.split(",") if arguments.datasets else None, split=arguments.split,
        protocol="paper" if arguments.published else "default", judge=arguments.judge, arguments=arguments.model_arg,
    )  # fmt: skip
    results = scorer.score(path)
    model = re.sub(r"[^\w.-]+", "-", arguments.published or path.resolve().stem).strip("-.")
    where = re.sub(r"[^\w.-]+", "-", Path(data).resolve().name if Path(data).is_dir() else data).strip("-.")
    return results, f"{model}@{where}"


def why_not_published(name: str, results: Results) -> str | None:
    """Show each total beside the published one. Return why the outputs are not those of the model, or None."""
    from pytest_qbench.report.published_rows import published_values, withheld_tables

    metrics, made = results.metrics, results.fingerprint
    values = published_values(name, metrics, made)
    for one in values:
        show(f"{one.place}: {one.own:.4f}, published {one.published:.4f}")
    for withheld in withheld_tables(metrics, made):
        show(f"not compared with what is published of {', '.join(withheld.places)}: {withheld.reason}")
    if not values:
        show(f"no total of {name} is published under these conditions: nothing shows that the outputs are its own")
    wrong = [one for one in values if abs(one.own - one.published) > LARGEST_ERROR]
    if wrong:
        first = wrong[0]
        return f"{first.place} is {first.own:.4f}, but {first.published:.4f} is published: other outputs or data"
    return None
