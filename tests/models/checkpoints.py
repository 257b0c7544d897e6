"""Tiny randomly initialised checkpoints of many architectures, with tokenizers of their own: no download.

`build(name, folder)` saves model and processor as a user would find them. Weights are large enough for a wrong
position, mask or image to move the logits by far more than the tolerances of the tests.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pytest_qbench.models.failures import quiet
from pytest_qbench.prompts import RATE, Prompt
from tests.models.builders import BUILDERS

ARCHITECTURES = tuple(BUILDERS)
QUESTIONS = ("Rate.", RATE, "Is this image blurry?", f"What distortion is most severe in this picture?\n{RATE}")


def build(name: str, folder: Path) -> Path:
    """Save the checkpoint `name` in `folder` and return it."""
    torch.manual_seed(0)
    with quiet():
        BUILDERS[name](folder)
    return folder


def photo(seed: int, side: int = 40) -> Image.Image:
    """A smooth random picture; every third one is wider than high."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    size = (side * 2, side) if seed % 3 == 2 else (side, side)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def prompts(n: int, *, images: int = 1, prefix: str | None = None) -> list[Prompt]:
    """Prompts of different lengths with different pictures."""
    return [
        Prompt(f"item/{i}", QUESTIONS[i % 4], tuple(photo(10 * i + j) for j in range(images)), prefix) for i in range(n)
    ]
