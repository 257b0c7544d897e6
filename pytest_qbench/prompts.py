"""The protocol's texts, in one place: what each task asks a model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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
# Closed endpoints continue no reply. Not in `fingerprint`: a run that asks this says so in its conditions.
ONE_WORD = "Answer with one word: {} or {}."


@dataclass(frozen=True, slots=True)
class Prompt:
    """One user turn; `prefix` is the beginning of the assistant's turn that the model continues.

    `key` (the item's id) lets a model without weights answer the same whatever the batch. Images are RGB, not to be
    changed in place, and perhaps decoded anew by each look at them (`models.images.LazyImages`).
    """

    key: str
    text: str
    images: Sequence[Image] = field(default=(), repr=False)
    prefix: str | None = None


def question_text(item: Item, answer: AnswerMode) -> str:
    """Return the text of a perception item.

    With ``generate`` the options are listed with letters, as Q-Bench does; with ``likelihood`` they are scored as
    continuations, so the question stands alone with LLaVA's instruction for short answers.
    """
    if answer == "likelihood":
        return f"{item.question}\n{SHORT_ANSWER_INSTRUCTION}"
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, item.options, strict=False)]
    return "\n".join([str(item.question), *lines, LETTER_INSTRUCTION])


def prompt(item: Item, images: Sequence[Image], answer: AnswerMode) -> Prompt:
    """Return what the model is asked for `item`."""
    if item.task == "perception":
        return Prompt(item.id, question_text(item, answer), images)
    if item.task == "description":
        return Prompt(item.id, DESCRIBE, images)
    return Prompt(item.id, RATE, images, RATE_PREFIX)


def fingerprint() -> str:
    """Hash of every text above: results under other texts are not comparable; 16 hex digits."""
    texts = (LETTER_INSTRUCTION, SHORT_ANSWER_INSTRUCTION, DESCRIBE, RATE, RATE_PREFIX, *QUALITY_WORDS)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
