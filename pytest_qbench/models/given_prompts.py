"""The prompts that a backend is given: a project's model around it may have changed them on their way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from pytest_qbench.prompts import Prompt

_GIVEN: ContextVar[list[Prompt] | None] = ContextVar("given_prompts", default=None)


@contextmanager
def collect() -> Iterator[list[Prompt]]:
    """Collect the prompts that backends are given inside this block, in order."""
    given: list[Prompt] = []
    token = _GIVEN.set(given)
    try:
        yield given
    finally:
        _GIVEN.reset(token)


def note(prompts: Sequence[Prompt]) -> None:
    """Note the prompts that a backend is given; without effect where nobody collects them."""
    if (given := _GIVEN.get()) is not None:
        given.extend(prompts)
