"""A local model as judge, by the code that runs local models."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_qbench.errors import ItemError
from pytest_qbench.judges.rubric import Ballot
from pytest_qbench.models.base import Model
from pytest_qbench.prompts import Prompt

BATCH = 8


class LocalVoter:
    """Votes of a local model, from the exact probabilities of the answers after ``Score:``.

    One forward pass a ballot gives the distribution that sampling at temperature 1 would draw from; the rounds are
    drawn from it here, from a seed that is the ballot's own, so that the same text gets the same votes again.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.name = f"hf:{model.name}"

    def describe(self) -> dict[str, Any]:
        """Return what identifies the model."""
        told: Mapping[str, Any] = self._model.describe()
        return {key: told[key] for key in ("target", "weights", "dtype") if key in told}

    def vote(self, ballots: Sequence[Ballot], rounds: int) -> list[Sequence[int | None] | ItemError]:
        """Return `rounds` drawn votes on each ballot; none is unreadable."""
        votes: list[Sequence[int | None] | ItemError] = []
        for ballot, row in zip(ballots, self.probabilities(ballots), strict=True):
            if isinstance(row, ItemError):
                votes.append(row)
            else:
                rng = random.Random(hashlib.sha256(ballot.text.encode()).digest())
                votes.append(rng.choices(range(len(row)), row, k=rounds))
        return votes

    def probabilities(self, ballots: Sequence[Ballot]) -> list[Sequence[float] | ItemError]:
        """Return the probability of each answer of each ballot among the answers."""
        found: list[Sequence[float] | ItemError] = []
        for first in range(0, len(ballots), BATCH):
            batch = ballots[first : first + BATCH]
            same = len({(ballot.answers, ballot.label) for ballot in batch}) == 1
            for part in [batch] if same else [[ballot] for ballot in batch]:
                found += self._asked(part)
        return found

    def _asked(self, ballots: Sequence[Ballot]) -> list[Sequence[float] | ItemError]:
        prompts = [Prompt(f"ballot {i}", b.text, (), f"{b.label}:") for i, b in enumerate(ballots)]
        try:
            rows = self._model.next_token_logprobs(prompts, ballots[0].answers)
        except ItemError as e:  # one of the batch; the others are judged by themselves
            return [e] if len(ballots) == 1 else [row for ballot in ballots for row in self._asked([ballot])]
        return [row if isinstance(row, ItemError) else _softmax(row) for row in rows]


def _softmax(row: Sequence[float]) -> list[float]:
    weights = [math.exp(value - max(row)) for value in row]
    total = math.fsum(weights)
    return [weight / total for weight in weights]
