"""`random:SEED`: a model without weights. Its scores are the scores of guessing."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Any

from pytest_qbench.models import given_prompts
from pytest_qbench.prompts import Prompt

SENTENCE = "The image is of average quality, with acceptable clarity, lighting and color."


class RandomModel:
    """Answers at random, by the seed, the prompt's key and the options, independent of batch, order and process."""

    needs_images = False

    def __init__(self, seed: int) -> None:
        self.name = f"random-{seed}"
        self._seed = seed
        self._sample: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Return the backend and the seed."""
        return {"backend": "random", "name": self.name, "seed": self._seed}

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        """Return a letter, uniform over the prompt's options, or a fixed sentence if the prompt lists none."""
        given_prompts.note(prompts)
        return [self._reply(prompt) for prompt in prompts]

    def option_loglikelihoods(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """Return log-probabilities over each prompt's options. Each option is equally likely to have the maximum."""
        given_prompts.note(prompts)
        return [self._logprobs(prompt.key, "option", own) for prompt, own in zip(prompts, options, strict=True)]

    def option_perplexities(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """Return the same as `option_loglikelihoods`."""
        return self.option_loglikelihoods(prompts, options)

    def next_token_logprobs(
        self, prompts: Sequence[Prompt], words: Sequence[str], named: Sequence[str] = (), free: Sequence[str] = ()
    ) -> list[list[float]]:
        """Return log-probabilities over all the words."""
        given_prompts.note(prompts)
        return [self._logprobs(prompt.key, "word", (*words, *named, *free)) for prompt in prompts]

    def use_sample(self, number: int) -> None:
        """Draw other answers for each `number`; those of 0 are the answers without samples."""
        self._sample = (f"sample {number}",) if number else ()

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _reply(self, prompt: Prompt) -> str:
        letters: list[str] = re.findall(r"^([A-Z])\. ", prompt.text, re.MULTILINE)
        if len(letters) < 2:
            return SENTENCE
        return max(letters, key=lambda letter: self._uniform(prompt.key, "letter", letter))

    def _logprobs(self, key: str, kind: str, words: Sequence[str]) -> list[float]:
        draws = [self._uniform(key, kind, f"{i} {word}") for i, word in enumerate(words)]
        total = math.fsum(draws)
        return [math.log(draw / total) for draw in draws]

    def _uniform(self, *parts: str) -> float:
        """Return a number in (0, 1) that depends on the seed and `parts`."""
        digest = hashlib.sha256("\0".join((str(self._seed), *self._sample, *parts)).encode()).digest()
        return (int.from_bytes(digest[:6], "big") + 0.5) / 2**48
