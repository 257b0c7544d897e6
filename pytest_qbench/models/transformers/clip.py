"""CLIP as a baseline for assessment, by the similarity of an image and a sentence. It cannot answer or describe.

`SENTENCE` is from the notebook for CLIP's row in the paper: Q-Future/Q-Bench, leaderboards/IQA_outputs/clip_vit_l14.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import torch

from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.models import given_prompts, memory
from pytest_qbench.models.errors import item_errors, quiet
from pytest_qbench.models.specs import ModelSpec
from pytest_qbench.models.transformers import loading
from pytest_qbench.models.transformers.devices import ALONE, Worker
from pytest_qbench.prompts import Prompt

SENTENCE = "a photo of {word} quality"


class ClipModel:
    """A CLIP model. The log-probabilities of words are a log-softmax over its scaled image-text similarities."""

    needs_images = True

    def __init__(self, spec: ModelSpec, args: Mapping[str, str], worker: Worker = ALONE) -> None:
        """Load the model. Raises `ModelError` in one line if that fails."""
        self.name = spec.name
        self._spec = spec
        self._model, self._processor, self._device = loading.load(spec, args, worker)

    def describe(self) -> dict[str, Any]:
        """Return the identity and settings of the model (`loading.describe`)."""
        described = loading.describe(self._spec, self._model, self._processor, self._device)
        return {**described, "sentence": SENTENCE}

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        """Raise `ModelError`: CLIP generates no text."""
        self._refuse()

    def option_loglikelihoods(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """Raise `ModelError`: CLIP reads no questions."""
        self._refuse()

    def next_token_logprobs(
        self, prompts: Sequence[Prompt], words: Sequence[str], named: Sequence[str] = (), free: Sequence[str] = ()
    ) -> list[list[float]]:
        """Return log-probabilities over all the words for the image of each prompt, in float32. They sum to 1."""
        given_prompts.note(prompts)
        for prompt in prompts:
            if len(prompt.images) != 1:
                raise ItemError(f"{prompt.key}: {self.name} cannot take {len(prompt.images)} images in a prompt")
        keys = [prompt.key for prompt in prompts]
        with torch.inference_mode(), quiet(), item_errors(keys, len(keys)):
            images = [prompt.images[0] for prompt in prompts]
            texts = [SENTENCE.format(word=word) for word in (*words, *named, *free)]
            inputs = self._processor(images=images, text=texts, padding=True, return_tensors="pt")
            inputs["pixel_values"] = inputs["pixel_values"].to(self._model.dtype)
            logits = self._model(**inputs.to(self._device)).logits_per_image
            rows: list[list[float]] = logits.float().log_softmax(-1).tolist()
        for prompt, row in zip(prompts, rows, strict=True):
            if not all(map(math.isfinite, row)):
                raise ItemError(f"{prompt.key}: the model returned NaN or infinite logits")
        return rows

    def close(self) -> None:
        """Release the weights; a second call does nothing."""
        self.__dict__.pop("_model", None)
        memory.collect_garbage()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _refuse(self) -> NoReturn:
        raise ModelError(
            f"{self.name} compares images with sentences and cannot answer or describe: run the assessment suite alone"
        )
