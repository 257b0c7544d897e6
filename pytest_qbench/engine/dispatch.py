"""From items to what a model is shown, and from the model to responses: the same here and on another machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_qbench.engine.prefetch import Work
from pytest_qbench.errors import ItemError
from pytest_qbench.items import ImageSource, Item
from pytest_qbench.models.base import Model, Prepares
from pytest_qbench.models.images import Picture, Pictures
from pytest_qbench.prompts import AnswerMode, Prompt, prompt
from pytest_qbench.records import Response

MAX_NEW_TOKENS = {"perception": 32, "description": 256}

# What a model may raise over its items; RuntimeError is torch's, out of memory included. A `UsageError` passes: then
# the run cannot work, not an item.
FAILURES = (ArithmeticError, ItemError, LookupError, OSError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Asking:
    """How items are asked: the mode of perception, grey images or real ones, the words of assessment."""

    answer: AnswerMode
    blind: bool
    words: Sequence[str]

    def ask(self, model: Model, items: Sequence[Item], prompts: Sequence[Prompt]) -> Sequence[Response | ItemError]:
        """Return the response of each item, all of one task; raises what the model raises."""
        if model.needs_images and not isinstance(model, Prepares):
            prompts = [replace(prompt, images=tuple(prompt.images)) for prompt in prompts]
        task = items[0].task
        if task == "assessment":
            rows = model.next_token_logprobs(prompts, self.words)
            return [_scored(self.words, row) for row in rows]
        if task == "perception" and self.answer == "likelihood":
            options = [item.options for item in items]
            rows = model.option_likelihoods(prompts, options)
            return [_scored(own, row) for own, row in zip(options, rows, strict=True)]
        texts = model.generate(prompts, MAX_NEW_TOKENS[task])
        return [text if isinstance(text, ItemError) else Response(text=text) for text in texts]


class Works:
    """Makes batches of the plan into work, one after the other; those that share images share their pictures."""

    def __init__(self, asking: Asking, *, sees: bool) -> None:
        """`sees` tells whether the model needs images."""
        self._asking, self._sees = asking, sees
        self._last: list[tuple[ImageSource, ...]] = []
        self._pictures: tuple[tuple[Picture, ...], ...] = ()

    def __call__(self, positions: Sequence[int], batch: Sequence[Item], shared: bool) -> Work:
        """Return the work of one batch; `positions` are those of its items among all that were asked for."""
        sources = [item.images for item in batch]
        if not shared or sources != self._last:
            self._last = sources if shared else []
            self._pictures = tuple(
                tuple(Picture(source, blind=self._asking.blind, shared=shared) for source in item.images)
                if self._sees
                else ()
                for item in batch
            )
        prompts = [
            prompt(item, Pictures(own) if own else (), self._asking.answer)
            for item, own in zip(batch, self._pictures, strict=True)
        ]
        return Work(tuple(positions), tuple(batch), tuple(prompts), self._pictures, shared)


def _scored(words: Sequence[str], row: Sequence[float] | ItemError) -> Response | ItemError:
    return row if isinstance(row, ItemError) else Response(logprobs=dict(zip(words, row, strict=True)))
