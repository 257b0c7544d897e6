"""Check that reasoning is removed completely and an answer is not changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.extraction.reasoning import without_reasoning

FORMATS = [
    ("<think>", "</think>"), ("<THINK>", "</THINK>"), ("<thinking>", "</thinking>"), ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"), ("<seed:think>", "</seed:think>"), ("<think >", "</think >"),
    ("[THINK]", "[/THINK]"), ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"), ("<unused94>thought", "<unused95>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
]  # fmt: skip
PLAIN = st.text(st.characters(exclude_characters="<>[]|\u25c1\u25b7", exclude_categories=["Cs"]))


@pytest.mark.parametrize("opening, closing", FORMATS)
@given(thought=PLAIN, answer=PLAIN)
def test_reasoning_is_removed_and_the_answer_stays(opening: str, closing: str, thought: str, answer: str) -> None:
    answer = answer.strip()
    assert without_reasoning(f"{opening}{thought}{closing}\n\n{answer}") == answer
    assert without_reasoning(f"{thought}{closing}{answer}") == answer  # the prompt ended with the opening tag
    assert without_reasoning(f"{answer} {opening}{thought}") == answer  # the limit ended the thought
    assert without_reasoning(f"{opening}{thought}{closing} {opening}{thought}{closing}{answer}") == answer


@given(PLAIN)
def test_a_reply_without_tags_stays(reply: str) -> None:
    assert without_reasoning(reply) == reply.strip()


@pytest.mark.parametrize(
    "reply, answer",
    [
        ("<think>a<think>b</think>c</think>B", "B"),
        ("<think></think>", ""),
        ("B</think>", ""),
        ("I think it is <b>blurry</b>.", "I think it is <b>blurry</b>."),
        ("The thinking man is sharp.", "The thinking man is sharp."),
        ("<thinker>B", "<thinker>B"),
    ],
)
def test_examples_of_replies_with_reasoning(reply: str, answer: str) -> None:
    assert without_reasoning(reply) == answer
