"""What an endpoint tells of a prompt: token ids, and the number of tokens with and without its image."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import Protocol, runtime_checkable

from pytest_qbench.errors import ItemError
from pytest_qbench.models.base import Model
from pytest_qbench.prompts import Prompt
from pytest_qbench.runs.explanation import IMAGE_TOKENS, PROMPT
from pytest_qbench.why.trace import Tokens

_RUN = 8
"""An id that repeats so often in a row stands for parts of an image."""


class _Count(Protocol):
    @property
    def ids(self) -> tuple[int, ...] | None: ...
    @property
    def count(self) -> int | None: ...


@runtime_checkable
class CountsPrompts(Protocol):
    """A model behind an endpoint that may tell the tokens of a prompt."""

    def count_prompt(self, prompt: Prompt) -> _Count:
        """Return the ids and the number of the prompt's tokens, None where the server does not tell them."""
        ...


def endpoint_tokens(model: Model, prompt: Prompt, unseen: dict[str, str]) -> Tokens | None:
    """Return the tokens of a prompt, None where the server tells nothing. Removes what is seen from `unseen`."""
    if not isinstance(model, CountsPrompts):
        return None
    try:
        whole = model.count_prompt(prompt)
        bare = model.count_prompt(replace(prompt, images=(), places=()))
    except ItemError as e:
        unseen[PROMPT] = unseen[IMAGE_TOKENS] = f"{model.name}: {e}"
        return None
    image_count = None if whole.count is None or bare.count is None else whole.count - bare.count
    if whole.ids is None and whole.count is None:
        unseen[PROMPT] = unseen[IMAGE_TOKENS] = f"{model.name} tells neither token ids nor their number"
        return None
    unseen.pop(PROMPT, None)
    if whole.ids is not None or image_count is not None:
        unseen.pop(IMAGE_TOKENS, None)
    return Tokens(whole.ids, image_ids(whole.ids or ()), count=whole.count, image_count=image_count)


def image_ids(ids: tuple[int, ...]) -> frozenset[int]:
    """Return the ids that stand for parts of an image: those that repeat many times in a row."""
    return frozenset(token for token, run in groupby(ids) if sum(1 for _ in run) >= _RUN)
