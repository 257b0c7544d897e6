"""Questions with several right answers, from their files to records and metrics: the exact set is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.data.option_order import shuffled
from pytest_qbench.errors import ItemError
from pytest_qbench.items import Item
from pytest_qbench.metrics.diagnostics import diagnose
from pytest_qbench.records import Record, Response
from pytest_qbench.runs.items_file import read_items, write_items
from pytest_qbench.scoring.score import score
from tests.data.files import read_one, refusal, write

ENTRY = {"img_path": "one.png", "question": "Which apply?", "candidates": ["Blur", "Noise", "Rain"]}


def root(folder: Path, entry: dict[str, Any]) -> Path:
    write(folder / "lab.json", [entry])
    write(folder / "datasets.yaml", "datasets: [{name: lab, task: perception, file: lab.json}]")
    return folder


COLUMNS = {"img_path": "one.png", "question": "Which apply?", "A": "Blur", "B": "Noise", "C": "Rain"}


@pytest.mark.parametrize(
    "entry",
    [
        {**ENTRY, "correct_ans": ["Rain", "Blur"]},
        {**ENTRY, "answer": ["C", "A"]},
        {**ENTRY, "answer": "A,C"},
        {**ENTRY, "correct_choice": "AC"},
        {**ENTRY, "correct_ans": ["Blur", "Rain"], "correct_choice": "A, C"},
        {**COLUMNS, "answer": "AC"},
        {**COLUMNS, "answer": "['A', 'C']"},
        {**COLUMNS, "answer": "A C"},
    ],
)
def test_the_right_answers_of_every_form(tmp_path: Path, entry: dict[str, Any]) -> None:
    (item,) = read_one(root(tmp_path, entry)).items
    assert (item.answers, item.right_options, item.answer) == (("Blur", "Rain"), ("Blur", "Rain"), "Blur; Rain")
    write_items(tmp_path, [item])
    assert read_items(tmp_path)[0].answers == item.answers


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({**ENTRY, "correct_ans": ["Blur", "Fog"]}, "answer 'Fog' is neither"),
        ({**ENTRY, "correct_ans": ["Blur"], "correct_choice": "AC"}, "the fields of the right answers differ"),
        ({**ENTRY, "candidates": ["Blur", "Noise; rain"], "correct_ans": ["Blur"]}, "contains '; '"),
        ({**ENTRY, "candidates": ["x", "y", "Abc", "Bad"], "correct_ans": "BAD"}, "'BAD' is not among the options"),
        ({**ENTRY, "candidates": ["x", "y", "z", "w"], "answer": "BAD"}, "'BAD' is neither"),
        ({**COLUMNS, "answer": "AD"}, "'AD' is neither"),
        ({**COLUMNS, "answer": "AA"}, "'AA' is neither"),
    ],
)
def test_other_answers_are_refused(tmp_path: Path, entry: dict[str, Any], words: str) -> None:
    assert words in refusal(root(tmp_path, entry))


def test_one_answer_stays_one_answer(tmp_path: Path) -> None:
    (item,) = read_one(root(tmp_path, {**COLUMNS, "answer": "B"})).items
    assert (item.answers, item.right_options) == ((), ("Noise",))


SEVERAL = Item("lab/1", "perception", "lab", None, "lab/1", (), "Which apply?", ("Blur", "Noise", "Rain"), "Blur; Rain",
               answers=("Blur", "Rain"))  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "status", "choice"),
    [
        ("A, C", "correct", "Blur; Rain"),
        ("C, A", "correct", "Blur; Rain"),
        ("A", "wrong", "Blur"),
        ("A, B, C", "wrong", "Blur; Noise; Rain"),
        ("I cannot tell.", "unparsed", None),
    ],
)
def test_the_exact_set_is_right(reply: str, status: str, choice: str | None) -> None:
    record = score(SEVERAL, Response(reply))
    assert (record.status, record.choice, record.target) == (status, choice, "Blur; Rain")
    assert Record.from_dict({"schema": 1, **record.to_dict()}, "line") == record


def test_shuffled_options_leave_the_right_set_right() -> None:
    for seed in range(6):
        item = shuffled(SEVERAL, seed)
        letters = ["ABC"[item.options.index(option)] for option in SEVERAL.answers]
        assert score(item, Response(", ".join(letters))).status == "correct"


def test_likelihoods_of_single_options_cannot_answer() -> None:
    with pytest.raises(ItemError, match=r"lab/1: several answers are right; ask for a reply in text"):
        score(SEVERAL, Response(logprobs={"Blur": -1.0, "Noise": -2.0, "Rain": -3.0}))


def test_chance_is_one_of_all_sets_and_the_position_bias_leaves_them_out() -> None:
    record = score(SEVERAL, Response("A, C"))
    found = {m.name: m for m in diagnose([record], {("perception", "lab/1"): SEVERAL})}
    assert found["perception.chance"].value == pytest.approx(1 / 7)
    assert found["perception.position_bias"].value is None
