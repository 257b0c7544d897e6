"""Conformance checks of a loaded model. The tests of all architectures and `qbench doctor` run the same checks."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from PIL import Image

from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.models.errors import quiet
from pytest_qbench.models.images import LazyImage, LazyImages
from pytest_qbench.models.transformers.model import TransformersModel
from pytest_qbench.prompts import QUALITY_WORDS, RATE, RATE_PREFIX, Prompt

Outcome = Literal["ok", "failed", "n/a"]
Rows = list[list[float]]

QUESTIONS = ("Rate.", RATE, "Is this image blurry?", f"What distortion is most severe in this picture?\n{RATE}")
# One token; several tokens; another option with the same first token; a fourth option, which other prompts lack.
OPTIONS = ("Yes", "motion blur", "motion noise", "overexposure of everything")
TOLERANCE = {torch.float32: 1e-4}
COARSE = 0.5
"""Tolerance for log-probabilities in half precision, where a different batch size alone changes them by this much."""


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one check; `detail` is a measured value or the failure, and may be empty."""

    name: str
    outcome: Outcome
    detail: str = ""


class CheckFailed(Exception):
    """A check has failed. The message says how."""


class NotApplicable(Exception):
    """A check does not apply to the architecture. The message says why."""


def run_checks(model: TransformersModel, reload: Callable[[], TransformersModel] | None = None) -> Iterator[Check]:
    """Run all checks in order and yield their results.

    With `reload`, the last check closes the model and calls `reload` to load it a second time.
    """
    for name, check in CHECKS.items():
        yield run_check(name, lambda check=check: check(model))  # type: ignore[misc]
    if reload is not None:
        yield run_check("reload offline", lambda: _reload(model, reload))


def run_check(name: str, check: Callable[[], str]) -> Check:
    """Run one check and return its result. An error of the model counts as a failure."""
    try:
        return Check(name, "ok", check())
    except NotApplicable as e:
        return Check(name, "n/a", str(e))
    except (CheckFailed, ItemError, ModelError) as e:
        return Check(name, "failed", str(e))


# inputs of the checks


def photo(seed: int, side: int = 40) -> Image.Image:
    """Return a smooth random image. Every third seed gives one in landscape format."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    size = (side * 2, side) if seed % 3 == 2 else (side, side)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def prompts(n: int, *, images: int = 1, prefix: str | None = None) -> list[Prompt]:
    """Return `n` prompts of different lengths with different images."""
    return [
        Prompt(f"item/{i}", QUESTIONS[i % 4], tuple(photo(10 * i + j) for j in range(images)), prefix) for i in range(n)
    ]


def options(n: int) -> list[Sequence[str]]:
    """Return two to four options for each of `n` prompts."""
    return [OPTIONS[: 2 + i % 3] for i in range(n)]


@dataclass(frozen=True)
class _Photo:
    """An image source with the image that `photo` returns for a seed."""

    seed: int

    @property
    def name(self) -> str:
        return f"photo {self.seed}"

    def read(self) -> bytes:
        buffer = io.BytesIO()
        photo(self.seed).save(buffer, "PNG")
        return buffer.getvalue()

    def missing(self) -> bool:
        return False


# the checks


def _batch(model: TransformersModel, size: int) -> str:
    """Compare a batch with its prompts one by one."""
    compared = range(0, size, 1 if size <= 8 else 5)  # each fifth prompt still covers all questions
    questions, ratings, answers = prompts(size), prompts(size, prefix=RATE_PREFIX), options(size)
    batch = model.option_loglikelihoods(questions, answers)
    rows = [batch[i] for i in compared]
    difference = _same(model, rows, [model.option_loglikelihoods([questions[i]], [answers[i]])[0] for i in compared])
    batch = model.next_token_logprobs(ratings, QUALITY_WORDS)
    rows = [batch[i] for i in compared]
    _same(model, rows, [model.next_token_logprobs([ratings[i]], QUALITY_WORDS)[0] for i in compared])
    if (
        size <= 8
        and _is_exact(model)
        and model.generate(questions, 6) != [model.generate([question], 6)[0] for question in questions]
    ):
        raise CheckFailed("texts generated in a batch differ from those generated one by one")
    return difference


def _several_images(model: TransformersModel) -> str:
    """Compare a batch of prompts with two images with its prompts one by one, and with swapped images."""
    if 2 not in model.architecture.images:
        raise NotApplicable("takes one image")
    questions = prompts(4, images=2)
    rows = model.option_loglikelihoods(questions, [OPTIONS] * 4)
    difference = _same(model, rows, [model.option_loglikelihoods([q], [OPTIONS])[0] for q in questions])
    swapped = [replace(question, images=tuple(question.images)[::-1]) for question in questions]
    _differ(rows, model.option_loglikelihoods(swapped, [OPTIONS] * 4), "the order of the images")
    return difference


def _no_image(model: TransformersModel) -> str:
    """Compare a batch of prompts without images with its prompts one by one."""
    if 0 not in model.architecture.images:
        raise NotApplicable("needs an image")
    model.option_loglikelihoods(prompts(2), options(2))  # state of an earlier image must not affect the next prompts
    questions = prompts(4, images=0)
    rows = model.option_loglikelihoods(questions, [OPTIONS] * 4)
    return _same(model, rows, [model.option_loglikelihoods([q], [OPTIONS])[0] for q in questions])


def _continuation(model: TransformersModel) -> str:
    """Compare the tokens of each word with the tokens that the word adds to the processor's encoding."""
    for word in QUALITY_WORDS:
        before, after = (model.encoder(prompts(1, prefix=text)) for text in (RATE_PREFIX, f"{RATE_PREFIX} {word}"))
        key = "decoder_input_ids" if "decoder_input_ids" in before else "input_ids"
        old, new = (batch[key][0].tolist() for batch in (before, after))
        tokens = list(model.encoder.continuation(RATE_PREFIX, word))
        if new != old + tokens:
            raise CheckFailed(
                f"{word!r} is scored as tokens {tokens}, but it adds tokens {new[len(old) :]} to the prompt"
            )
    return ""


def _brute_force(model: TransformersModel) -> str:
    """Compare option log-likelihoods with those from one full forward pass per option."""
    questions, answers = prompts(6), options(6)
    tokens = [[model.encoder.continuation(None, option) for option in each] for each in answers]
    with torch.inference_mode(), quiet():
        expected = model.score.by_full_forwards(model.to_device(model.encoder(questions)), tokens)
    return _same(model, model.option_loglikelihoods(questions, answers), expected)


def _image_and_question_matter(model: TransformersModel) -> str:
    """Check that another image and another question change the log-likelihoods."""
    question = prompts(1)[0]
    changed = [question, replace(question, images=(photo(99),)), replace(question, text=QUESTIONS[2])]
    rows = [model.option_loglikelihoods([prompt], [OPTIONS])[0] for prompt in changed]
    _differ(rows[:1], rows[1:2], "the image")
    _differ(rows[:1], rows[2:], "the question")
    return ""


def _generation(model: TransformersModel) -> str:
    """Check that generation stops at the limit or at the end token, whichever comes first."""
    questions = prompts(1)
    with torch.inference_mode(), quiet():
        batch = model.to_device(model.encoder(questions))
        new = model.new_tokens(questions, batch, 5)[0].tolist()
        if len(new) > 5:
            raise CheckFailed(f"generated {len(new)} tokens, the limit is 5")
        kept, stop = model.greedy.eos_token_id, next((i for i in range(1, len(new)) if new[i] not in new[:i]), 0)
        try:
            model.greedy.eos_token_id = new[stop]
            stopped = model.new_tokens(questions, batch, 20)[0].tolist()
        finally:
            model.greedy.eos_token_id = kept
    if stopped != new[: stop + 1]:
        raise CheckFailed(f"generated tokens after its end token: {stopped}")
    return ""


def _prefetched(model: TransformersModel) -> str:
    """Compare prefetched prompts with shared images with plain prompts."""
    questions, ratings = prompts(8), prompts(8, prefix=RATE_PREFIX)
    lazy_images = [LazyImage(_Photo(10 * i), shared=True) for i in range(8)]
    plain = model.option_loglikelihoods(questions, [OPTIONS] * 8), model.next_token_logprobs(ratings, QUALITY_WORDS)
    passes = model.image_passes
    prepared = [
        model.prepare([replace(p, images=LazyImages([image])) for p, image in zip(each, lazy_images, strict=True)])
        for each in (questions, ratings)
    ]
    difference = _same(model, model.option_loglikelihoods(prepared[0], [OPTIONS] * 8), plain[0])
    _same(model, model.next_token_logprobs(prepared[1], QUALITY_WORDS), plain[1])
    if model.image_passes == passes:
        return difference
    return f"{difference}, images encoded {'once' if model.image_passes == passes + 1 else 'for each prompt'}"


def _reload(model: TransformersModel, reload: Callable[[], TransformersModel]) -> str:
    """Compare the model with itself after a second load without network."""
    questions = prompts(2)
    before = model.option_loglikelihoods(questions, options(2))
    model.close()
    with _no_network(), quiet():
        loaded = reload()
        try:
            return _same(loaded, loaded.option_loglikelihoods(questions, options(2)), before)
        finally:
            loaded.close()


CHECKS: dict[str, Callable[[TransformersModel], str]] = {
    "batch of 8": lambda model: _batch(model, 8),
    "batch of 32": lambda model: _batch(model, 32),
    "several images": _several_images,
    "no image": _no_image,
    "words after the prefix": _continuation,
    "options by full forwards": _brute_force,
    "image and question matter": _image_and_question_matter,
    "generation stops": _generation,
    "prefetched batches": _prefetched,
}


# comparisons


def _is_exact(model: TransformersModel) -> bool:
    return model.dtype in TOLERANCE


def _same(model: TransformersModel, rows: Rows, expected: Rows) -> str:
    """Return the largest difference as text. Raises `CheckFailed` if it exceeds the tolerance or changes a choice."""
    far = max(abs(a - b) for one, other in zip(rows, expected, strict=True) for a, b in zip(one, other, strict=True))
    flips = sum(a.index(max(a)) != b.index(max(b)) for a, b in zip(rows, expected, strict=True))
    difference = f"largest difference {far:.1e}" + (f", {flips} of {len(rows)} choices flip" if flips else "")
    if not far <= TOLERANCE.get(model.dtype, COARSE) or (flips and _is_exact(model)):
        raise CheckFailed(difference)
    return difference


def _differ(rows: Rows, others: Rows, changed: str) -> None:
    """Raise `CheckFailed` if all values are equal. `changed` names the input that differs."""
    if max(abs(a - b) for one, other in zip(rows, others, strict=True) for a, b in zip(one, other, strict=True)) == 0:
        raise CheckFailed(f"{changed} changes nothing")


@contextmanager
def _no_network() -> Iterator[None]:
    """Let each connection fail inside this block."""

    def refuse(*_: object) -> None:
        raise OSError("no connection: this check runs offline")

    kept = socket.socket.connect
    socket.socket.connect = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        socket.socket.connect = kept  # type: ignore[method-assign]
