"""Token limits are conditions of a comparison."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_qbench.prompts import MAX_NEW_TOKENS
from pytest_qbench.runs.fingerprint import differences, fingerprint


def made(answer: str = "generate", **limits: int) -> dict[str, Any]:
    return fingerprint(
        answer=answer, blind=False, judge=None, judge_rounds=1, model={}, max_new_tokens={**MAX_NEW_TOKENS, **limits}
    )


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
