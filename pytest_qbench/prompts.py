"""The texts of the protocol: what each task asks a model, and how long a reply may be."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL.Image import Image

    from pytest_qbench.items import Item

AnswerMode = Literal["generate", "likelihood"]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LETTER_INSTRUCTION = "Answer with the option's letter from the given choices directly."
SHORT_ANSWER_INSTRUCTION = "Answer the question using a single word or phrase."
DESCRIBE = "Describe the quality, aesthetics and other low-level appearance of the image in details."
RATE = "Rate the quality of the image."
RATE_PREFIX = "The quality of the image is"
QUALITY_WORDS = ("good", "poor")
# For endpoints that cannot continue a reply. Not in `fingerprint`: a run that asks this says so in its conditions.
ONE_WORD = "Answer with one word: {} or {}."
MAX_NEW_TOKENS: Mapping[str, int] = {"perception": 32, "description": 256}
# The name of each task's token limit in fingerprints and, see `token_option`, among the options.
TOKEN_LIMITS: Mapping[str, str] = {"perception": "answer_tokens", "description": "description_tokens"}

UNPARSED_HINT = "measure a model that answers in words with --qbench-answer=likelihood"
"""The remedy where many replies name no option."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One user turn; `prefix` is the beginning of the assistant's turn that the model continues.

    `key` is the item's id: from it, a model without weights gives the same answer in every batch. Images are RGB. Do
    not change them in place; each access may decode them again (`models.images.LazyImages`).
    """

    key: str
    text: str
    images: Sequence[Image] = field(default=(), repr=False)
    prefix: str | None = None


def question_text(item: Item, answer: AnswerMode) -> str:
    """Return the text of a perception item.

    With ``generate`` the text lists the options with letters, as Q-Bench does. With ``likelihood`` the model scores the
    options as continuations, so the question stands alone with LLaVA's instruction for short answers.
    """
    if answer == "likelihood":
        return f"{item.question}\n{SHORT_ANSWER_INSTRUCTION}"
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, item.options, strict=False)]
    return "\n".join([str(item.question), *lines, LETTER_INSTRUCTION])


def prompt(item: Item, images: Sequence[Image], answer: AnswerMode) -> Prompt:
    """Return the prompt of `item`."""
    if item.task == "perception":
        return Prompt(item.id, question_text(item, answer), images)
    if item.task == "description":
        return Prompt(item.id, DESCRIBE, images)
    return Prompt(item.id, RATE, images, RATE_PREFIX)


def token_option(task: str) -> str:
    """Return the option that sets the token limit of a task."""
    return f"--qbench-{TOKEN_LIMITS[task].replace('_', '-')}"


def fingerprint() -> str:
    """Return a hash of every text above, 16 hex digits: results under other texts are not comparable."""
    texts = (LETTER_INSTRUCTION, SHORT_ANSWER_INSTRUCTION, DESCRIBE, RATE, RATE_PREFIX, *QUALITY_WORDS)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
