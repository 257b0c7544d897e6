"""What each task asks a model: templates, the prompts that they give for an item, and how long a reply may be."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL.Image import Image

    from pytest_qbench.items import Item

AnswerMode = Literal["generate", "likelihood", "perplexity"]
ANSWER_MODES: tuple[AnswerMode, ...] = ("generate", "likelihood", "perplexity")

QUALITY_WORDS = ("good", "poor")
"""The words whose probabilities give the quality score, if a prompt set names no others."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Prompts of `qbench doctor` and of probes. --qbench-prompts does not change them.
RATE = "Rate the quality of the image."
RATE_PREFIX = "The quality of the image is"
# For endpoints that cannot continue a reply. Not in a prompt set: a run that asks this says so in its conditions.
ONE_WORD = "Answer with one word: {} or {}."
DEFAULT_PROMPTS = "default"
"""The prompt set that is used where none is named."""
MAX_NEW_TOKENS: Mapping[str, int] = {"perception": 32, "description": 256}
# The name of each task's token limit in fingerprints and, see `token_option`, among the options.
TOKEN_LIMITS: Mapping[str, str] = {"perception": "answer_tokens", "description": "description_tokens"}

UNPARSED_HINT = "measure a model that answers in words with --qbench-answer=likelihood"
"""The remedy where many replies name no option."""
_IMAGES = re.compile(r"\{image([12]?)\}")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_CONTEXT_LINE = re.compile(r"[^\n]*\{context\}[^\n]*\n?")


@dataclass(frozen=True, slots=True)
class Prompt:
    """One user turn; `prefix` is the beginning of the assistant's turn that the model continues.

    `key` is the item's id. A random model derives its answer from it, so that batches do not change the answer. Images
    are RGB. Do not change them in place; each access may decode them again (`models.images.LazyImages`). `system` is
    the system's turn. `places` says where each image stands in `text`, in characters; without it, the images stand
    before the text.
    """

    key: str
    text: str
    images: Sequence[Image] = field(default=(), repr=False)
    prefix: str | None = None
    system: str | None = None
    places: tuple[int, ...] = ()

    def parts(self, images: int) -> list[str | int]:
        """Return the turn in its order: pieces of the text, and images by number. A model may be shown none."""
        if not self.places or not images:
            return [*range(images), self.text]
        found: list[str | int] = []
        end = 0
        for number, place in enumerate(self.places[:images]):
            found += [self.text[end:place], number]
            end = place
        found += [*range(len(self.places), images), self.text[end:]]
        return [part for part in found if part != ""]


@dataclass(frozen=True, slots=True)
class Template:
    """What one task asks: `text` with placeholders, `pair` for items with two images (None: `text` as well).

    ``{question}``, ``{options}`` and ``{context}`` stand for texts of the item; the line of ``{context}`` is left out
    for an item without context. ``{image}`` says where the images stand, ``{image1}`` and ``{image2}`` where each of a
    pair does. `prefix` is the beginning of the reply, `system` the system's turn.
    """

    text: str
    pair: str | None = None
    prefix: str | None = None
    system: str | None = None

    def text_for(self, item: Item) -> str:
        """Return `pair` for an item with two images, if there is one, else `text`."""
        return self.pair if self.pair is not None and len(item.images) == 2 else self.text

    def prompt(self, item: Item, images: Sequence[Image]) -> Prompt:
        """Return the prompt of an item."""
        text, places = self.fill(item)
        return Prompt(item.id, text, images, self.prefix, self.system, places)

    def fill(self, item: Item) -> tuple[str, tuple[int, ...]]:
        """Return the text of an item's prompt, and where its images stand in it."""
        template = self.text_for(item)
        if not item.context and "{context}" in template:
            template = _CONTEXT_LINE.sub("", template)
        fields = {"question": str(item.question), "options": listed(item.options), "context": item.context or ""}
        text, places, end = "", list[int](), 0
        for found in _PLACEHOLDER.finditer(template):  # in one pass: a question may hold braces
            text += template[end : found.start()]
            end = found.end()
            if (image := _IMAGES.fullmatch(found[0])) is not None:
                places += [len(text)] * (1 if image[1] else max(1, len(item.images)))
            else:
                text += fields.get(found[1], found[0])
        return text + template[end:], tuple(places)

    def places_images_of(self, item: Item) -> bool:
        """Return whether the template says where the images of an item stand."""
        return _IMAGES.search(self.text_for(item)) is not None

    def shown(self) -> str:
        """Return the whole template in one line: system, text or pair, prefix."""
        return one_line({"system": self.system, "": self.text, "pair": self.pair, "reply": self.prefix})


@dataclass(frozen=True, slots=True)
class PromptSet:
    """The templates of all tasks under one name. `words` are those of the quality score, from good to poor."""

    name: str
    perception: Template
    likelihood: Template
    perplexity: Template
    description: Template
    assessment: Template
    words: tuple[str, ...] = QUALITY_WORDS

    def template(self, task: str, answer: AnswerMode) -> Template:
        """Return the template of a task; perception has one for each answer mode."""
        if task == "perception":
            templates = {"generate": self.perception, "likelihood": self.likelihood, "perplexity": self.perplexity}
            return templates[answer]
        return self.description if task == "description" else self.assessment

    def prompt(self, item: Item, images: Sequence[Image], answer: AnswerMode) -> Prompt:
        """Return the prompt of `item`."""
        return self.template(item.task, answer).prompt(item, images)

    def describe(self, answer: AnswerMode) -> dict[str, dict[str, str]]:
        """Return the text and a hash of each task's template, by task."""
        found = {}
        for task in ("perception", "description", "assessment"):
            template = self.template(task, answer)
            whole = [template.text, template.pair, template.prefix, template.system]
            found[task] = {"text": template.shown(), "hash": digest(whole)}
        return found


def listed(options: Sequence[str]) -> str:
    """Return the options with their letters, one a line."""
    return "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))


def one_line(parts: Mapping[str, str | None]) -> str:
    """Return named texts in one line, line ends as ``\\n``; those that are None are left out."""
    whole = {name: text.replace("\n", "\\n") for name, text in parts.items() if text is not None}
    return " | ".join(f"{name}: {text}" if name else text for name, text in whole.items())


def digest(value: object) -> str:
    """Return a hash of plain values: 16 hex digits."""
    return hashlib.sha256(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def token_option(task: str) -> str:
    """Return the option that sets the token limit of a task."""
    return f"--qbench-{TOKEN_LIMITS[task].replace('_', '-')}"
