"""One recorded output, the file that holds it, and what a reader of a format offers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from pytest_qbench.data.readers.formats import read_rows
from pytest_qbench.data.readers.row import Row
from pytest_qbench.endpoints.finish_reasons import is_cut, why_no_answer
from pytest_qbench.records import CUT

#: Fields that state why a reply ended: OpenAI's and vLLM's, Anthropic's and inspect_ai's, Google's, Ollama's.
FINISH_REASONS = ("finish_reason", "finish_reasons", "stop_reason", "finishReason", "done_reason")
#: Tokens that end a sequence. Some scripts decode them into the reply; they are no part of it.
_END = re.compile(r"(?:\s*(?:</s>|<\|im_end\|>|<\|endoftext\|>|<\|eot_id\|>|<\|end\|>|<end_of_turn>|<eos>))+\s*\Z")


@dataclass(slots=True)  # not frozen: that would triple the time to make one
class Output:
    """What a model returned for one item, and how its entry names that item.

    `number` counts the entries of the file from 1. `ids` and `images` name the item, as written; `question` and
    `options` are the texts that were asked. The answer is a reply (`text`), a logit or log-probability per word
    (`logprobs`), a log-likelihood per option in the order of the options (`likelihoods`) or a quality `score`; `error`
    says why it is none of them, `finish` is `records.CUT` where the token limit ended the reply. `task` is set for the
    record of an earlier run, whose only id is the item's.
    """

    number: int
    ids: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    question: str | None = None
    options: tuple[str, ...] = ()
    text: str | None = None
    logprobs: Mapping[str, float] | None = None
    likelihoods: tuple[float, ...] = ()
    score: float | None = None
    error: str | None = None
    finish: str | None = None
    task: str | None = None

    @property
    def content(self) -> tuple[object, ...]:
        """What two outputs of one item must have in common to be a harmless repeat."""
        return self.text, self.logprobs, self.likelihoods, self.score, self.error


@dataclass(slots=True)
class OutputFile:
    """The outputs of one file.

    `dataset` and `split` are what the file says of itself, None where it does not. `model` and `run` tell the outputs
    of two models and two runs apart. `conditions` are those under which an earlier run asked, by fingerprint key.
    """

    path: Path
    outputs: list[Output]
    dataset: str | None = None
    split: str | None = None
    model: str | None = None
    run: str | None = None
    conditions: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.path.name


class RawFile:
    """A file whose format is not known yet; its rows are read once, whatever number of readers look at them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.suffix = path.suffix.lower()

    @cached_property
    def rows(self) -> list[Row]:
        """The entries of a JSON, JSONL, CSV, TSV or xlsx file, at least one; raises `DataError`."""
        return read_rows(self.path, self.name)


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How to read a file where it leaves a choice: `filter` names the one of several filters of a sample log."""

    filter: str | None = None


class OutputFormat(Protocol):
    """A reader of one format."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Suffixes of its files, in lower case."""
        ...

    def read(self, file: RawFile, options: ReadingOptions) -> OutputFile | None:
        """Return the outputs of a file, None where it has another format.

        Raises `NoOutputsError` where the file holds something else than outputs, `DataError` where it is broken.
        """
        ...


class NoOutputsError(Exception):
    """A file holds no outputs; the message says what is missing."""


def reply(text: str) -> str:
    """Return a decoded reply without the tokens that end a sequence."""
    return _END.sub("", text) if text.endswith(("> ", ">", "\n")) else text


def finished(output: Output, place: str, *reasons: object) -> Output:
    """Return an output with the end that its entry states: finish reasons, or lists of one per reply.

    Where a filter or a failure ended the reply, it is no answer: the output is an error that begins with the `place`
    of the entry.
    """
    found = _flat(list(reasons))
    if why := next(filter(None, map(why_no_answer, found)), None):
        return replace(output, error=f"{place}: the reply {why}; run this item again")
    return replace(output, finish=CUT) if any(map(is_cut, found)) else output


def _flat(value: object) -> list[object]:
    return [one for each in value for one in _flat(each)] if isinstance(value, list) else [value]


def mapping(value: object) -> Mapping[Any, Any]:
    """Return a JSON object, or an empty one in the place of any other value."""
    return value if isinstance(value, Mapping) else {}


def writable(text: str) -> bool:
    """Whether a text can be written as UTF-8; JSON may hold half of a surrogate pair."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
