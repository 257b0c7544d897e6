"""Check the extraction on labelled replies that imitate ten model families."""

from __future__ import annotations

import pytest

from tests.extraction.labelled import count, labelled, outcome


def test_the_labelled_set_is_large_and_has_ten_families() -> None:
    replies = labelled("replies.jsonl")
    assert len(replies) >= 400
    assert len({r["family"] for r in replies}) == 10
    assert all(r["answer"] in (*r["options"], None) for r in replies)


def test_each_reply_is_read_as_labelled() -> None:
    assert [r for r in labelled("replies.jsonl") if outcome(r) in ("wrong", "unread")] == []


@pytest.mark.parametrize("name", ["unseen.jsonl", "unseen_2.jsonl"])
def test_no_unseen_reply_is_read_wrong_and_at_most_2_percent_are_unread(name: str) -> None:
    replies = labelled(name)
    assert len(replies) >= 200
    found = count(replies)
    assert found.wrong == 0
    assert found.recall >= 0.98


def test_counts_distinguish_wrong_from_unread() -> None:
    options = ["Yes", "No"]
    replies = [
        {"options": options, "reply": "Yes", "answer": "Yes"},
        {"options": options, "reply": "Yes", "answer": "No"},
        {"options": options, "reply": "Yes", "answer": None},
        {"options": options, "reply": "Well.", "answer": "No"},
        {"options": options, "reply": "Well.", "answer": None},
    ]
    found = count(replies)
    assert found == (1, 2, 1, 3)
    assert (found.precision, found.recall) == (1 / 3, 1 / 3)
