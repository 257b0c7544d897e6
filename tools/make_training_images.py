"""Render the training images of `tiny`: ``python tools/make_training_images.py OUT/train COUNT SEED FILE.npz``."""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
from causes import MARGIN, SIDE, is_usable, random_recipe, render
from numpy.typing import NDArray
from PIL import Image

NEED = SIDE + 2 * MARGIN


def pool(folder: Path) -> list[list[NDArray[np.uint8]]]:
    photos = []
    for path in sorted(folder.glob("*.png")):
        image = Image.open(path)
        scales = [1.0, *(k for k in (0.75, 0.56) if min(image.size) * k >= 176)]
        photos.append(
            [
                np.asarray(image.resize((round(image.width * k), round(image.height * k)), Image.Resampling.LANCZOS))
                for k in scales
            ]
        )
    return photos


def crop(photos: list[list[NDArray[np.uint8]]], rng: np.random.Generator) -> NDArray[np.uint8]:
    while True:
        scales = photos[rng.integers(len(photos))]
        for _ in range(20):
            photo = scales[rng.integers(len(scales))]
            h, w, _ = photo.shape
            y, x = rng.integers(h - NEED + 1), rng.integers(w - NEED + 1)
            c = photo[y : y + NEED, x : x + NEED]
            if is_usable(c):
                return c[:, ::-1] if rng.random() < 0.5 else c


def part(folder: str, count: int, seed: int) -> tuple[NDArray[np.uint8], list[dict[str, object]]]:
    photos = pool(Path(folder))
    rng = np.random.default_rng(seed)
    images = np.empty((count, SIDE, SIDE, 3), np.uint8)
    recipes = []
    for i in range(count):
        recipe = random_recipe(rng)
        images[i] = render(crop(photos, rng), recipe, rng)
        recipes.append(asdict(recipe))
    return images, recipes


if __name__ == "__main__":
    folder, count, seed, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    with ProcessPoolExecutor(2) as executor:
        parts = list(executor.map(part, [folder] * 8, [count // 8] * 8, range(seed, seed + 8)))
    images = np.concatenate([p[0] for p in parts])
    recipes = [r for p in parts for r in p[1]]
    np.savez(out, images=images, recipes=np.array(recipes, dtype=object))
