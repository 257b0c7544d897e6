"""`qbench study`: answer an open question of Q-Bench by a paired measurement."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qbench.cli.command import Commands, show
from pytest_qbench.prompts import ANSWER_MODES

if TYPE_CHECKING:
    from pytest_qbench.items import Item
    from pytest_qbench.studies.context import ContextEffect

HEADER = ("metric", "data", "items", "changed", "effect", "95 % interval", "p", "")


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    study = commands.add_parser("study", help="measure the same items in two ways and compare them in pairs")
    studies = study.add_subparsers(dest="study", required=True)
    context = studies.add_parser("context", help="does the items' context in the prompt help?")
    context.add_argument("--model", metavar="SPEC", required=True, help="the model, as in --qbench-model")
    context.add_argument("--data", metavar="DIR", required=True, help="a data folder whose items have a context")
    context.add_argument("--model-arg", action="append", default=[], metavar="KEY=VALUE",
                         help="a model argument, as in --qbench-model-arg; repeatable")  # fmt: skip
    context.add_argument("--datasets", metavar="A,B", help="only these datasets")
    context.add_argument("--split", default="dev", choices=("dev", "test"), help="the split of LLVisionQA")
    context.add_argument("--answer", choices=ANSWER_MODES, help="as in --qbench-answer")
    context.add_argument("--prompts", default="default", metavar="NAME|FILE", help="as in --qbench-prompts")
    context.add_argument("--judge", metavar="SPEC", help="the judge of descriptions, as in --qbench-judge")
    context.add_argument("--seed", type=int, default=0, metavar="S", help="seed of the resampling")
    study.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, compare and print the effects; return 1 where a comparison is missing."""
    from pytest_qbench.engine.engine import Engine
    from pytest_qbench.errors import UsageError
    from pytest_qbench.judges.base import Judge
    from pytest_qbench.judges.load import check_judge, make_judge
    from pytest_qbench.models.load import load_model
    from pytest_qbench.models.specs import check, parse_model_args, parse_spec
    from pytest_qbench.prompt_sets.read import named_set
    from pytest_qbench.report.text_table import aligned
    from pytest_qbench.scoring.score import Scoring
    from pytest_qbench.studies.context import compare, items_with_context, measure_both

    spec = parse_spec(arguments.model)
    check(spec)
    if spec.kind == "replay":
        raise UsageError(f"study: {arguments.model} answers nothing anew; name a model that does")
    prompt_set, answer = named_set(arguments.prompts), arguments.answer or spec.answer or "generate"
    items = _items(arguments, needs_images=spec.kind in ("transformers", "openai"))
    if arguments.judge is None:
        items = [item for item in items if item.task != "description"]
    else:
        check_judge(arguments.judge)
    items = items_with_context(items, lambda item: "{context}" in prompt_set.template(item.task, answer).text_for(item))

    def judge() -> Judge:
        return make_judge(arguments.judge)

    model = load_model(spec, parse_model_args(arguments.model_arg))
    engine = Engine(
        model, answer=answer, batch_size=None, blind=False, judge_rounds=5, judge=judge,
        scoring=Scoring(prompt_set.words), prompt_set=prompt_set,
    )  # fmt: skip
    try:
        effects = list(compare(measure_both(engine, items), arguments.seed))
    finally:
        engine.close()
        model.close()
    show(f"{spec.name}: {len(items)} items with their context against the same without, prompts {prompt_set.name}")
    show("\n".join(aligned([HEADER, *map(_row, effects)], left=2)))
    show("effect: with - without; p: two-sided, of no effect; a slice is a part of its dataset, p is not adjusted")
    return int(any(effect.paired is None for effect in effects))


def _items(arguments: argparse.Namespace, *, needs_images: bool) -> list[Item]:
    from pytest_qbench.data import check_images, open_datasets

    names = tuple(arguments.datasets.split(",")) if arguments.datasets else None
    datasets = open_datasets(arguments.data, rootdir=Path.cwd(), names=names, split=arguments.split)
    if needs_images:
        check_images(datasets)
    return [item for dataset in datasets for item in dataset.items]


def _row(effect: ContextEffect) -> tuple[str, ...]:
    where = effect.dataset if effect.slice is None else f"  {effect.slice}"
    start = (effect.metric, where, str(effect.items), str(effect.answers_changed))
    if effect.paired is None or effect.p_value is None:
        return (*start, "-", "-", "-", effect.problem)
    found = effect.paired
    return (*start, f"{found.delta:+.4f}", f"[{found.lower:+.4f}, {found.upper:+.4f}]", f"{effect.p_value:.3g}", "")
