"""The trace of a local model through hooks. This module needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pytest_qbench.models.base import Model
from pytest_qbench.models.transformers.model import TransformersModel
from pytest_qbench.prompts import Prompt
from pytest_qbench.why.hooks import PartRecorder
from pytest_qbench.why.trace import Tokens

MOST_VALUES = 1 << 20
"""Values kept of one image or tensor."""
_NOT_OF_IMAGES = ("input_ids", "attention_mask", "token_type_ids", "decoder_input_ids")


def network_of(model: Model) -> TransformersModel | None:
    """Return the local model itself or the one that a project's model wraps, None where there is none."""
    if isinstance(model, TransformersModel):
        return model
    held = [value for value in getattr(model, "__dict__", {}).values() if isinstance(value, TransformersModel)]
    return held[0] if len(held) == 1 else None


class LocalProbe:
    """Shows the stages of a local model. `recorder` records its parts."""

    def __init__(self, model: TransformersModel) -> None:
        self._model = model
        self.recorder = PartRecorder(model.network)

    def tensors(self, prompt: Prompt) -> tuple[dict[str, NDArray[np.float32]], dict[str, tuple[int, ...]], Tokens]:
        """Return the image processor's output, the whole shapes, and the tokens of a prompt as the model gets it."""
        batch = self._model.encoder([prompt])
        ids: list[int] = batch["input_ids"][0].tolist()
        mask: list[int] = batch["attention_mask"][0].tolist()
        ids = [token for token, kept in zip(ids, mask, strict=True) if kept]
        tokenizer = self._model.encoder.tokenizer
        image = frozenset(self._model.image_tokens)
        texts = [str(text) for text in tokenizer.convert_ids_to_tokens(ids)]
        of_images = {
            name: value
            for name, value in batch.items()
            if name not in _NOT_OF_IMAGES and not name.startswith("qformer") and value.shape[:2] != (1, len(mask))
        }
        shapes = {name: tuple(value.shape) for name, value in of_images.items()}
        return {name: _thinned(value) for name, value in of_images.items()}, shapes, Tokens(
            tuple(ids), image, tuple(texts)
        )  # fmt: skip

    def conditions(self) -> dict[str, Any]:
        """Return the settings of the processor, which decide tensors and prompts."""
        processor = self._model.encoder.processor
        # `to_dict` copies all attributes, also the methods that this package replaces.
        images = {
            name: value
            for name, value in vars(processor.image_processor).items()
            if not name.startswith("_") and not callable(value) and value is not None
        }
        template = getattr(processor, "chat_template", None)
        return {"image_processor": images, "chat_template": template if isinstance(template, str) else None}


def _thinned(value: Tensor) -> NDArray[np.float32]:
    """Return the values of a tensor; those of a large image tensor on a regular grid."""
    step = 1
    while value.numel() / step**2 > MOST_VALUES and value.ndim >= 2:
        step += 1
    array: NDArray[np.float32] = value[..., ::step, ::step].float().numpy() if step > 1 else value.float().numpy()
    return array


def thinned_pixels(images: Sequence[Any]) -> tuple[NDArray[np.uint8], ...]:
    """Return the pixels of RGB images, (height, width, 3); those of large images on a regular grid."""
    found = []
    for image in images:
        pixels = np.asarray(image)
        step = 1
        while pixels.size / step**2 > 3 * MOST_VALUES:
            step += 1
        found.append(np.ascontiguousarray(pixels[::step, ::step]))
    return tuple(found)
