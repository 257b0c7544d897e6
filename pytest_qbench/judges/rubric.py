"""A language model as judge: our prompts around its votes. Where the votes come from is the voter's business."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pytest_qbench.errors import ItemError
from pytest_qbench.items import DIMENSIONS, Item
from pytest_qbench.judges.base import Verdicts
from pytest_qbench.judges.prompts import digest, fill
from pytest_qbench.prompts import LETTERS

Mode = Literal["rounds", "expected"]
DIGITS = ("0", "1", "2")
NONE = "X"  # what a judge writes when a reply chooses no option


@dataclass(frozen=True, slots=True)
class Ballot:
    """One question to a voter: the prompt, the answers there are, and the word that stands before the answer."""

    text: str
    answers: tuple[str, ...]
    label: str


class Voter(Protocol):
    """A language model that is asked for one of a few answers, several times."""

    name: str

    def describe(self) -> dict[str, Any]:
        """Return what identifies the voter: plain values for the fingerprint."""
        ...

    def vote(self, ballots: Sequence[Ballot], rounds: int) -> Sequence[Sequence[int | None] | ItemError]:
        """Return `rounds` votes on each ballot: the position of an answer, None where it was unreadable."""
        ...

    def probabilities(self, ballots: Sequence[Ballot]) -> Sequence[Sequence[float] | ItemError | None]:
        """Return the probability of each answer of each ballot (summing to 1), None where it was unreadable."""
        ...


class RubricJudge:
    """Completeness, preciseness and relevance on 0, 1, 2, one ballot each; and which option a reply means.

    mode "rounds": each round is a vote of its own. "expected": a single round, whose verdict is the expectation over
    the probabilities of 0, 1 and 2.
    """

    def __init__(self, voter: Voter, texts: Mapping[str, str], mode: Mode = "rounds") -> None:
        self.name = voter.name
        self.voter, self._texts, self._mode = voter, texts, mode

    def describe(self) -> dict[str, Any]:
        """Return the voter, the mode and the hash of the prompts."""
        return {"name": self.name, **self.voter.describe(), "mode": self._mode, "prompts": digest(self._texts)}

    def judge(
        self, descriptions: Sequence[str], golden: Sequence[Sequence[str]], rounds: int
    ) -> list[Verdicts | ItemError]:
        """Return the verdicts on each description; several golden texts are shown together."""
        pairs = list(zip(descriptions, golden, strict=True))
        ballots = [self._ballot(dimension, text, texts) for text, texts in pairs for dimension in DIMENSIONS]
        rows = iter(self._expected(ballots) if self._mode == "expected" else self.voter.vote(ballots, rounds))
        judged: list[Verdicts | ItemError] = []
        for _ in pairs:
            own = [next(rows) for _ in DIMENSIONS]
            failed = [row for row in own if isinstance(row, ItemError)]
            judged.append(
                failed[0]
                if failed
                else {d: list(row) for d, row in zip(DIMENSIONS, own, strict=True) if not isinstance(row, ItemError)}
            )
        return judged

    def decide(
        self, items: Sequence[Item], replies: Sequence[str], rounds: int
    ) -> list[Sequence[int | None] | ItemError]:
        """Return votes on which option each reply means."""
        ballots = []
        for item, reply in zip(items, replies, strict=True):
            listed = "\n".join(f"{a}. {option}" for a, option in zip(LETTERS, item.options, strict=False))
            fields = {"question": str(item.question), "options": listed, "reply": reply}
            answers = (*LETTERS[: len(item.options)], NONE)
            ballots.append(Ballot(fill(self._texts["choice"], fields), answers, "Choice"))
        votes = self.voter.vote(ballots, rounds)
        return [
            row if isinstance(row, ItemError) else [None if v == len(item.options) else v for v in row]
            for item, row in zip(items, votes, strict=True)
        ]

    def _ballot(self, dimension: str, description: str, golden: Sequence[str]) -> Ballot:
        fields = {"description": description, "golden": "\n\n".join(golden)}
        form = self._texts["digit" if self._mode == "expected" else "score"]
        return Ballot(f"{fill(self._texts[dimension], fields)}\n{form}", DIGITS, "Score")

    def _expected(self, ballots: Sequence[Ballot]) -> list[Sequence[float | None] | ItemError]:
        found = self.voter.probabilities(ballots)
        return [
            row if isinstance(row, ItemError) else [None if row is None else sum(i * p for i, p in enumerate(row))]
            for row in found
        ]
