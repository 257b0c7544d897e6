"""Turn items into prompts and call the right method of the model, in this process or on a Ray replica."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_qbench.engine.prefetch import Batch
from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.items import ImageSource, Item
from pytest_qbench.models.base import (
    Model,
    OptionScores,
    SupportsPerplexity,
    SupportsPrefetch,
    SupportsThreads,
    takes_further_words,
)
from pytest_qbench.models.images import LazyImage, LazyImages
from pytest_qbench.prompt_sets.read import packaged_set
from pytest_qbench.prompts import DEFAULT_PROMPTS, MAX_NEW_TOKENS, AnswerMode, Prompt, PromptSet
from pytest_qbench.records import Response
from pytest_qbench.scoring.strategies import STRATEGY_WORDS

# Errors that affect an item and not the run. torch raises RuntimeError, also when memory runs out. `UsageError` is
# missing, as it ends the run.
ITEM_FAILURES = (ArithmeticError, ItemError, LookupError, OSError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class PromptSettings:
    """Settings of the prompts: answer mode of perception, grey images (blind), words of assessment.

    The score comes from `words`; `named` are further words to record. `max_new_tokens` is the maximum length of a reply
    in tokens, by task; `prompt_set` holds the templates.
    """

    answer: AnswerMode
    blind: bool
    words: Sequence[str]
    max_new_tokens: Mapping[str, int] = field(default_factory=lambda: MAX_NEW_TOKENS)
    prompt_set: PromptSet = field(default_factory=lambda: packaged_set(DEFAULT_PROMPTS))
    named: Sequence[str] = ()

    def query(self, model: Model, items: Sequence[Item], prompts: Sequence[Prompt]) -> Sequence[Response | ItemError]:
        """Return the model's response to each item. All items are of one task. Errors of the model propagate."""
        if model.needs_images and not isinstance(model, SupportsPrefetch | SupportsThreads):
            prompts = [replace(prompt, images=tuple(prompt.images)) for prompt in prompts]
        task = items[0].task
        if task == "assessment":
            return self._rate(model, prompts)
        if task == "perception" and self.answer != "generate":
            options = [item.options for item in items]
            if self.answer == "likelihood":
                rows = model.option_loglikelihoods(prompts, options)
            else:
                rows = perplexity_model(model).option_perplexities(prompts, options)
            scoring = "option_loglikelihoods" if self.answer == "likelihood" else "option_perplexities"
            _check_count(model.name, scoring, rows, prompts)
            return [_with_logprobs(own, row) for own, row in zip(options, rows, strict=True)]
        replies = model.generate(prompts, self.max_new_tokens[task])
        _check_count(model.name, "generate", replies, prompts)
        return [reply if isinstance(reply, Response | ItemError) else Response(text=reply) for reply in replies]

    def _rate(self, model: Model, prompts: Sequence[Prompt]) -> list[Response | ItemError]:
        """Return the log-probabilities of the score's words and, where the model can, of those of other strategies."""
        name, method = model.name, "next_token_logprobs"
        if not takes_further_words(model):
            rows = model.next_token_logprobs(prompts, self.words)
            _check_count(name, method, rows, prompts)
            return [_with_logprobs(self.words, row) for row in rows]
        named = [word for word in self.named if word not in self.words]
        free = [word for word in STRATEGY_WORDS if word not in self.words and word not in named]
        rows = model.next_token_logprobs(prompts, self.words, named=named, free=free)
        _check_count(name, method, rows, prompts)
        return [_with_words(self.words, (*named, *free), row) for row in rows]


def _check_count(name: str, method: str, found: Sequence[object], prompts: Sequence[Prompt]) -> None:
    """Raise `ModelError` where a method of a model returns too few or too many results."""
    if len(found) != len(prompts):
        raise ModelError(
            f"{name}: {method} returned {len(found)} results for {len(prompts)} prompts; return one for each, in order"
        )


def perplexity_model(model: Model) -> SupportsPerplexity:
    """Return the model as one that scores its prompts; raises `ModelError` for one that does not."""
    if isinstance(model, SupportsPerplexity):
        return model
    raise ModelError(
        f"--qbench-answer=perplexity: {model.name} does not score its prompt; use likelihood, or a local language model"
    )


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
            self._settings.prompt_set.prompt(item, LazyImages(own) if own else (), self._settings.answer)
            for item, own in zip(items, self._images, strict=True)
        ]
        return Batch(tuple(positions), tuple(items), tuple(prompts), self._images, shared)


def _with_words(words: Sequence[str], further: Sequence[str], row: Sequence[float] | ItemError) -> Response | ItemError:
    """Return a response with the log-probability of each of `words`, and of those `further` words that have one."""
    if isinstance(row, ItemError):
        return row
    found = dict(zip((*words, *further), row, strict=True))
    # Nine digits hold a float32 exactly and keep the records short.
    kept = {word: float(f"{found[word]:.9g}") for word in further if math.isfinite(found[word])}
    return Response(logprobs={**{word: found[word] for word in words}, **kept})


def _with_logprobs(words: Sequence[str], row: Sequence[float] | ItemError) -> Response | ItemError:
    """Return a response with the log-probability of each word, or the error."""
    if isinstance(row, ItemError):
        return row
    tokens = dict(zip(words, row.tokens, strict=True)) if isinstance(row, OptionScores) else None
    return Response(logprobs=dict(zip(words, row, strict=True)), tokens=tokens)
