"""What a loaded model must hold to be measured: the same checks for the tested architectures and for a user's model."""

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
from pytest_qbench.models.images import Picture, Pictures
from pytest_qbench.models.transformers.model import TransformersModel
from pytest_qbench.prompts import QUALITY_WORDS, RATE, RATE_PREFIX, Prompt

Outcome = Literal["ok", "failed", "n/a"]
Rows = list[list[float]]

QUESTIONS = ("Rate.", RATE, "Is this image blurry?", f"What distortion is most severe in this picture?\n{RATE}")
# One token, several tokens, two that share their first token, and one more than others have.
OPTIONS = ("Yes", "motion blur", "motion noise", "overexposure of everything")
TOLERANCE = {torch.float32: 1e-4}
COARSE = 0.5
"""Largest difference of log-probabilities in half precision, where the batch alone moves them by up to this."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, how it went and what was seen (an empty detail where there is nothing to add)."""

    name: str
    outcome: Outcome
    detail: str = ""


class Failed(Exception):
    """A check did not hold."""


class NotApplicable(Exception):
    """The architecture does not do what a check is about."""


def checks(model: TransformersModel, again: Callable[[], TransformersModel] | None = None) -> Iterator[Check]:
    """Run all checks, one after the other; `again` loads the model once more, after this one was closed."""
    for name, check in CHECKS.items():
        yield run(name, lambda check=check: check(model))  # type: ignore[misc]
    if again is not None:
        yield run("reload offline", lambda: _reload(model, again))


def run(name: str, check: Callable[[], str]) -> Check:
    """Run one check; what the model raises over its prompts fails it."""
    try:
        return Check(name, "ok", check())
    except NotApplicable as e:
        return Check(name, "n/a", str(e))
    except (Failed, ItemError, ModelError) as e:
        return Check(name, "failed", str(e))


# what is asked


def photo(seed: int, side: int = 40) -> Image.Image:
    """Return a smooth random picture; every third one is wider than high."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    size = (side * 2, side) if seed % 3 == 2 else (side, side)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def prompts(n: int, *, images: int = 1, prefix: str | None = None) -> list[Prompt]:
    """Return prompts of different lengths with different pictures."""
    return [
        Prompt(f"item/{i}", QUESTIONS[i % 4], tuple(photo(10 * i + j) for j in range(images)), prefix) for i in range(n)
    ]


def options(n: int) -> list[Sequence[str]]:
    """Return two to four options for each of `n` prompts."""
    return [OPTIONS[: 2 + i % 3] for i in range(n)]


@dataclass(frozen=True)
class _Drawn:
    """A picture of `photo` as an image source."""

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


# what must hold


def _batch(model: TransformersModel, size: int) -> str:
    few = range(0, size, 1 if size <= 8 else 5)  # five: all questions, in turn
    asked, rated, own = prompts(size), prompts(size, prefix=RATE_PREFIX), options(size)
    likely = model.option_likelihoods(asked, own)
    rows = [likely[i] for i in few]
    told = _same(model, rows, [model.option_likelihoods([asked[i]], [own[i]])[0] for i in few])
    likely = model.next_token_logprobs(rated, QUALITY_WORDS)
    rows = [likely[i] for i in few]
    _same(model, rows, [model.next_token_logprobs([rated[i]], QUALITY_WORDS)[0] for i in few])
    if size <= 8 and _exact(model) and model.generate(asked, 6) != [model.generate([p], 6)[0] for p in asked]:
        raise Failed("generates other texts than one by one")
    return told


def _several_images(model: TransformersModel) -> str:
    if 2 not in model.quirks.images:
        raise NotApplicable("takes one image")
    asked = prompts(4, images=2)
    rows = model.option_likelihoods(asked, [OPTIONS] * 4)
    told = _same(model, rows, [model.option_likelihoods([p], [OPTIONS])[0] for p in asked])
    swapped = [replace(prompt, images=tuple(prompt.images)[::-1]) for prompt in asked]
    _differ(rows, model.option_likelihoods(swapped, [OPTIONS] * 4), "the order of the images")
    return told


def _no_image(model: TransformersModel) -> str:
    if 0 not in model.quirks.images:
        raise NotApplicable("needs an image")
    model.option_likelihoods(prompts(2), options(2))  # positions of an earlier image must not linger
    asked = prompts(4, images=0)
    rows = model.option_likelihoods(asked, [OPTIONS] * 4)
    return _same(model, rows, [model.option_likelihoods([p], [OPTIONS])[0] for p in asked])


def _continuation(model: TransformersModel) -> str:
    """The tokens of a word are those by which the processor's own tokens grow when the word is added."""
    for word in QUALITY_WORDS:
        before, after = (model.encoder(prompts(1, prefix=text)) for text in (RATE_PREFIX, f"{RATE_PREFIX} {word}"))
        key = "decoder_input_ids" if "decoder_input_ids" in before else "input_ids"
        old, new = (batch[key][0].tolist() for batch in (before, after))
        tokens = list(model.encoder.continuation(RATE_PREFIX, word))
        if new != old + tokens:
            raise Failed(f"{word!r} is scored as tokens {tokens}, but the prompt grows by {new[len(old) :]}")
    return ""


def _brute_force(model: TransformersModel) -> str:
    asked, own = prompts(6), options(6)
    tokens = [[model.encoder.continuation(None, option) for option in each] for each in own]
    with torch.inference_mode(), quiet():
        expected = model.score.by_full_forwards(model.to_device(model.encoder(asked)), tokens)
    return _same(model, model.option_likelihoods(asked, own), expected)


def _matters(model: TransformersModel) -> str:
    asked = prompts(1)[0]
    changed = [asked, replace(asked, images=(photo(99),)), replace(asked, text=QUESTIONS[2])]
    rows = [model.option_likelihoods([prompt], [OPTIONS])[0] for prompt in changed]
    _differ(rows[:1], rows[1:2], "the image")
    _differ(rows[:1], rows[2:], "the question")
    return ""


def _generation(model: TransformersModel) -> str:
    """It stops at the limit and at the end token, whichever comes first."""
    asked = prompts(1)
    with torch.inference_mode(), quiet():
        batch = model.to_device(model.encoder(asked))
        new = model.new_tokens(asked, batch, 5)[0].tolist()
        if len(new) > 5:
            raise Failed(f"{len(new)} tokens where 5 are the limit")
        kept, stop = model.greedy.eos_token_id, next((i for i in range(1, len(new)) if new[i] not in new[:i]), 0)
        try:
            model.greedy.eos_token_id = new[stop]
            stopped = model.new_tokens(asked, batch, 20)[0].tolist()
        finally:
            model.greedy.eos_token_id = kept
    if stopped != new[: stop + 1]:
        raise Failed(f"went on behind its end token: {stopped}")
    return ""


def _ahead(model: TransformersModel) -> str:
    """Prompts made ready ahead, with pictures that several of them share, are answered as any others."""
    asked, rated = prompts(8), prompts(8, prefix=RATE_PREFIX)
    pictures = [Picture(_Drawn(10 * i), shared=True) for i in range(8)]
    plain = model.option_likelihoods(asked, [OPTIONS] * 8), model.next_token_logprobs(rated, QUALITY_WORDS)
    seen = model.image_passes
    ahead = [
        model.prepare([replace(p, images=Pictures([own])) for p, own in zip(each, pictures, strict=True)])
        for each in (asked, rated)
    ]
    told = _same(model, model.option_likelihoods(ahead[0], [OPTIONS] * 8), plain[0])
    _same(model, model.next_token_logprobs(ahead[1], QUALITY_WORDS), plain[1])
    if model.image_passes == seen:
        return told
    return f"{told}, images seen {'once' if model.image_passes == seen + 1 else 'anew for each prompt'}"


def _reload(model: TransformersModel, again: Callable[[], TransformersModel]) -> str:
    asked = prompts(2)
    before = model.option_likelihoods(asked, options(2))
    model.close()
    with _no_network(), quiet():
        loaded = again()
        try:
            return _same(loaded, loaded.option_likelihoods(asked, options(2)), before)
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


# comparing


def _exact(model: TransformersModel) -> bool:
    return model.dtype in TOLERANCE


def _same(model: TransformersModel, rows: Rows, expected: Rows) -> str:
    """Say how far two sets of log-probabilities are apart; `Failed` beyond the dtype's tolerance or with a flip."""
    far = max(abs(a - b) for one, other in zip(rows, expected, strict=True) for a, b in zip(one, other, strict=True))
    flips = sum(a.index(max(a)) != b.index(max(b)) for a, b in zip(rows, expected, strict=True))
    told = f"largest difference {far:.1e}" + (f", {flips} of {len(rows)} choices flip" if flips else "")
    if not far <= TOLERANCE.get(model.dtype, COARSE) or (flips and _exact(model)):
        raise Failed(told)
    return told


def _differ(rows: Rows, others: Rows, what: str) -> None:
    if max(abs(a - b) for one, other in zip(rows, others, strict=True) for a, b in zip(one, other, strict=True)) == 0:
        raise Failed(f"{what} changes nothing")


@contextmanager
def _no_network() -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise OSError("no connection: this must work offline")

    kept = socket.socket.connect
    socket.socket.connect = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        socket.socket.connect = kept  # type: ignore[method-assign]
