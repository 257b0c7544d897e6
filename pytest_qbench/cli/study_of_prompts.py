"""`qbench study context` and `qbench study options`: the same items asked in two ways, compared in pairs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pytest_qbench.cli.command import show
from pytest_qbench.cli.study_data import datasets_of
from pytest_qbench.data import check_images, select
from pytest_qbench.data.option_order import shuffled
from pytest_qbench.engine.engine import Engine
from pytest_qbench.errors import UsageError
from pytest_qbench.items import Item
from pytest_qbench.judges.base import Judge
from pytest_qbench.judges.load import check_judge, make_judge
from pytest_qbench.models.load import load_model
from pytest_qbench.models.model_args import parse_model_args
from pytest_qbench.models.specs import ModelSpec, check, parse_spec
from pytest_qbench.prompt_sets.read import read_prompt_set
from pytest_qbench.prompts import AnswerMode, PromptSet, Template
from pytest_qbench.records import Record
from pytest_qbench.report.labels import own_interval, value_text
from pytest_qbench.report.text_table import aligned
from pytest_qbench.scoring.score import Scoring
from pytest_qbench.studies.context import items_with_context, measure_with_and_without
from pytest_qbench.studies.option_order import answered_questions, by_position, measure_both_orders
from pytest_qbench.studies.paired_effect import PairedEffect, compare

HEADER = ("metric", "data", "items", "changed", "effect", "95 % interval", "p", "")
FOOTER = "p: two-sided, of no effect; a slice is a part of its dataset, p is not adjusted"


@dataclass(frozen=True, slots=True)
class _Question:
    """How a study asks: model, answer mode and prompts, as the arguments name them."""

    spec: ModelSpec
    answer: AnswerMode
    prompt_set: PromptSet

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> _Question:
        spec = parse_spec(arguments.model)
        check(spec)
        if spec.kind == "replay":
            raise UsageError(f"study: {arguments.model} answers nothing anew; name a model that does")
        return cls(spec, arguments.answer or spec.answer or "generate", read_prompt_set(arguments.prompts))

    def template(self, item: Item) -> Template:
        return self.prompt_set.template(item.task, self.answer)


def study_context(arguments: argparse.Namespace) -> int:
    """Measure the items with and without context and print the effects; return 1 where a comparison is missing."""
    question = _Question.of(arguments)
    items = _items(arguments, question)
    if arguments.judge is None:
        items = [item for item in items if item.task != "description"]
    else:
        check_judge(arguments.judge, arguments.judge_arg, arguments.judge_prompts)
    if arguments.context:
        items = [replace(item, context=arguments.context) for item in items]
    items = items_with_context(items, lambda item: "{context}" in question.template(item).text_for(item))
    with _engine(arguments, question, arguments.judge_rounds) as engine:
        effects = list(compare(measure_with_and_without(engine, items), arguments.seed))
    _show(question, f"{len(items)} items with their context against the same without", effects)
    show(f"effect: with - without; {FOOTER}")
    return int(any(effect.paired is None for effect in effects))


def study_options(arguments: argparse.Namespace) -> int:
    """Measure the questions in two orders of the options and print the effects; return 1 where one is missing."""
    question = _Question.of(arguments)
    items = answered_questions(_items(arguments, question))
    with _engine(arguments, question) as engine:
        pairs = measure_both_orders(engine, items, arguments.seed)
    effects = list(compare(pairs, arguments.seed))
    _show(question, f"{len(items)} questions with their options shuffled against the order of the data", effects)
    show(f"effect: shuffled - as in the data; {FOOTER}")
    _show_positions(items, pairs, arguments.seed)
    if not any("{options}" in question.template(item).text_for(item) for item in items):
        show("the prompts show no options, so their order changes nothing: ask with --answer=generate")
    return int(any(effect.paired is None for effect in effects))


def _show_positions(items: Sequence[Item], pairs: Sequence[tuple[Record, Record]], seed: int) -> None:
    """Print accuracy and bias per position, in both orders of the options."""
    other = by_position([new for new, _ in pairs], [shuffled(item, seed) for item in items])
    plain = by_position([old for _, old in pairs], items)
    found = [{(m.dataset, m.name, m.slice): m for m in own} for own in (plain, other)]
    rows = [["by position", "data", "as in data", "95 % interval", "items", "shuffled", "95 % interval", "items"]]
    for dataset, name, slice_ in dict.fromkeys(key for own in found for key in own):
        words = "accuracy" if name == "perception.accuracy_at" else "chosen - right" if slice_ else "bias"
        cells = [own.get((dataset, name, slice_)) for own in found]
        row = [f"{words} {(slice_ or '').removeprefix('position=')}", dataset or ""]
        for m in cells:
            row += ["-", "", "0"] if m is None else [value_text(name, m.value), own_interval(m), str(m.n)]
        rows.append(row)
    show("\n".join(aligned(rows, left=2)))
    show("accuracy A: of the questions whose right option is at A; bias: half the sum of |chosen - right|")


def _items(arguments: argparse.Namespace, question: _Question) -> list[Item]:
    datasets = select(datasets_of(arguments), limit=arguments.limit, seed=arguments.seed)
    if question.spec.kind == "transformers" or question.spec.is_served:
        check_images(datasets)
    return [item for dataset in datasets for item in dataset.items]


@contextmanager
def _engine(arguments: argparse.Namespace, question: _Question, judge_rounds: int = 1) -> Iterator[Engine]:
    """Load the model, yield the engine around it and release both."""

    def judge() -> Judge:
        return make_judge(arguments.judge, arguments.judge_arg, arguments.judge_prompts)

    model = load_model(question.spec, parse_model_args(arguments.model_arg))
    engine = Engine(
        model, answer=question.answer, batch_size=None, blind=False, judge_rounds=judge_rounds,
        judge=judge,
        scoring=Scoring(question.prompt_set.words), prompt_set=question.prompt_set,
    )  # fmt: skip
    try:
        yield engine
    finally:
        engine.close()
        model.close()


def _show(question: _Question, compared: str, effects: Sequence[PairedEffect]) -> None:
    how = "" if question.answer == "generate" else f", answers by {question.answer}"
    show(f"{question.spec.name}: {compared}, prompts {question.prompt_set.name}{how}")
    show("\n".join(aligned([HEADER, *map(effect_row, effects)], left=2)))


def effect_row(effect: PairedEffect) -> tuple[str, ...]:
    """Return the cells of an effect below `HEADER`."""
    where = effect.dataset if effect.slice is None else f"  {effect.slice}"
    start = (effect.metric, where, str(effect.items), str(effect.answers_changed))
    if effect.paired is None or effect.p_value is None:
        return (*start, "-", "-", "-", effect.problem)
    found = effect.paired
    return (*start, f"{found.delta:+.4f}", f"[{found.lower:+.4f}, {found.upper:+.4f}]", f"{effect.p_value:.3g}", "")
