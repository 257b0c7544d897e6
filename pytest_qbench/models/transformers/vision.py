"""What happens to images before and inside a model: preprocessed one by one, ahead; seen once by the vision tower."""

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

from pytest_qbench.models.images import Picture

Made = dict[str, Any]
"""What an image processor returns for one image: tensors and lists with one entry, or one entry a crop."""
_STRIP = 1 << 18
"""Pixels copied at a time: 1 MiB as Pillow keeps them."""


class ImageWork:
    """Takes an image processor's work apart, so that the pictures of a batch are processed one by one, ahead.

    A decoded photograph of 12 megapixels holds 48 MB, what is made of it 1 MB: one by one, a batch never holds all of
    its photographs. `alone` and `joined` around two calls of the processor tell how it asks for one image; whether
    the parts joined equal what it makes of the whole, its caller finds out by trying.
    """

    def __init__(self, images: Any) -> None:
        self._process = images.preprocess
        self._how: tuple[bool, dict[str, Any]] | None = None
        self._joining = threading.local()
        _keep_channels_last(images)
        images.preprocess = self._preprocess

    def make(self, image: Image.Image) -> Made:
        """Return what the processor makes of one image; any thread. Only after a call of the processor was seen."""
        assert self._how is not None
        nested, keywords = self._how
        return dict(self._process([[image]] if nested else [image], **keywords))

    @contextmanager
    def joining(self, made: Made) -> Iterator[None]:
        """Let the processor, on this thread, get what was made before, whatever images it is called with."""
        self._joining.made = made
        try:
            yield
        finally:
            self._joining.made = None

    def _preprocess(self, images: Any, *args: Any, **keywords: Any) -> Any:
        made = getattr(self._joining, "made", None)
        if made is None:
            if not args and isinstance(images, list):
                self._how = isinstance(images[0], list), keywords
            return self._process(images, *args, **keywords)
        from transformers import BatchFeature

        return BatchFeature(dict(made))


def join(made: Sequence[Made]) -> Made:
    """Return one dict of all: tensors one after the other, lists likewise. `RuntimeError` where shapes differ."""
    joined: Made = {}
    for key, first in made[0].items():
        values = [each[key] for each in made]
        joined[key] = torch.cat(values) if isinstance(first, Tensor) else [part for value in values for part in value]
    return joined


def alike(made: Sequence[Made]) -> bool:
    """Tell whether images differ in their pixels alone: the text around them is the same, placeholders included."""
    first, *others = made
    return all(
        value.shape == other[key].shape if key.startswith("pixel") else _equal(value, other[key])
        for other in others
        for key, value in first.items()
    )


def _equal(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, Tensor) and isinstance(other, Tensor) else bool(one == other)


def _keep_channels_last(images: Any) -> None:
    """Let a torchvision processor take the pixels as they lie in a PIL image: the same values, several times faster.

    Bringing 12 megapixels into planes costs more than all the rest, and resizing planes five times as much.
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
    """Return the uint8 pixels of an RGB image, (height, width, 3): what `np.array` returns, a strip at a time.

    `np.array` makes three copies of the whole on its way; a strip stays in the cache: half the time at 12 megapixels.
    """
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        pixels[top : top + rows] = np.frombuffer(strip.tobytes(), np.uint8).reshape(-1, width, 3)
    return pixels


class SeenImages:
    """What the vision tower saw, kept where it is needed again: by the options of one batch, by prompts on one image.

    Stands in front of `get_image_features` of a model. Within one `of` the same tensors give the same features; across
    batches features go with the `Picture`, for models whose features come apart by image.
    """

    def __init__(self, model: Any) -> None:
        owner: Any = getattr(model, "model", None)
        if not hasattr(owner, "get_image_features"):
            owner = model
        self._pictures: tuple[Picture, ...] | None = None
        self._last: tuple[list[Any], Any] | None = None
        self.passes = 0
        if hasattr(owner, "get_image_features"):
            self._see = owner.get_image_features

            @wraps(self._see)  # `generate` looks at its parameters
            def see(*args: Any, **keywords: Any) -> Any:
                return self._features(*args, **keywords)

            owner.get_image_features = see

    @contextmanager
    def of(self, pictures: Sequence[Picture]) -> Iterator[None]:
        """Say whose images the forward passes inside are about, in order; empty where nobody knows."""
        self._pictures, self._last = tuple(pictures), None
        try:
            yield
        finally:
            self._pictures = self._last = None

    def _features(self, *args: Any, **keywords: Any) -> Any:
        if self._pictures is None:
            return self._see(*args, **keywords)
        given = [*args, *keywords.values()]
        if self._last is not None and _same(given, self._last[0]):
            return self._last[1]
        kept = [picture.features for picture in self._pictures]
        if kept and None not in kept:
            output = _assemble(kept)
        else:
            self.passes += 1
            output = self._see(*args, **keywords)
            if any(picture.shared for picture in self._pictures):
                self._keep(output)
        self._last = given, output
        return output

    def _keep(self, output: Any) -> None:
        assert self._pictures is not None
        parts = _take_apart(output, len(self._pictures))
        for picture, part in zip(self._pictures, parts, strict=False):
            if picture.shared:
                picture.features = part


def _same(given: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(given) == len(other) and all(
        a is b or (not isinstance(a, Tensor) and not isinstance(b, Tensor) and a == b)
        for a, b in zip(given, other, strict=True)
    )


def _take_apart(output: Any, images: int) -> list[tuple[Any, Any, Tensor]]:
    """Return the features of each image with the types to put them together again; empty where they do not come apart.

    They do where the output has as many parts as there are images and nothing else that the model reads on.
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


def _assemble(kept: Sequence[tuple[Any, Any, Tensor]]) -> Any:
    output, kind, _ = kept[0]
    parts = [part for *_, part in kept]
    return output(pooler_output=torch.stack(parts) if issubclass(kind, Tensor) else kind(parts))
