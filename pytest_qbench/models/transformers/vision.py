"""Preprocess images one by one, and cache the vision tower's features of each image."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pytest_qbench.models.images import LazyImage

Preprocessed = dict[str, Any]
"""Output of an image processor for one image: tensors and lists with one entry, or one entry per crop."""
_STRIP = 1 << 18
"""Pixels in one copy: 1 MiB in Pillow's format."""


class ImagePreprocessor:
    """Preprocesses the images of a batch one by one and ahead of time.

    A decoded photograph of 12 megapixels takes 48 MB, its tensors about 1 MB. One by one, a batch never holds all of
    its photographs. This class wraps `preprocess` of an image processor and records how the processor calls it. The
    caller must check that the joined results equal the result for the whole batch.
    """

    def __init__(self, images: Any) -> None:
        self._process = images.preprocess
        self._how: tuple[bool, dict[str, Any]] | None = None
        self._substituting = threading.local()
        _keep_channels_last(images)
        images.preprocess = self._preprocess

    def preprocess(self, image: Image.Image) -> Preprocessed:
        """Return the processor's result for one image. Thread-safe; needs an earlier call by the processor."""
        assert self._how is not None
        nested, keywords = self._how
        return dict(self._process([[image]] if nested else [image], **keywords))

    @contextmanager
    def substituting(self, preprocessed: Preprocessed) -> Iterator[None]:
        """Inside this block, let the processor's calls on this thread return `preprocessed` for any images."""
        self._substituting.preprocessed = preprocessed
        try:
            yield
        finally:
            self._substituting.preprocessed = None

    def _preprocess(self, images: Any, *args: Any, **keywords: Any) -> Any:
        preprocessed = getattr(self._substituting, "preprocessed", None)
        if preprocessed is None:
            if not args and isinstance(images, list):
                self._how = isinstance(images[0], list), keywords
            return self._process(images, *args, **keywords)
        from transformers import BatchFeature

        return BatchFeature(dict(preprocessed))


def join(preprocessed: Sequence[Preprocessed]) -> Preprocessed:
    """Concatenate the tensors and lists of several images. Raises `RuntimeError` if shapes differ."""
    joined: Preprocessed = {}
    for key, first in preprocessed[0].items():
        values = [each[key] for each in preprocessed]
        joined[key] = torch.cat(values) if isinstance(first, Tensor) else [part for value in values for part in value]
    return joined


def differ_in_pixels_only(preprocessed: Sequence[Preprocessed]) -> bool:
    """Return whether images differ only in their pixels, so that their prompts have the same image placeholders."""
    first, *others = preprocessed
    return all(
        value.shape == other[key].shape if key.startswith("pixel") else _equal(value, other[key])
        for other in others
        for key, value in first.items()
    )


def _equal(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, Tensor) and isinstance(other, Tensor) else bool(one == other)


def _keep_channels_last(images: Any) -> None:
    """Keep the pixels of PIL images in channels-last memory in a torchvision processor: same values, faster.

    At 12 megapixels, conversion to planes takes longer than all other steps, and resizing planes five times as long.
    """
    from transformers.image_processing_backends import TorchvisionBackend

    if not isinstance(images, TorchvisionBackend) or type(images).process_image is not TorchvisionBackend.process_image:
        return
    process = images.process_image

    def process_image(image: Any, *args: Any, **keywords: Any) -> Tensor:
        if isinstance(image, Image.Image) and image.mode == "RGB" and keywords.get("device") is None:
            return torch.from_numpy(_pixels(image)).permute(2, 0, 1)
        tensor: Tensor = process(image, *args, **keywords)
        return tensor

    images.process_image = process_image


def _pixels(image: Image.Image) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the uint8 pixels of an RGB image, (height, width, 3), copied strip by strip.

    `np.array` returns the same but copies the whole image three times. A strip stays in the CPU cache, which halves the
    time at 12 megapixels.
    """
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        pixels[top : top + rows] = np.frombuffer(strip.tobytes(), np.uint8).reshape(-1, width, 3)
    return pixels


class VisionFeatureCache:
    """Caches the features of the vision tower for the options of one batch and for several prompts on one image.

    It wraps `get_image_features` of the model. In one `for_images` block, calls with the same tensors return the same
    features. Across batches, features are stored with the `LazyImage` if they can be split by image.
    """

    def __init__(self, model: Any) -> None:
        owner: Any = getattr(model, "model", None)
        if not hasattr(owner, "get_image_features"):
            owner = model
        self._lazy_images: tuple[LazyImage, ...] | None = None
        self._last: tuple[list[Any], Any] | None = None
        self.passes = 0
        if hasattr(owner, "get_image_features"):
            self._compute = owner.get_image_features

            @wraps(self._compute)  # `generate` inspects its parameters
            def cached(*args: Any, **keywords: Any) -> Any:
                return self._features(*args, **keywords)

            owner.get_image_features = cached

    @contextmanager
    def for_images(self, lazy_images: Sequence[LazyImage]) -> Iterator[None]:
        """Declare the images of the forward passes inside this block, in prompt order (empty: unknown)."""
        self._lazy_images, self._last = tuple(lazy_images), None
        try:
            yield
        finally:
            self._lazy_images = self._last = None

    def _features(self, *args: Any, **keywords: Any) -> Any:
        if self._lazy_images is None:
            return self._compute(*args, **keywords)
        given = [*args, *keywords.values()]
        if self._last is not None and _same(given, self._last[0]):
            return self._last[1]
        kept = [lazy_image.features for lazy_image in self._lazy_images]
        if kept and None not in kept:
            output = _join_features(kept)
        else:
            self.passes += 1
            output = self._compute(*args, **keywords)
            if any(lazy_image.shared for lazy_image in self._lazy_images):
                self._keep(output)
        self._last = given, output
        return output

    def _keep(self, output: Any) -> None:
        assert self._lazy_images is not None
        parts = _split_features(output, len(self._lazy_images))
        for lazy_image, part in zip(self._lazy_images, parts, strict=False):
            if lazy_image.shared:
                lazy_image.features = part


def _same(given: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(given) == len(other) and all(
        a is b or (not isinstance(a, Tensor) and not isinstance(b, Tensor) and a == b)
        for a, b in zip(given, other, strict=True)
    )


def _split_features(output: Any, images: int) -> list[tuple[Any, Any, Tensor]]:
    """Return the features of each image with the types of the output; empty if they cannot be split by image.

    They can be split if the output has one part per image and no other field that the model uses.
    """
    features = getattr(output, "pooler_output", None)
    others = set(getattr(output, "keys", list)()) - {
        "pooler_output",
        "last_hidden_state",
        "hidden_states",
        "attentions",
    }
    if features is None or others or len(features) != images:
        return []
    return [(type(output), type(features), part.clone()) for part in features]


def _join_features(kept: Sequence[tuple[Any, Any, Tensor]]) -> Any:
    output, kind, _ = kept[0]
    parts = [part for *_, part in kept]
    return output(pooler_output=torch.stack(parts) if issubclass(kind, Tensor) else kind(parts))
