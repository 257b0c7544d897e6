"""A local model as judge, by the code that runs local models."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_qbench.errors import ItemError
from pytest_qbench.judges.rubric import GradingPrompt
from pytest_qbench.models.base import Model
from pytest_qbench.prompts import Prompt

BATCH = 8


class LocalGradingModel:
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

    def sample(self, grading_prompts: Sequence[GradingPrompt], rounds: int) -> list[Sequence[int | None] | ItemError]:
        """Return `rounds` drawn votes on each ballot; none is unreadable."""
        votes: list[Sequence[int | None] | ItemError] = []
        for grading_prompt, row in zip(grading_prompts, self.probabilities(grading_prompts), strict=True):
            if isinstance(row, ItemError):
                votes.append(row)
            else:
                rng = random.Random(hashlib.sha256(grading_prompt.text.encode()).digest())
                votes.append(rng.choices(range(len(row)), row, k=rounds))
        return votes

    def probabilities(self, grading_prompts: Sequence[GradingPrompt]) -> list[Sequence[float] | ItemError]:
        """Return the probability of each answer of each ballot among the answers."""
        found: list[Sequence[float] | ItemError] = []
        for first in range(0, len(grading_prompts), BATCH):
            batch = grading_prompts[first : first + BATCH]
            same = len({(grading_prompt.answers, grading_prompt.label) for grading_prompt in batch}) == 1
            for part in [batch] if same else [[grading_prompt] for grading_prompt in batch]:
                found += self._asked(part)
        return found

    def _asked(self, grading_prompts: Sequence[GradingPrompt]) -> list[Sequence[float] | ItemError]:
        prompts = [Prompt(f"ballot {i}", b.text, (), f"{b.label}:") for i, b in enumerate(grading_prompts)]
        try:
            rows = self._model.next_token_logprobs(prompts, grading_prompts[0].answers)
        except ItemError as e:  # one of the batch; the others are judged by themselves
            return (
                [e]
                if len(grading_prompts) == 1
                else [row for grading_prompt in grading_prompts for row in self._asked([grading_prompt])]
            )
        return [row if isinstance(row, ItemError) else _softmax(row) for row in rows]


def _softmax(row: Sequence[float]) -> list[float]:
    weights = [math.exp(value - max(row)) for value in row]
    total = math.fsum(weights)
    return [weight / total for weight in weights]
