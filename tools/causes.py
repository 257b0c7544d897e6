"""Distort photographs with known causes: the source of `mini` and of the training images of `tiny`.

An image is a 128 x 128 crop. A `Recipe` lists its distortions. Severity ranges from 1 (visible) to 4 (extreme).
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

SIDE = 128
MARGIN = 16  # pixels around a crop during distortion, so that blur mixes in real neighbours
CAUSES = ("blur", "noise", "jpeg", "dark", "bright", "contrast", "faded", "oversaturated")
LOCAL_CAUSES = ("blur", "noise", "dark", "bright")
REGIONS = ("left", "right", "top", "bottom")

DEFOCUS_SIGMA = (1.0, 1.6, 2.5, 4.0)
MOTION_LENGTH = (5, 9, 13, 18)
NOISE_SIGMA = (9, 17, 29, 46)
JPEG_QUALITY = (28, 16, 9, 5)
DARK_GAIN = (0.62, 0.46, 0.32, 0.2)
BRIGHT_GAIN = (1.45, 1.85, 2.4, 3.2)
CONTRAST_GAIN = (0.6, 0.44, 0.3, 0.18)
FADED_GAIN = (0.5, 0.3, 0.14, 0.0)
OVERSATURATED_GAIN = (1.7, 2.2, 2.9, 4.0)

# Each cause multiplies the reference quality by 1 - (weight of the cause) * (loss at its severity).
WEIGHT = {
    "blur": 1.0,
    "noise": 1.0,
    "jpeg": 1.0,
    "dark": 0.9,
    "bright": 0.9,
    "contrast": 0.8,
    "faded": 0.6,
    "oversaturated": 0.6,
}
LOSS = (0.0, 0.28, 0.52, 0.76, 0.96)
LOCAL_SHARE = 0.6

# The order in which a camera would cause them.
ORDER = {c: i for i, c in enumerate(("blur", "dark", "bright", "contrast", "faded", "oversaturated", "noise", "jpeg"))}
# Pairs that hide or cancel each other, so that a viewer could not name both.
UNCLEAR_PAIRS = tuple(
    frozenset(p)
    for p in (
        ("dark", "bright"), ("contrast", "dark"), ("contrast", "bright"), ("contrast", "faded"), ("jpeg", "blur"),
        ("faded", "oversaturated"), ("contrast", "oversaturated"), ("bright", "oversaturated"),
    )
)  # fmt: skip
Array = NDArray[np.float32]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass
class Recipe:
    """The distortions of an image: severity per cause, kind of blur, and the half to which they are limited."""

    severity: dict[str, int] = field(default_factory=dict)
    blur_kind: str | None = None
    region: str | None = None

    @property
    def quality(self) -> float:
        """Reference quality in [0, 1], 1 for a pristine image."""
        q = 1.0
        for cause, s in self.severity.items():
            q *= 1 - WEIGHT[cause] * LOSS[s]
        return 1 - (1 - q) * LOCAL_SHARE if self.region else q


def luma(x: Array) -> Array:
    return np.asarray(x @ LUMA)


def is_usable(crop: NDArray[np.uint8]) -> bool:
    """Return whether a crop is sharp, well lit, of good contrast and moderately colourful, so that only its recipe decides."""
    x = crop[MARGIN:-MARGIN, MARGIN:-MARGIN].astype(np.float32)
    g = luma(x)
    if not (58 < g.mean() < 190) or g.std() < 24 or (g > 250).mean() > 0.1 or (g < 8).mean() > 0.2:
        return False
    e = np.abs(g[1:-1, 1:-1] * 4 - g[:-2, 1:-1] - g[2:, 1:-1] - g[1:-1, :-2] - g[1:-1, 2:])
    cells = e.reshape(7, 18, 7, 18).mean((1, 3))
    if (cells > 9).mean() < 0.3 or (cells > 5).mean() < 0.55:
        return False
    return bool(16 < (x.max(-1) - x.min(-1)).mean() < 130)


def _about(rng: np.random.Generator, value: float, share: float = 0.1) -> float:
    return value * (1 + rng.uniform(-share, share))


def _motion(x: Array, length: int, angle: float) -> Array:
    pad = 12
    h, w = x.shape[:2]
    wide = np.pad(x, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    out = np.zeros_like(x)
    for t in np.linspace(-(length - 1) / 2, (length - 1) / 2, length):
        dy, dx = round(t * np.sin(angle)), round(t * np.cos(angle))
        out += wide[pad + dy : pad + dy + h, pad + dx : pad + dx + w]
    return out / length


def distort(x: Array, cause: str, severity: int, rng: np.random.Generator, blur_kind: str | None) -> Array:
    """Return an H x W x 3 image with values 0..255 after one cause is applied."""
    i = severity - 1
    match cause:
        case "blur" if blur_kind == "motion":
            return _motion(x, MOTION_LENGTH[i], rng.uniform(0, np.pi))
        case "blur":
            sigma = _about(rng, DEFOCUS_SIGMA[i])
            return np.asarray(ndimage.gaussian_filter(x, (sigma, sigma, 0), truncate=3))
        case "noise":
            n = rng.standard_normal(x.shape, dtype=np.float32)
            return x + np.float32(_about(rng, NOISE_SIGMA[i])) * (n[..., :1] if rng.random() < 0.4 else n)
        case "jpeg":
            buffer = io.BytesIO()
            image = Image.fromarray(np.clip(x + 0.5, 0, 255).astype(np.uint8))
            image.save(buffer, "JPEG", quality=round(_about(rng, JPEG_QUALITY[i], 0.12)))
            return np.asarray(Image.open(buffer)).astype(np.float32)
        case "dark":
            return x * np.float32(_about(rng, DARK_GAIN[i]))
        case "bright":
            return np.minimum(x * np.float32(_about(rng, BRIGHT_GAIN[i], 0.07)) + 8 * severity, 255)
        case "contrast":
            m = luma(x).mean()
            return m + (x - m) * np.float32(_about(rng, CONTRAST_GAIN[i]))
        case "faded" | "oversaturated":
            gain = (FADED_GAIN if cause == "faded" else OVERSATURATED_GAIN)[i]
            g = luma(x)[..., None]
            return g + (x - g) * np.float32(_about(rng, gain))
    raise ValueError(cause)


def render(crop: NDArray[np.uint8], recipe: Recipe, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the 128 x 128 image that `recipe` makes of a crop with its margin."""
    clean = crop.astype(np.float32)
    x = clean
    for cause in sorted(recipe.severity, key=ORDER.__getitem__):
        x = np.clip(distort(x, cause, recipe.severity[cause], rng, recipe.blur_kind), 0, 255)
    if recipe.region:
        n = SIDE + 2 * MARGIN
        ramp = np.clip((np.arange(n) - n / 2) / 8 + 0.5, 0, 1).astype(np.float32)  # an 8-pixel seam
        mask = np.broadcast_to(ramp[:, None] if recipe.region in ("top", "bottom") else ramp[None, :], (n, n))
        if recipe.region in ("left", "top"):
            mask = 1 - mask
        x = clean + (x - clean) * mask[..., None]
    return np.clip(x[MARGIN:-MARGIN, MARGIN:-MARGIN] + 0.5, 0, 255).astype(np.uint8)


def random_recipe(rng: np.random.Generator) -> Recipe:
    """Draw a recipe: pristine in 12 %, one cause in 46 %, two causes in 18 %, one cause in half of the image in 24 %."""
    u = rng.random()
    region: str | None = None
    if u < 0.12:
        causes: list[str] = []
    elif u < 0.58:
        causes = [str(rng.choice(CAUSES, p=[0.24, 0.13, 0.13, 0.11, 0.11, 0.1, 0.09, 0.09]))]
    elif u < 0.76:
        while True:
            causes = [str(c) for c in rng.choice(CAUSES, 2, replace=False)]
            if frozenset(causes) not in UNCLEAR_PAIRS:
                break
    else:
        causes = [str(rng.choice(LOCAL_CAUSES))]
        region = str(rng.choice(REGIONS))
    recipe = Recipe(region=region)
    for cause in causes:
        recipe.severity[cause] = int(rng.integers(2 if region else 1, 5))
        if cause == "blur":
            recipe.blur_kind = "motion" if rng.random() < 0.45 else "defocus"
    return recipe
