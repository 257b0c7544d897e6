"""A local grading model. It runs on the same backend as measured models."""

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
    """Samples verdicts from a local model's exact probabilities of the answers after ``Score:``.

    One forward pass for each prompt gives the distribution of sampling at temperature 1. The rounds are drawn from it
    with a seed that depends on the prompt, so that equal texts get equal verdicts.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.name = f"hf:{model.name}"

    def describe(self) -> dict[str, Any]:
        """Return the identity of the model."""
        description: Mapping[str, Any] = self._model.describe()
        return {key: description[key] for key in ("target", "weights", "dtype") if key in description}

    def sample(self, grading_prompts: Sequence[GradingPrompt], rounds: int) -> list[Sequence[int] | ItemError]:
        """Return `rounds` sampled answers to each prompt; none is unreadable."""
        samples: list[Sequence[int] | ItemError] = []
        for grading_prompt, row in zip(grading_prompts, self.probabilities(grading_prompts), strict=True):
            if isinstance(row, ItemError):
                samples.append(row)
            else:
                rng = random.Random(hashlib.sha256(grading_prompt.text.encode()).digest())
                samples.append(rng.choices(range(len(row)), row, k=rounds))
        return samples

    def probabilities(self, grading_prompts: Sequence[GradingPrompt]) -> list[Sequence[float] | ItemError]:
        """Return the probabilities of the answers to each prompt, normalized over the answers."""
        found: list[Sequence[float] | ItemError] = []
        for first in range(0, len(grading_prompts), BATCH):
            batch = grading_prompts[first : first + BATCH]
            same = len({(grading_prompt.answers, grading_prompt.label) for grading_prompt in batch}) == 1
            for part in [batch] if same else [[grading_prompt] for grading_prompt in batch]:
                found += self._probabilities(part)
        return found

    def _probabilities(self, grading_prompts: Sequence[GradingPrompt]) -> list[Sequence[float] | ItemError]:
        prompts = [Prompt(f"grading prompt {i}", b.text, (), f"{b.label}:") for i, b in enumerate(grading_prompts)]
        try:
            rows = self._model.next_token_logprobs(prompts, grading_prompts[0].answers)
        except ItemError as e:  # one prompt of the batch is the cause: repeat each alone
            return [e] if len(prompts) == 1 else [row for p in grading_prompts for row in self._probabilities([p])]
        return [row if isinstance(row, ItemError) else _softmax(row) for row in rows]


def _softmax(row: Sequence[float]) -> list[float]:
    weights = [math.exp(value - max(row)) for value in row]
    total = math.fsum(weights)
    return [weight / total for weight in weights]
