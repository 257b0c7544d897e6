"""With and without context: a model that reads its context gains by it, and nothing else moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from scipy.stats import binomtest, spearmanr

from pytest_qbench.engine.engine import Engine
from pytest_qbench.errors import UsageError
from pytest_qbench.items import Item
from pytest_qbench.judges.lexicon import LexiconJudge
from pytest_qbench.models.random import RandomModel
from pytest_qbench.prompts import Prompt
from pytest_qbench.records import Record
from pytest_qbench.studies.context import items_with_context, measure_with_and_without
from pytest_qbench.studies.paired_effect import PairedEffect, compare


class Reading(RandomModel):
    """Answer what the context says; guess where there is none."""

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        guesses = super().generate(prompts, max_new_tokens)
        return [p.text[6] if p.text.startswith("It is ") else g for p, g in zip(prompts, guesses, strict=True)]

    def next_token_logprobs(self, prompts: Sequence[Prompt], words: Sequence[str]) -> list[list[float]]:
        rows = super().next_token_logprobs(prompts, words)
        said = [float(p.text.split()[2]) if p.text.startswith("It is ") else 0.0 for p in prompts]
        return [[row[0] + 30 * own, row[1]] for row, own in zip(rows, said, strict=True)]


def questions(n: int = 120) -> list[Item]:
    kinds = ("yes_or_no", "what")
    return [
        Item(f"d/{i}", "perception", "d", "dev", f"d/{i}", (), f"Is it {i}?", ("x", "y"), "xy"[i % 2],
             {"type": kinds[i % 2], "concern": "other"}, context=f"It is {'AB'[i % 2]}." if i < n // 2 else None)
        for i in range(n)
    ]  # fmt: skip


def effects(items: Sequence[Item]) -> tuple[list[PairedEffect], Any]:
    engine = Engine(Reading(3), answer="generate", batch_size=8, blind=False, judge_rounds=1, judge=LexiconJudge)
    pairs = measure_with_and_without(engine, items_with_context(items, lambda item: True))
    engine.close()
    return list(compare(pairs)), pairs


def test_the_effect_by_type_and_concern_is_that_of_the_paired_test() -> None:
    found, pairs = effects(questions())
    assert [(one.slice, one.items) for one in found] == [
        (None, 60), ("type=yes_or_no", 30), ("type=what", 30), ("concern=other", 60),
    ]  # fmt: skip
    gained = sum(new.status == "correct" != old.status for new, old in pairs)
    assert found[0].paired is not None
    assert found[0].paired.delta == pytest.approx(gained / 60)
    assert found[0].answers_changed == gained > 10
    exact = binomtest(0, gained, 0.5).pvalue
    assert found[0].p_value == pytest.approx(exact, rel=1.0)
    assert found[0].paired.lower > 0


def test_the_effect_on_quality_scores_is_the_difference_of_the_correlations() -> None:
    items = [
        Item(f"q/{i}", "assessment", "q", None, f"q/{i}", (), target=float(i), context=f"It is {i / 80} good.")
        for i in range(80)
    ]
    (one,), pairs = effects(items)
    assert one.paired is not None
    new, old = (spearmanr([r.score for r in side], range(80)).statistic for side in zip(*pairs, strict=True))
    assert one.paired.delta == pytest.approx(new - old)
    assert one.paired.lower > 0


def test_items_without_context_are_left_out_and_none_at_all_is_an_error() -> None:
    assert len(items_with_context(questions(10), lambda item: True)) == 5
    with pytest.raises(UsageError, match="no item has a context: add a field or column context"):
        items_with_context([replace(item, context=None) for item in questions()], lambda item: True)
    with pytest.raises(UsageError, match="the prompts of perception have no {context}"):
        items_with_context(questions(), lambda item: False)


def test_an_error_leaves_no_comparison_and_says_why() -> None:
    pairs = effects(questions())[1]
    new, old = pairs[0]
    broken = [(replace(new, status="error", error="no image", choice=None), old), *pairs[1:]]
    whole, *_ = compare(broken)
    assert whole.paired is None
    assert whole.problem == "1 measurements ended in an error (first: d/0: no image)"


def test_hidden_answers_leave_no_comparison() -> None:
    whole, *_ = effects([replace(item, answer=None) for item in questions()])[0]
    assert whole.paired is None
    assert whole.problem.startswith("the right answers of 60 items are hidden")


def test_a_description_changes_with_its_grades() -> None:
    items = [
        Item(f"t/{i}", "description", "t", None, f"t/{i}", (), golden=("Blurred.",), context="c") for i in range(9)
    ]
    same, more = ({"completeness": [g], "preciseness": [1], "relevance": [1]} for g in (1, 2))
    aware = [
        Record.of(item, "correct", response="Blurred.", judge=more if i < 4 else same) for i, item in enumerate(items)
    ]
    bare = [Record.of(item, "correct", response="Blurred.", judge=same) for item in items]
    (effect,) = compare(list(zip(aware, bare, strict=True)))
    assert effect.answers_changed == 4
    assert effect.paired is not None
    assert effect.paired.delta == pytest.approx(4 / 9)
