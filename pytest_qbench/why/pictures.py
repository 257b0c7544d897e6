"""Pictures of a difference: both images and where they differ, or where the features of an image differ."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pytest_qbench.runs.explanation import BYTES, PIXELS, PROJECTOR, TENSOR, VISION, Picture, Stage
from pytest_qbench.why.compare import Pair
from pytest_qbench.why.difference import token_differences
from pytest_qbench.why.trace import Trace

SIDE, GAP = 224, 8
"""Pixels of each image in a picture, and between two."""


def pictures(first: str, stage: Stage, pairs: Sequence[Pair], most: int = 2) -> list[Picture]:
    """Return pictures of the items that differ most at the first stage that departs; none where there is none."""
    found: list[tuple[float, Picture]] = []
    for one, other in pairs:
        made = _features(stage, one, other) if first in (VISION, PROJECTOR) else _images(first, one, other)
        if made is not None:
            found.append(made)
    found.sort(key=lambda each: -each[0])
    return [picture for _, picture in found[:most]]


def image_at(stage: str, trace: Trace) -> NDArray[np.float64] | None:
    """Return the first image of an item at a stage, (height, width, 3); None where the stage has none."""
    if stage in (PIXELS, BYTES):
        return None if not trace.pixels else trace.pixels[0].astype(np.float64)
    if stage != TENSOR or trace.tensors is None:
        return None
    for name, value in trace.tensors.items():
        if name.startswith("pixel_values") and value.ndim >= 3 and value.shape[-3] == 3:
            plane = value.reshape(-1, *value.shape[-3:])[0]
            image: NDArray[np.float64] = plane.transpose(1, 2, 0).astype(np.float64)
            return image
    return None


def _images(stage: str, one: Trace, other: Trace) -> tuple[float, Picture] | None:
    a, b = image_at(stage, one), image_at(stage, other)
    if a is None or b is None:
        return None
    low, high = (0.0, 255.0) if stage != TENSOR else (min(a.min(), b.min()), max(a.max(), b.max()))
    tiles = [_tile((each - low) / max(high - low, 1e-9)) for each in (a, b)]
    size, note = 1.0, "A and B, which have other sizes"
    if a.shape == b.shape:
        gap = np.abs(a - b).max(axis=2) / max(high - low, 1e-9)
        size = float(gap.mean())
        if size == 0:
            return None
        gain = 1 / max(float(gap.max()), 1e-9)
        tiles.append(_tile(_heat(gap * gain)))
        note = f"A, B and their difference, {gain:.3g} times as strong"
    return size, Picture(f"{one.item.id}, {stage}: {note}", _url(tiles))


def _features(stage: Stage, one: Trace, other: Trace) -> tuple[float, Picture] | None:
    """Return a picture of the difference of each image token, over the image."""
    a, b = one.parts.get(stage.where), other.parts.get(stage.where)
    if a is None or b is None or a.shape != b.shape or not one.pixels:
        return None
    differences = token_differences(a, b)
    grid = _grid(len(differences), one.sizes[0])
    if grid is None:
        return None
    values = differences[len(differences) - grid[0] * grid[1] :].reshape(grid)
    most = float(values.max())
    image = one.pixels[0].astype(np.float64) / 255
    tiles = [_tile(image), _tile(_heat(values / max(most, 1e-12)))]
    caption = f"{one.item.id}: the image, and the difference of its tokens at {stage.where}, at most {most:.2g}"
    return float(differences.mean()), Picture(caption, _url(tiles))


def _grid(tokens: int, size: tuple[int, int]) -> tuple[int, int] | None:
    """Return rows and columns of the tokens of an image: a square, with or without one token before, or its aspect."""
    for count in (tokens, tokens - 1):
        side = math.isqrt(count)
        if side > 1 and side * side == count:
            return side, side
    aspect = size[1] / size[0]
    rows = [r for r in range(2, tokens) if tokens % r == 0 and tokens // r > 1]
    best = min(rows, key=lambda r: abs(math.log(r / (tokens // r) / aspect)), default=0)
    return (best, tokens // best) if best and abs(math.log(best / (tokens // best) / aspect)) < 0.5 else None


def _heat(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return colours from black over red and yellow to white for values in [0, 1], (height, width, 3)."""
    return np.clip(np.stack([3 * values, 3 * values - 1, 3 * values - 2], axis=-1).astype(np.float64), 0, 1)


def _tile(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return an image of values in [0, 1] as a square of `SIDE` pixels on grey."""
    from PIL import Image

    shown = Image.fromarray((np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8))
    scale = SIDE / max(shown.size)
    size = (max(1, round(shown.width * scale)), max(1, round(shown.height * scale)))
    shown = shown.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX)
    tile = Image.new("RGB", (SIDE, SIDE), (128, 128, 128))
    tile.paste(shown, ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return np.asarray(tile)


def _url(tiles: Sequence[NDArray[np.uint8]]) -> str:
    """Return the tiles side by side as a data URL of a PNG file."""
    from PIL import Image

    gap = np.full((SIDE, GAP, 3), 255, np.uint8)
    row = np.concatenate([part for tile in tiles for part in (tile, gap)][:-1], axis=1)
    buffer = io.BytesIO()
    Image.fromarray(row).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
