"""Conformance checks of a loaded model, the same for the tested architectures and for a user's model."""

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
# One token; several tokens; two options with the same first token; one option more than the other prompts have.
OPTIONS = ("Yes", "motion blur", "motion noise", "overexposure of everything")
TOLERANCE = {torch.float32: 1e-4}
COARSE = 0.5
"""Tolerance for log-probabilities in half precision, where another batch size alone changes them by this much."""


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one check; `detail` is a measured value or the failure, and may be empty."""

    name: str
    outcome: Outcome
    detail: str = ""


class CheckFailed(Exception):
    """Raised by a check that fails."""


class NotApplicable(Exception):
    """Raised by a check that does not apply to the architecture."""


def run_checks(model: TransformersModel, again: Callable[[], TransformersModel] | None = None) -> Iterator[Check]:
    """Run all checks in order. `again` loads the model a second time, after the first one is closed."""
    for name, check in CHECKS.items():
        yield run_check(name, lambda check=check: check(model))  # type: ignore[misc]
    if again is not None:
        yield run_check("reload offline", lambda: _reload(model, again))


def run_check(name: str, check: Callable[[], str]) -> Check:
    """Run one check. An error of the model fails it."""
    try:
        return Check(name, "ok", check())
    except NotApplicable as e:
        return Check(name, "n/a", str(e))
    except (CheckFailed, ItemError, ModelError) as e:
        return Check(name, "failed", str(e))


# inputs of the checks


def photo(seed: int, side: int = 40) -> Image.Image:
    """Return a smooth random image; every third seed gives a landscape format."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    size = (side * 2, side) if seed % 3 == 2 else (side, side)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def prompts(n: int, *, images: int = 1, prefix: str | None = None) -> list[Prompt]:
    """Return prompts of different lengths with different images."""
    return [
        Prompt(f"item/{i}", QUESTIONS[i % 4], tuple(photo(10 * i + j) for j in range(images)), prefix) for i in range(n)
    ]


def options(n: int) -> list[Sequence[str]]:
    """Return two to four options for each of `n` prompts."""
    return [OPTIONS[: 2 + i % 3] for i in range(n)]


@dataclass(frozen=True)
class _Photo:
    """An image of `photo` as an image source."""

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
    few = range(0, size, 1 if size <= 8 else 5)  # five: all questions, in turn
    asked, rated, own = prompts(size), prompts(size, prefix=RATE_PREFIX), options(size)
    likely = model.option_loglikelihoods(asked, own)
    rows = [likely[i] for i in few]
    difference = _same(model, rows, [model.option_loglikelihoods([asked[i]], [own[i]])[0] for i in few])
    likely = model.next_token_logprobs(rated, QUALITY_WORDS)
    rows = [likely[i] for i in few]
    _same(model, rows, [model.next_token_logprobs([rated[i]], QUALITY_WORDS)[0] for i in few])
    if size <= 8 and _exact(model) and model.generate(asked, 6) != [model.generate([p], 6)[0] for p in asked]:
        raise CheckFailed("generated texts differ from those one by one")
    return difference


def _several_images(model: TransformersModel) -> str:
    if 2 not in model.architecture.images:
        raise NotApplicable("takes one image")
    asked = prompts(4, images=2)
    rows = model.option_loglikelihoods(asked, [OPTIONS] * 4)
    difference = _same(model, rows, [model.option_loglikelihoods([p], [OPTIONS])[0] for p in asked])
    swapped = [replace(prompt, images=tuple(prompt.images)[::-1]) for prompt in asked]
    _differ(rows, model.option_loglikelihoods(swapped, [OPTIONS] * 4), "the order of the images")
    return difference


def _no_image(model: TransformersModel) -> str:
    if 0 not in model.architecture.images:
        raise NotApplicable("needs an image")
    model.option_loglikelihoods(prompts(2), options(2))  # state of an earlier image must not affect the next prompts
    asked = prompts(4, images=0)
    rows = model.option_loglikelihoods(asked, [OPTIONS] * 4)
    return _same(model, rows, [model.option_loglikelihoods([p], [OPTIONS])[0] for p in asked])


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
    asked, own = prompts(6), options(6)
    tokens = [[model.encoder.continuation(None, option) for option in each] for each in own]
    with torch.inference_mode(), quiet():
        expected = model.score.by_full_forwards(model.to_device(model.encoder(asked)), tokens)
    return _same(model, model.option_loglikelihoods(asked, own), expected)


def _matters(model: TransformersModel) -> str:
    asked = prompts(1)[0]
    changed = [asked, replace(asked, images=(photo(99),)), replace(asked, text=QUESTIONS[2])]
    rows = [model.option_loglikelihoods([prompt], [OPTIONS])[0] for prompt in changed]
    _differ(rows[:1], rows[1:2], "the image")
    _differ(rows[:1], rows[2:], "the question")
    return ""


def _generation(model: TransformersModel) -> str:
    """Check that generation stops at the limit or at the end token, whichever comes first."""
    asked = prompts(1)
    with torch.inference_mode(), quiet():
        batch = model.to_device(model.encoder(asked))
        new = model.new_tokens(asked, batch, 5)[0].tolist()
        if len(new) > 5:
            raise CheckFailed(f"generated {len(new)} tokens, the limit is 5")
        kept, stop = model.greedy.eos_token_id, next((i for i in range(1, len(new)) if new[i] not in new[:i]), 0)
        try:
            model.greedy.eos_token_id = new[stop]
            stopped = model.new_tokens(asked, batch, 20)[0].tolist()
        finally:
            model.greedy.eos_token_id = kept
    if stopped != new[: stop + 1]:
        raise CheckFailed(f"generated tokens after its end token: {stopped}")
    return ""


def _ahead(model: TransformersModel) -> str:
    """Check that prefetched prompts with shared images get the same answers as plain prompts."""
    asked, rated = prompts(8), prompts(8, prefix=RATE_PREFIX)
    lazy_images = [LazyImage(_Photo(10 * i), shared=True) for i in range(8)]
    plain = model.option_loglikelihoods(asked, [OPTIONS] * 8), model.next_token_logprobs(rated, QUALITY_WORDS)
    seen = model.image_passes
    ahead = [
        model.prepare([replace(p, images=LazyImages([own])) for p, own in zip(each, lazy_images, strict=True)])
        for each in (asked, rated)
    ]
    difference = _same(model, model.option_loglikelihoods(ahead[0], [OPTIONS] * 8), plain[0])
    _same(model, model.next_token_logprobs(ahead[1], QUALITY_WORDS), plain[1])
    if model.image_passes == seen:
        return difference
    return f"{difference}, images seen {'once' if model.image_passes == seen + 1 else 'anew for each prompt'}"


def _reload(model: TransformersModel, again: Callable[[], TransformersModel]) -> str:
    asked = prompts(2)
    before = model.option_loglikelihoods(asked, options(2))
    model.close()
    with _no_network(), quiet():
        loaded = again()
        try:
            return _same(loaded, loaded.option_loglikelihoods(asked, options(2)), before)
        finally:
            loaded.close()


CHECKS: dict[str, Callable[[TransformersModel], str]] = {
    "batch of 8": lambda model: _batch(model, 8),
    "batch of 32": lambda model: _batch(model, 32),
    "several images": _several_images,
    "no image": _no_image,
    "words after the prefix": _continuation,
    "options by full forwards": _brute_force,
    "image and question matter": _matters,
    "generation stops": _generation,
    "made ready ahead": _ahead,
}


# comparisons


def _exact(model: TransformersModel) -> bool:
    return model.dtype in TOLERANCE


def _same(model: TransformersModel, rows: Rows, expected: Rows) -> str:
    """Return the largest difference. Raises `CheckFailed` beyond the dtype's tolerance or for a changed choice."""
    far = max(abs(a - b) for one, other in zip(rows, expected, strict=True) for a, b in zip(one, other, strict=True))
    flips = sum(a.index(max(a)) != b.index(max(b)) for a, b in zip(rows, expected, strict=True))
    difference = f"largest difference {far:.1e}" + (f", {flips} of {len(rows)} choices flip" if flips else "")
    if not far <= TOLERANCE.get(model.dtype, COARSE) or (flips and _exact(model)):
        raise CheckFailed(difference)
    return difference


def _differ(rows: Rows, others: Rows, changed: str) -> None:
    if max(abs(a - b) for one, other in zip(rows, others, strict=True) for a, b in zip(one, other, strict=True)) == 0:
        raise CheckFailed(f"{changed} changes nothing")


@contextmanager
def _no_network() -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise OSError("no connection: this check runs offline")

    kept = socket.socket.connect
    socket.socket.connect = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        socket.socket.connect = kept  # type: ignore[method-assign]
