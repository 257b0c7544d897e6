"""Whether a model answers questions by naming an option."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qbench.doctor.replies import describe_replies
from pytest_qbench.models.random import RandomModel
from pytest_qbench.prompts import Prompt


class Silent(RandomModel):
    """Answers every question with a sentence that names no option."""

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        return ["I would rather not say."] * len(prompts)


def test_the_share_of_replies_that_name_an_option_is_told() -> None:
    assert describe_replies(RandomModel(0)) == (True, "replies: 10 of 10 name an option")
    understood, told = describe_replies(Silent(0))
    assert not understood
    assert told.startswith("replies: 0 of 10 name an option (not: 'I would rather not say.'); ")
    assert "--qbench-answer=likelihood" in told
