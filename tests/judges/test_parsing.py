"""A judge's reply is exactly a verdict, or unreadable."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.judges.parsing import Unreadable, answer_probabilities, read_vote
from pytest_qbench.judges.rubric import DIGITS


def readable(vote: int | Unreadable) -> int | None:
    return None if isinstance(vote, Unreadable) else vote


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Score: 2", 2), ("Score: 0", 0), ("2", 2), (" 1\n", 1), ("0.", 0), ("score:1", 1), ("**Score: 2**", 2),
        ("**Score:** 2", 2), ("It covers all.\nScore: 2", 2), ("Score: 1\n", 1), ("Score: 1\nScore: 1", 1), ("`2`", 2),
        ("<think>Score: 1</think>Score: 2", 2), ("Fine.</think>Score: 2", 2), ("[THINK]1?[/THINK]\n**Score: 2**", 2),
        ("<think>Score: 1", None), ("", None), ("3", None), ("Score: 3", None), ("Score: 2.5", None), ("2.5", None), ("Score: 2/2", None),
        ("Score: 0, 1 or 2", None), ("Score: N", None), ("I would say 2", None), ("Score: 1\nScore: 2", None),
        ("two", None), ("-1", None), ("Score: -1", None), ("12", None), ("Score: 2 because it covers all", None),
        ("The score: 2 is too high", None), ("2 1", None), ("HTTP 500: 2", None), ("Choice: 2", None), ("１", None),
    ],
)  # fmt: skip
def test_scores(text: str, expected: int | None) -> None:
    assert readable(read_vote(text, DIGITS, "Score")) == expected


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
    assert readable(read_vote(text, ("A", "B", "X"), "Choice")) == expected


@given(st.text())
def test_any_text_is_a_verdict_or_unreadable(text: str) -> None:
    assert readable(read_vote(text, DIGITS, "Score")) in (0, 1, 2, None)


@given(st.text(), st.booleans())
def test_a_reason_is_one_short_line_that_a_terminal_can_show(text: str, cut: bool) -> None:
    found = read_vote(text, DIGITS, "Score", cut=cut)
    if isinstance(found, Unreadable):
        assert found.reason.isprintable()
        assert len(found.reason) < 1000
        assert ("ran out of tokens" in found.reason) is cut


@pytest.mark.parametrize(
    "text, cut, reason",
    [
        ("Score: 2/2", False, "'Score: 2/2' is not \"Score: 0|1|2\""),
        ("Let me compare", True, "it ran out of tokens after 'Let me compare'"),
        ("", True, "it ran out of tokens after ''"),
        ("<think>Score: 2", False, "'<think>Score: 2' is not \"Score: 0|1|2\""),
        ("\x1b[31mred\u202e\n", False, r"'\x1b[31mred\u202e\n' is not " + '"Score: 0|1|2"'),
        ("ab" * 99, False, repr("ab" * 38 + "a" + "...") + ' is not "Score: 0|1|2"'),
    ],
)
def test_a_reason_quotes_the_reply(text: str, cut: bool, reason: str) -> None:
    assert read_vote(text, DIGITS, "Score", cut=cut) == Unreadable(reason, cut)


def test_probabilities_add_the_spellings_of_an_answer_and_sum_to_one() -> None:
    top = {"2": math.log(0.5), " 2": math.log(0.1), "1": math.log(0.2), "Score": math.log(0.2)}
    assert answer_probabilities(top, DIGITS) == pytest.approx([0, 0.25, 0.75])


@pytest.mark.parametrize(
    "top, first",
    [({}, ""), ({"Score": 0.0}, "Score"), ({"2": math.log(0.4), "The": math.log(0.6)}, "The"), ({"2": math.nan}, "2")],
)
def test_probabilities_are_unreadable_if_the_first_token_is_something_else(top: dict[str, float], first: str) -> None:
    assert answer_probabilities(top, DIGITS) == Unreadable(f"its likeliest first token is {first!r}, not 0|1|2")
