"""A language model as judge with Q-Bench's rubric. A `GradingModel` answers the prompts."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from pytest_qbench.errors import ItemError
from pytest_qbench.items import DIMENSIONS, Item
from pytest_qbench.judges.base import Verdicts
from pytest_qbench.judges.parsing import Unreadable
from pytest_qbench.judges.prompts import digest, fill
from pytest_qbench.prompts import LETTERS, listed

T = TypeVar("T", int, float)
Mode = Literal["rounds", "expected"]
DIGITS = ("0", "1", "2")
MARKS = ("0", "1")
NONE = "X"  # a judge's answer for a reply that chooses no option


@dataclass(frozen=True, slots=True)
class GradingPrompt:
    """A prompt to a grading model: its text, the possible answers, the label before the answer, the system text."""

    text: str
    answers: tuple[str, ...]
    label: str
    system: str | None = None


class GradingModel(Protocol):
    """A language model that answers a prompt with one of a few answers, several times."""

    name: str

    def describe(self) -> dict[str, Any]:
        """Return the identity and settings of the model as plain values for the fingerprint."""
        ...

    def sample(self, prompts: Sequence[GradingPrompt], rounds: int) -> Sequence[Sequence[int | Unreadable] | ItemError]:
        """Return `rounds` sampled answers to each prompt: the position of the answer, or why it is unreadable."""
        ...

    def probabilities(self, prompts: Sequence[GradingPrompt]) -> Sequence[Sequence[float] | ItemError | Unreadable]:
        """Return the probabilities of the answers to each prompt (they sum to 1), or why they are unreadable."""
        ...


class RubricJudge:
    """Grades descriptions by Q-Bench's rubric, from 0 to 2 with one prompt per dimension, and reads unparsed replies.

    Mode "rounds" samples a verdict in each round. Mode "expected" has one round, whose verdict is the expectation over
    the probabilities of 0, 1 and 2.
    """

    def __init__(self, grader: GradingModel, texts: Mapping[str, str], mode: Mode = "rounds") -> None:
        self.name = grader.name
        self.grader, self._texts, self._mode = grader, texts, mode
        self._of_thread = threading.local()

    @property
    def unreadable(self) -> list[str | None]:
        """Why the first unreadable reply to each description of this thread's last call is no verdict, or None."""
        found: list[str | None] = getattr(self._of_thread, "unreadable", [])
        return found

    def describe(self) -> dict[str, Any]:
        """Return the grading model, the mode and the hash of the prompts."""
        return {"name": self.name, **self.grader.describe(), "mode": self._mode, "prompts": digest(self._texts)}

    def judge(
        self, descriptions: Sequence[str], golden: Sequence[Sequence[str]], rounds: int
    ) -> list[Verdicts | ItemError]:
        """Return the verdicts on each description. Several golden texts go into one prompt."""
        pairs = list(zip(descriptions, golden, strict=True))
        prompts = [self._prompt(dimension, text, texts) for text, texts in pairs for dimension in DIMENSIONS]
        rows = iter(self._expected(prompts) if self._mode == "expected" else self.grader.sample(prompts, rounds))
        judged: list[Verdicts | ItemError] = []
        unreadable: list[str | None] = []
        for _ in pairs:
            own = [next(rows) for _ in DIMENSIONS]
            failed = [row for row in own if isinstance(row, ItemError)]
            whole = [row for row in own if not isinstance(row, ItemError)]
            verdicts = {d: _readable(row) for d, row in zip(DIMENSIONS, whole, strict=False)}
            judged.append(failed[0] if failed else verdicts)
            unreadable.append(next((str(v) for row in whole for v in row if isinstance(v, Unreadable)), None))
        self._of_thread.unreadable = unreadable
        return judged

    def decide(
        self, items: Sequence[Item], replies: Sequence[str], rounds: int
    ) -> list[Sequence[int | None] | ItemError]:
        """Return votes on the option that each reply chooses."""
        prompts = []
        for item, reply in zip(items, replies, strict=True):
            fields = _fields(item, reply)
            answers = (*LETTERS[: len(item.options)], NONE)
            prompts.append(GradingPrompt(fill(self._texts["choice"], fields), answers, "Choice", self._system))
        votes = self.grader.sample(prompts, rounds)
        return [
            row if isinstance(row, ItemError) else [None if v == len(item.options) else v for v in _readable(row)]
            for item, row in zip(items, votes, strict=True)
        ]

    def mark(
        self, items: Sequence[Item], replies: Sequence[str], rounds: int
    ) -> list[Sequence[int | None] | ItemError]:
        """Return votes on whether each reply is right: 1 or 0. The prompt tells the right answer."""
        prompts = [
            GradingPrompt(fill(self._texts["correct"], _fields(item, reply)), MARKS, "Score", self._system)
            for item, reply in zip(items, replies, strict=True)
        ]
        votes = self.grader.sample(prompts, rounds)
        return [row if isinstance(row, ItemError) else _readable(row) for row in votes]

    @property
    def _system(self) -> str | None:
        return self._texts.get("system")

    def _prompt(self, dimension: str, description: str, golden: Sequence[str]) -> GradingPrompt:
        fields = {"description": description, "golden": "\n\n".join(golden)}
        form = self._texts["digit" if self._mode == "expected" else "score"]
        text = self._texts[dimension]
        joint = "" if text.endswith(" ") else "\n"
        return GradingPrompt(f"{fill(text, fields)}{joint}{form}", DIGITS, "Score", self._system)

    def _expected(self, prompts: Sequence[GradingPrompt]) -> list[Sequence[float | Unreadable] | ItemError]:
        found = self.grader.probabilities(prompts)
        return [
            row
            if isinstance(row, ItemError)
            else [row if isinstance(row, Unreadable) else sum(i * p for i, p in enumerate(row))]
            for row in found
        ]


class ThreadedRubricJudge(RubricJudge):
    """A `RubricJudge` whose grading model waits for a server, which several threads may ask at once."""

    def __init__(
        self, grader: GradingModel, texts: Mapping[str, str], mode: Mode = "rounds", *, items_at_once: int
    ) -> None:
        super().__init__(grader, texts, mode)
        self.items_at_once = items_at_once


def _fields(item: Item, reply: str) -> dict[str, str]:
    fields = {"question": str(item.question), "options": listed(item.options), "reply": reply}
    return fields if item.answer is None else {**fields, "answer": item.answer}


def _readable(votes: Sequence[T | Unreadable]) -> list[T | None]:
    return [None if isinstance(vote, Unreadable) else vote for vote in votes]
