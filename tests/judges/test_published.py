"""Judging as published: the paper's prompts, and replies marked by five votes that know the right answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.endpoints.event_loop import Endpoints
from pytest_qbench.engine.grader import Grader
from pytest_qbench.errors import ItemError, UsageError
from pytest_qbench.judges.base import Judge, SupportsMarking
from pytest_qbench.judges.load import check_judge, make_judge
from pytest_qbench.judges.prompts import read_prompts
from pytest_qbench.records import Record, Response, check_record
from pytest_qbench.scoring.score import DEFAULT
from tests.builders import question
from tests.endpoints.server import completion, serving

COMPLETENESS = (
    "Evaluate whether the description [It is dark.] completely includes the low-level visual information in the "
    "reference description [Dim. {x}]. Please rate score 2 for completely or almost completely including reference "
    "information, 0 for not including at all, 1 for including part of the information or similar description. Please "
    "only provide the result in the following format: Score:"
)
MARKING = (
    "You will now be provided with a question [Is it blurry?] and a set of options [A. Yes\nB. No] with option [No] being "
    "the correct answer. Additionally, there will be an answer [It is crisp.] provided by a respondent. Please determine "
    "whether the respondent's answer is correct considering the context of the question. Even if the word choice is not "
    "completely the same, you can decide based on the given options and see whether the one in the answer is close enough "
    "to the given correct answer. The result is 1 if the answer is correct and else the result is 0. Please only provide "
    "the result in the following format: Score:"
)
ITEM = replace(question(0), question="Is it blurry?", options=("Yes", "No"), answer="No")


def asked(prompts: str | None, use: Any) -> tuple[list[Any], Any]:
    with serving(lambda body, attempt: completion(*["Score: 1"] * body.get("n", 1))) as server:
        endpoints = Endpoints(timeout=5)
        try:
            found = use(make_judge(f"openai:j@{server.url}", (), prompts, endpoints))
        finally:
            endpoints.close()
    return [body["messages"] for body in server.bodies], found


def test_the_papers_prompts_are_sent_word_for_word_with_their_system_text() -> None:
    turns, _ = asked("paper", lambda judge: judge.judge(["It is dark."], [("Dim. {x}",)], 1))
    assert len(turns) == 3
    for system, user in turns:
        assert system == {"role": "system", "content": "You are a helpful assistant."}
        assert user["content"][0]["text"].endswith("Please only provide the result in the following format: Score:")
    assert turns[0][1]["content"] == [{"type": "text", "text": COMPLETENESS}]


def test_our_prompts_have_no_system_text() -> None:
    turns, _ = asked(None, lambda judge: judge.judge(["It is dark."], [("Dim.",)], 1))
    assert [len(each) for each in turns] == [1, 1, 1]


def test_the_judge_who_marks_knows_the_right_answer() -> None:
    turns, votes = asked("paper", lambda judge: judge.mark([ITEM], ["It is crisp."], 5))
    assert votes == [[1] * 5]
    assert turns[0][1]["content"] == [{"type": "text", "text": MARKING}]
    ours, _ = asked(None, lambda judge: judge.mark([ITEM], ["It is crisp."], 5))
    assert "Right answer: No\n" in ours[0][0]["content"][0]["text"]


class Marks:
    name = "marks"

    def __init__(self, *votes: Sequence[int | None] | ItemError) -> None:
        self.votes = votes

    def describe(self) -> dict[str, Any]:
        return {}

    def judge(self, descriptions: Sequence[str], golden: Sequence[Sequence[str]], rounds: int) -> list[Any]:
        raise AssertionError

    def mark(self, items: Any, replies: Sequence[str], rounds: int) -> list[Any]:
        assert rounds == 5
        self.replies = list(replies)
        return list(self.votes)


def grade(judge: Judge, *replies: str, **changes: Any) -> list[Record]:
    items = [replace(ITEM, **changes)] * len(replies)
    grader = Grader(DEFAULT, lambda: judge, 5, marks_answers=True)
    records = grader(items, [Response(reply) for reply in replies])
    for record in records:
        check_record(record)
    return records


def test_more_than_half_of_five_votes_mark_a_reply() -> None:
    judge = Marks([1, 1, 1, 0, 0], [0, 0, 0, 1, 1], [0, 0, 0, 0, 0], [1, 1, 0, 0, None], ItemError("down"))
    assert isinstance(judge, SupportsMarking)
    found = grade(judge, "<think>hm</think>It is crisp.", "It is not blurry: B. No", "A. Yes", "Maybe", "No")
    assert [(r.status, r.choice) for r in found] == [
        ("correct", "No"), ("wrong", None), ("wrong", "Yes"), ("unparsed", None), ("error", None),
    ]  # fmt: skip
    assert judge.replies[0] == "It is crisp."
    assert found[0].judge == {"correct": [1, 1, 1, 0, 0]}


def test_hidden_answers_are_not_marked() -> None:
    (record,) = grade(Marks(), "B", answer=None)
    assert (record.status, record.choice, record.judge) == ("measured", "No", None)


def test_a_word_list_cannot_mark_and_unknown_prompts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--qbench-judge-answers: lexicon cannot read replies"):
        check_judge("lexicon", (), None, marks_answers=True)
    with pytest.raises(UsageError, match="--qbench-judge-prompts=papers: no such prompts; use default, paper or"):
        read_prompts("papers")
    (tmp_path / "p.yaml").write_text("correct: 'Is {reply} right?'\n")
    with pytest.raises(UsageError, match="correct lacks {answer}"):
        read_prompts(tmp_path / "p.yaml")
