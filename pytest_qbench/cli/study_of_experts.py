"""`qbench study experts`: golden texts judged against each other, and the agreement of their authors."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from pytest_qbench.cli.command import show
from pytest_qbench.cli.study_data import datasets_of
from pytest_qbench.errors import UsageError
from pytest_qbench.items import DIMENSIONS, Item
from pytest_qbench.judges.base import Judge
from pytest_qbench.judges.control_set import run_control_set
from pytest_qbench.judges.load import check_judge, make_judge
from pytest_qbench.metrics.compute import mean_metric
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import Record
from pytest_qbench.report.labels import own_interval, value_text
from pytest_qbench.report.text_table import aligned
from pytest_qbench.runs.read import read_run
from pytest_qbench.scoring.score import answer_text
from pytest_qbench.studies.experts import (
    agreement,
    grade_experts,
    grade_replies,
    items_of_several_experts,
    repeated_texts,
)
from pytest_qbench.studies.paired_effect import PairedEffect, paired_effect

METRICS = tuple(f"description.{part}" for part in (*DIMENSIONS, "sum"))


def study_experts(arguments: argparse.Namespace) -> int:
    """Judge each golden text against the others and print the means; return 1 where a value is missing."""
    check_judge(arguments.judge, arguments.judge_arg, arguments.judge_prompts)
    items = items_of_several_experts(_items(arguments))
    replies = _replies(Path(arguments.run_folder), items) if arguments.run_folder else None
    judge = _checked_judge(arguments, items)
    experts = grade_experts(judge, items, arguments.judge_rounds)
    model = None if replies is None else grade_replies(judge, items, replies, arguments.judge_rounds)
    texts = sum(len(item.golden) for item in items)
    told = f"{texts} golden texts of {len(items)} items, each judged against the others of its item by {judge.name}"
    show(f"experts: {told}, {arguments.judge_rounds} rounds")
    complete = True
    for dataset in dict.fromkeys(item.dataset for item in items):
        here = [i for i, item in enumerate(items) if item.dataset == dataset]
        own = [experts[i] for i in here]
        complete &= _show_scores(dataset, own, None if model is None else [model[i] for i in here])
        _show_agreement(dataset, [items[i] for i in here])
    if repeated := repeated_texts(items):
        show(f"{repeated} of {texts} texts repeat another of their item word for word, which raises both tables")
    return int(not complete)


def _items(arguments: argparse.Namespace) -> list[Item]:
    return [item for dataset in datasets_of(arguments) if dataset.task == "description" for item in dataset.items]


def _replies(folder: Path, items: Sequence[Item]) -> list[str]:
    """Return the descriptions of a run. Raises `UsageError` if it has none of an item, or had other golden texts."""
    results: Results = read_run(folder)
    records = {record.item: record for record in results.records if record.task == "description"}
    replies = []
    for item in items:
        record, asked = records.get(item.id), results.expected.get((item.task, item.id))
        if record is None or asked is None or record.response is None or record.status == "error":
            raise UsageError(f"{folder}: has no description of {item.id}; name a complete run on these data")
        if asked.golden != item.golden:
            raise UsageError(f"{folder}: {item.id} had other golden texts; name a run on these data")
        replies.append(answer_text(record.response))
    return replies


def _checked_judge(arguments: argparse.Namespace, items: Sequence[Item]) -> Judge:
    """Return the judge. Raises `UsageError` if it fails its control set, whose texts are those of the items."""
    judge = make_judge(arguments.judge, arguments.judge_arg, arguments.judge_prompts)
    if failed := run_control_set(judge, items, arguments.judge_rounds)["failed"]:
        raise UsageError(f"--judge={arguments.judge} failed its control set, before any item: {failed}")
    return judge


def _show_scores(dataset: str, experts: Sequence[Record], model: Sequence[Record] | None) -> bool:
    """Print the means of a dataset, beside a model's where there is one. Return whether every value is defined."""
    header = ["description " + dataset, "experts", "95 % interval", "items"]
    rows = [[*header, "model", "model - experts", "95 % interval", "p"] if model else header]
    problems = []
    for name in METRICS:
        m = mean_metric(experts, name, dataset, None, None)
        row = [name.partition(".")[2], value_text(name, m.value) if m.n else "-", own_interval(m), str(m.n)]
        if m.n < len(experts):
            problems.append(f"{name}: {_missing(experts, m.n)}")
        if model:
            value = mean_metric(model, name, dataset, None, None).value
            effect = paired_effect(name, dataset, None, list(zip(model, experts, strict=True)))
            row += ["-" if value is None else value_text(name, value), *_difference(effect)]
            problems += [f"{name}: {effect.problem}"] if effect.problem else []
        rows.append(row)
    show("\n".join([*aligned(rows), *(f"  {problem}" for problem in problems)]))
    return not problems


def _missing(records: Sequence[Record], n: int) -> str:
    first = next((record.error for record in records if record.error), "unreadable verdicts")
    return f"{len(records) - n} of {len(records)} items have no value (first: {first})"


def _difference(effect: PairedEffect) -> list[str]:
    if effect.paired is None or effect.p_value is None:
        return ["-", "-", "-"]
    found = effect.paired
    is_bounded = math.isfinite(found.upper - found.lower)  # not with too few items
    interval = f"[{found.lower:+.2f}, {found.upper:+.2f}]" if is_bounded else "unbounded"
    return [f"{found.delta:+.2f}", interval, f"{effect.p_value:.3g}"]


def _show_agreement(dataset: str, items: Sequence[Item]) -> None:
    rows = [["aspect in " + dataset, "alpha", "agree", "items", ""]]
    for one in agreement(items):
        agree = "-" if one.same is None else f"{one.same:.0%}"
        rows.append([one.aspect, "-" if one.alpha is None else f"{one.alpha:.3f}", agree, str(one.items), one.note])
    show("\n".join(aligned(rows)))
    show(
        "alpha: Krippendorff's, ordinal, 1: all agree, 0: chance; agree: the share of pairs of experts with one rating"
    )
    show("a rating: what the word list reads of an aspect in an expert's text; items: with ratings of two experts")
