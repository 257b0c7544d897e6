"""Token limits and prompts are conditions of a comparison."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_qbench.prompt_sets.read import packaged_set
from pytest_qbench.prompts import MAX_NEW_TOKENS, AnswerMode
from pytest_qbench.runs.asked_prompts import FIRST_PROMPTS
from pytest_qbench.runs.fingerprint import differences, fingerprint
from pytest_qbench.runs.made_with import MadeWith


def made(answer: AnswerMode = "generate", prompt_set: Any = None, altered: Any = None, **limits: int) -> dict[str, Any]:
    return fingerprint(
        answer=answer, blind=False, judge=None, judge_rounds=1, model={}, max_new_tokens={**MAX_NEW_TOKENS, **limits},
        prompt_set=prompt_set, altered=altered,
    )  # fmt: skip


def test_default_limits_leave_a_fingerprint_as_it_was_before_there_were_options() -> None:
    assert not {"answer_tokens", "description_tokens"} & made().keys()


@pytest.mark.parametrize(
    "old, new, perception, description",
    [
        (made(), made(), [], []),
        (made(), made(perception=64), ["answer_tokens: 32 -> 64"], []),
        (made(description=512), made(), [], ["description_tokens: 512 -> 256"]),
        (made("likelihood"), made("likelihood", perception=64), [], []),
    ],
)
def test_other_limits_forbid_the_comparison_of_their_task(
    old: dict[str, Any], new: dict[str, Any], perception: list[str], description: list[str]
) -> None:
    assert differences("perception", old, new) == perception
    assert differences("description", old, new) == description
    assert differences("assessment", old, new) == []


def test_a_baseline_from_before_the_sets_compares_with_the_default_prompts_alone() -> None:
    earlier = {**made(), "prompts": FIRST_PROMPTS}
    assert differences("perception", earlier, made()) == differences("perception", made(), earlier) == []
    likelihood = {**made("likelihood"), "prompts": FIRST_PROMPTS}
    assert differences("perception", likelihood, made("likelihood")) == []
    (told,) = differences("perception", earlier, made(prompt_set=packaged_set("paper")))
    assert told.startswith('prompts: "{context}\\n{question}\\n{options}\\nAnswer with')
    assert "Choose between one of the following options:" in told
    altered = {"perception": {"example": "Look. {question}", "hashes": ["a"]}}
    (told,) = differences("perception", earlier, made(altered=altered))
    assert told.endswith('-> "Look. {question}"')
    assert differences("assessment", earlier, made(altered=altered)) == []
    (told,) = differences("assessment", {**made(), "prompts": "0123"}, made())
    assert told.startswith('prompts: "prompts 0123, whose text was not recorded" -> "{context}\\nRate the quality')


def test_sets_that_ask_a_task_alike_compare_in_it() -> None:
    hub, default = made(prompt_set=packaged_set("hub")), made()
    assert differences("perception", hub, default) == []
    align = made(prompt_set=packaged_set("q-align"))
    assert differences("description", align, default) == []
    assert differences("assessment", align, default)


def test_forms_of_two_processes_are_joined() -> None:
    one = MadeWith(altered={"perception": {"example": "b", "hashes": ["2"]}})
    one.add(
        MadeWith(
            altered={
                "perception": {"example": "a", "hashes": ["1", "2"]},
                "assessment": {"example": "c", "hashes": ["3"]},
            }
        )
    )
    one.add(MadeWith())
    assert one.altered == {
        "perception": {"example": "a", "hashes": ["1", "2"]}, "assessment": {"example": "c", "hashes": ["3"]},
    }  # fmt: skip
    assert "altered" not in one.identity()
