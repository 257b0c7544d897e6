"""Turn items into prompts and call the right method of the model, in this process or on a Ray replica."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_qbench.engine.prefetch import Batch
from pytest_qbench.errors import ItemError
from pytest_qbench.items import ImageSource, Item
from pytest_qbench.models.base import Model, SupportsPrefetch
from pytest_qbench.models.images import LazyImage, LazyImages
from pytest_qbench.prompts import MAX_NEW_TOKENS, AnswerMode, Prompt, prompt
from pytest_qbench.records import Response

# Errors that affect an item and not the run. torch raises RuntimeError, also when memory runs out. `UsageError` is
# missing, as it ends the run.
ITEM_FAILURES = (ArithmeticError, ItemError, LookupError, OSError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """Settings of the prompts: answer mode of perception, grey images (blind), words of assessment.

    `max_new_tokens` is the maximum length of a reply in tokens, by task.
    """

    answer: AnswerMode
    blind: bool
    words: Sequence[str]
    max_new_tokens: Mapping[str, int] = field(default_factory=lambda: MAX_NEW_TOKENS)

    def query(self, model: Model, items: Sequence[Item], prompts: Sequence[Prompt]) -> Sequence[Response | ItemError]:
        """Return the model's response to each item. All items are of one task. Errors of the model propagate."""
        if model.needs_images and not isinstance(model, SupportsPrefetch):
            prompts = [replace(prompt, images=tuple(prompt.images)) for prompt in prompts]
        task = items[0].task
        if task == "assessment":
            rows = model.next_token_logprobs(prompts, self.words)
            return [_with_logprobs(self.words, row) for row in rows]
        if task == "perception" and self.answer == "likelihood":
            options = [item.options for item in items]
            rows = model.option_loglikelihoods(prompts, options)
            return [_with_logprobs(own, row) for own, row in zip(options, rows, strict=True)]
        replies = model.generate(prompts, self.max_new_tokens[task])
        return [reply if isinstance(reply, Response | ItemError) else Response(text=reply) for reply in replies]


class BatchBuilder:
    """Build the batches of a plan in order. Neighbouring batches that show the same images share the `LazyImage`s."""

    def __init__(self, settings: PromptSettings, *, vision: bool) -> None:
        """`vision`: whether the model needs images."""
        self._settings, self._vision = settings, vision
        self._last: list[tuple[ImageSource, ...]] = []
        self._images: tuple[tuple[LazyImage, ...], ...] = ()

    def __call__(self, positions: Sequence[int], items: Sequence[Item], shared: bool) -> Batch:
        """Return the batch of `items`; `positions` are their places among all items of the call."""
        sources = [item.images for item in items]
        if not shared or sources != self._last:
            self._last = sources if shared else []
            self._images = tuple(
                tuple(LazyImage(source, blind=self._settings.blind, shared=shared) for source in item.images)
                if self._vision
                else ()
                for item in items
            )
        prompts = [
            prompt(item, LazyImages(own) if own else (), self._settings.answer)
            for item, own in zip(items, self._images, strict=True)
        ]
        return Batch(tuple(positions), tuple(items), tuple(prompts), self._images, shared)


def _with_logprobs(words: Sequence[str], row: Sequence[float] | ItemError) -> Response | ItemError:
    """Return a response with the log-probability of each word, or the error."""
    return row if isinstance(row, ItemError) else Response(logprobs=dict(zip(words, row, strict=True)))
