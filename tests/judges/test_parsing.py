"""Reading a judge's reply: exactly a verdict, or none."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.judges.parsing import read_vote, shares
from pytest_qbench.judges.rubric import DIGITS


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Score: 2", 2), ("Score: 0", 0), ("2", 2), (" 1\n", 1), ("0.", 0), ("score:1", 1), ("**Score: 2**", 2),
        ("**Score:** 2", 2), ("It covers all.\nScore: 2", 2), ("Score: 1\n", 1), ("Score: 1\nScore: 1", 1), ("`2`", 2),
        ("", None), ("3", None), ("Score: 3", None), ("Score: 2.5", None), ("2.5", None), ("Score: 2/2", None),
        ("Score: 0, 1 or 2", None), ("Score: N", None), ("I would say 2", None), ("Score: 1\nScore: 2", None),
        ("two", None), ("-1", None), ("Score: -1", None), ("12", None), ("Score: 2 because it covers all", None),
        ("The score: 2 is too high", None), ("2 1", None), ("HTTP 500: 2", None), ("Choice: 2", None), ("１", None),
    ],
)  # fmt: skip
def test_scores(text: str, expected: int | None) -> None:
    assert read_vote(text, DIGITS, "Score") == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Choice: B", 1),
        ("b", 1),
        ("Choice: X", 2),
        ("Choice: C", None),
        ("A or B", None),
        ("Choice: A\nChoice: B", None),
    ],
)
def test_choices(text: str, expected: int | None) -> None:
    assert read_vote(text, ("A", "B", "X"), "Choice") == expected


@given(st.text())
def test_any_text_is_a_verdict_or_none(text: str) -> None:
    assert read_vote(text, DIGITS, "Score") in (0, 1, 2, None)


def test_shares_add_the_spellings_of_an_answer_and_scale() -> None:
    top = {"2": math.log(0.5), " 2": math.log(0.1), "1": math.log(0.2), "Score": math.log(0.2)}
    assert shares(top, DIGITS) == pytest.approx([0, 0.25, 0.75])


@pytest.mark.parametrize("top", [None, {}, {"Score": 0.0}, {"2": math.log(0.4), "The": math.log(0.6)}, {"2": math.nan}])
def test_shares_of_something_else_are_none(top: dict[str, float] | None) -> None:
    assert shares(top, DIGITS) is None
