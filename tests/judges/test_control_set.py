"""The control set: conditions for a judge to pass, and for a change of its scores to be drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_qbench.data.load import open_datasets
from pytest_qbench.errors import ItemError
from pytest_qbench.items import DIMENSIONS, Item
from pytest_qbench.judges.base import Verdicts
from pytest_qbench.judges.control_set import control_texts, drift, run_control_set
from pytest_qbench.judges.lexicon import LexiconJudge
from tests.builders import text as item

GOLDEN = ("Blurry and dark.", "Sharp, vivid colours.", "Noisy, with low contrast.", "Bright and clear.")
ITEMS = [replace(item(i), golden=(golden,)) for i, golden in enumerate(GOLDEN)]


class Rule:
    """A judge by a rule: (description, golden text) -> completeness, preciseness, relevance."""

    name = "rule"

    def __init__(self, rule: Any) -> None:
        self.rule = rule

    def describe(self) -> dict[str, Any]:
        return {}

    def judge(
        self, descriptions: Sequence[str], golden: Sequence[Sequence[str]], rounds: int
    ) -> Sequence[Verdicts | ItemError]:
        found = [self.rule(d, g[0]) for d, g in zip(descriptions, golden, strict=True)]
        return [
            row if isinstance(row, ItemError) else {k: [v] * rounds for k, v in zip(DIMENSIONS, row, strict=True)}
            for row in found
        ]


def honest(description: str, golden: str) -> tuple[int, int, int]:
    return (2, 2, 2) if description == golden else (0, 0, 2 if description else 0)


def test_an_honest_judge_passes() -> None:
    control = run_control_set(Rule(honest), ITEMS, 5)
    assert control["failed"] is None
    assert set(control["scores"]) == {"itself", "another", "empty"}
    assert list(control["scores"]["itself"].values()) == [[2.0, 2.0, 2.0]] * 4


@pytest.mark.parametrize(
    "rule, why",
    [
        (lambda d, g: (2, 2, 2), "empty text has completeness 2.00"),
        (lambda d, g: (1, 1, 1), "itself has completeness 1.00"),
        (lambda d, g: (0, 0, 0), "itself has completeness 0.00"),
        (lambda d, g: (2, 1, 2) if d == g else (0, 0, 0), "itself has preciseness 1.00"),
        (lambda d, g: (2, 2, 2) if d else (0, 0, 0), "another item's text has completeness 2.00"),
        (lambda d, g: (None, None, None), "unreadable"),
        (lambda d, g: (2, 2, None) if d == g else (0, 0, 0), None),  # a ninth of the verdicts
        (lambda d, g: ItemError("no reply"), "could not be judged: no reply"),
    ],
)
def test_a_bad_judge_fails_with_the_reason(rule: Any, why: str | None) -> None:
    failed = run_control_set(Rule(rule), ITEMS, 2)["failed"]
    assert failed is None if why is None else why in failed


def test_without_golden_texts_the_control_set_fails() -> None:
    assert "no item has a golden text" in run_control_set(Rule(honest), [replace(item(0), golden=())], 1)["failed"]


def test_control_texts_depend_only_on_the_items_and_pair_the_least_similar_texts() -> None:
    texts = control_texts(ITEMS)
    assert texts == control_texts(ITEMS[::-1])
    assert len(texts["another"]) == len(ITEMS)
    alike = [*ITEMS[:1], replace(item(8), golden=("Blurry and dark here.",)), ITEMS[1]]
    description, golden = next(v for k, v in control_texts(alike)["another"].items() if k.startswith("mini/0-d by "))
    assert (description, golden) == (GOLDEN[1], GOLDEN[:1])


def test_the_lexicon_passes_on_mini(tmp_path: Any) -> None:
    (mini,) = (d for d in open_datasets("mini", rootdir=tmp_path, names=None, split="dev") if d.task == "description")
    control: Any = run_control_set(LexiconJudge(), list[Item](mini.items), 5)
    assert control["failed"] is None
    assert drift(control["scores"], control["scores"]) is None


def scores(itself: float, noise: float = 0.0) -> dict[str, Any]:
    return {"itself": {str(i): [itself + noise * (-1) ** i, 2.0, 2.0] for i in range(8)}}


@pytest.mark.parametrize(
    "old, new, moved",
    [
        (scores(1.9), scores(1.4), True),
        (scores(1.4), scores(1.9), True),  # a more lenient judge does not mean a better model
        (scores(1.9), scores(1.85), False),  # below the threshold
        (scores(1.5, 0.5), scores(1.3, -0.5), False),  # within the noise of eight texts
        (scores(1.9), {}, False),
        ({}, scores(1.9), False),
    ],
)
def test_drift_is_a_change_beyond_noise(old: Any, new: Any, moved: bool) -> None:
    found = drift(old, new)
    assert (found is not None) is moved
    assert found is None or "completeness of the control set (itself)" in found
