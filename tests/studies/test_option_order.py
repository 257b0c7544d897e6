"""Shuffled options against the order of the data: a model that prefers a position is found, one that reads is not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from scipy.stats import binomtest

from pytest_qbench.engine.engine import Engine
from pytest_qbench.errors import UsageError
from pytest_qbench.items import Item
from pytest_qbench.judges.lexicon import LexiconJudge
from pytest_qbench.models.random import RandomModel
from pytest_qbench.prompts import Prompt
from pytest_qbench.records import Record
from pytest_qbench.studies.option_order import answered_questions, by_position, measure_both_orders
from pytest_qbench.studies.paired_effect import compare
from tests.builders import picture, question


class AlwaysA(RandomModel):
    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        return ["A"] * len(prompts)


class Knows(RandomModel):
    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        return [found[1] if (found := re.search(r"([A-D])\. right", p.text)) else "" for p in prompts]


ITEMS = [replace(question(i), options=("right", "wrong", "bad", "false"), answer="right", slices={}) for i in range(80)]


def measured(model: RandomModel) -> list[tuple[Record, Record]]:
    engine = Engine(model, answer="generate", batch_size=16, blind=False, judge_rounds=1, judge=LexiconJudge)
    pairs = measure_both_orders(engine, ITEMS, seed=5)
    engine.close()
    return pairs


def test_a_preference_for_a_position_shows() -> None:
    pairs = measured(AlwaysA(0))
    (effect,) = compare(pairs)
    kept = sum(new.status == "correct" for new, _ in pairs)
    assert 8 < kept < 35  # a quarter of 80
    assert effect.answers_changed == 80 - kept
    assert effect.paired is not None
    assert effect.paired.delta == pytest.approx(kept / 80 - 1)
    assert effect.paired.upper < 0
    assert (effect.p_value or 1) <= binomtest(0, 80 - kept, 0.5).pvalue * 1.01
    rows = {(m.name, m.slice): m for m in by_position([old for _, old in pairs], ITEMS)}
    assert (rows["perception.accuracy_at", "position=A"].value, rows["perception.position_bias", None].value) == (1, 0)


def test_a_model_that_reads_its_options_keeps_its_answers() -> None:
    (effect,) = compare(measured(Knows(0)))
    assert effect.answers_changed == 0
    assert effect.paired is not None
    assert effect.paired.delta == 0


def test_only_questions_with_a_known_answer_count() -> None:
    hidden: list[Item] = [replace(ITEMS[0], answer=None), picture(0, 1.0)]
    assert answered_questions([*ITEMS, *hidden]) == ITEMS
    with pytest.raises(UsageError, match="no question with a known answer"):
        answered_questions(hidden)
