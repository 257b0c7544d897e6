"""A project's model that changes prompts: what the engine finds of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pytest_qbench.models.random import RandomModel
from pytest_qbench.prompts import Prompt
from tests.engine.test_engine import engine, item

LETTER = "Answer with the option's letter from the given choices directly."


class Changing(RandomModel):
    """Change each prompt before the backend below sees it, as a project's fixture does."""

    def __init__(self, change: Callable[[Prompt], Prompt]) -> None:
        super().__init__(0)
        self.change = change

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        return super().generate([self.change(prompt) for prompt in prompts], max_new_tokens)


def found(change: Callable[[Prompt], Prompt], items: int = 6, batch_size: int = 2) -> dict[str, Any]:
    states: list[dict[str, Any]] = []
    made = engine(Changing(change), batch_size=batch_size, on_prompt_change=states.append)
    made.measure([replace(item(i, "perception"), question=f"Is it {i}?") for i in range(items)])
    return states[-1] if states else {}


def test_unchanged_prompts_are_no_change() -> None:
    assert found(lambda prompt: prompt) == {}
    assert found(lambda prompt: replace(prompt, images=())) == {}


@pytest.mark.parametrize(
    "change, form",
    [
        (lambda p: replace(p, text=f"Look.\n{p.text}"), "Look.\\n{context}\\n{question}\\n{options}\\n" + LETTER),
        (lambda p: replace(p, text=p.text.replace(LETTER, "Say.")), "{question}\\n{options}\\nSay."),
        (
            lambda p: replace(p, system="Be brief."),
            "system: Be brief. | {context}\\n{question}\\n{options}\\n" + LETTER,
        ),
        (lambda p: replace(p, prefix="It is"), "{context}\\n{question}\\n{options}\\n" + LETTER + " | reply: It is"),
        (lambda p: replace(p, key="x", text="Rate."), "Rate."),
    ],
)
def test_a_change_alike_for_all_items_is_one_form(change: Callable[[Prompt], Prompt], form: str) -> None:
    altered = found(change)["perception"]
    assert (altered["example"], len(altered["hashes"])) == (form, 1)
    assert found(change, items=1, batch_size=1)["perception"] == altered  # also in a part of the run


def test_moved_images_are_a_change() -> None:
    assert "moved: images at [2]" in found(lambda p: replace(p, places=(2,)))["perception"]["example"]


def test_a_text_of_its_own_for_each_item_has_a_form_each() -> None:
    altered = found(lambda p: replace(p, text=f"{p.key}: {p.text}"))["perception"]
    assert len(altered["hashes"]) == 6
    assert altered == found(lambda p: replace(p, text=f"{p.key}: {p.text}"), batch_size=6)["perception"]
