"""Measured properties of an image: brightness, contrast, sharpness, noise, saturation, size, aspect, JPEG quality."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pytest_qbench.errors import ItemError
from pytest_qbench.items import ImageSource
from pytest_qbench.models.pixels import to_rgb
from pytest_qbench.untrusted.images import decoding_errors, open_image

PROPERTIES = ("brightness", "contrast", "sharpness", "noise", "saturation", "size", "aspect", "JPEG quality")
_CROP = 512
"""Side of the middle of an image that sharpness and noise are measured on, in its own pixels."""
_LUMA = np.array([0.299, 0.587, 0.114])
_JPEG_LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
"""The luminance table of the JPEG standard (ITU-T T.81, table K.1), row by row."""


def properties(image: ImageSource) -> dict[str, float]:
    """Return the properties of an image by name, those that it has. Empty for an image that cannot be read.

    brightness and contrast: mean and standard deviation of the luma, 0 to 255. saturation: mean of HSV's, 0 to 1.
    sharpness: standard deviation of the Laplacian. noise: Immerkaer's estimate (1996) of its standard deviation. size:
    pixels. aspect: width / height.
    """
    try:
        opened = open_image(image.read())
        tables = getattr(opened, "quantization", None)
        pixels = np.asarray(to_rgb(opened))
    except ItemError:
        return {}
    except decoding_errors():
        return {}
    height, width = pixels.shape[:2]
    step = max(1, int(np.sqrt(height * width / _CROP**2)))
    sample = pixels[::step, ::step].astype(np.float64)
    luma = sample @ _LUMA
    most, least = sample.max(axis=2), sample.min(axis=2)
    top, left = max(0, (height - _CROP) // 2), max(0, (width - _CROP) // 2)
    middle = pixels[top : top + _CROP, left : left + _CROP] @ _LUMA
    found = {
        "brightness": float(luma.mean()),
        "contrast": float(luma.std()),
        "saturation": float(np.divide(most - least, most, out=np.zeros_like(most), where=most > 0).mean()),
        "size": float(height * width),
        "aspect": width / height,
    }
    if min(middle.shape) > 2:
        found["sharpness"] = float(_filtered(middle, -4.0, 1.0, 0.0).std())
        found["noise"] = float(np.abs(_filtered(middle, 4.0, -2.0, 1.0)).mean() * np.sqrt(np.pi / 2) / 6)
    if opened.format == "JPEG" and tables and 0 in tables:
        found["JPEG quality"] = jpeg_quality(tables[0])
    return found


def jpeg_quality(table: Sequence[int]) -> float:
    """Return the quality, 1 to 100, whose luminance table is nearest to this one by libjpeg's scaling.

    The median of the ratios ignores entries that were cut at 255.
    """
    scale = 100 * float(np.median(np.asarray(table) / np.asarray(_JPEG_LUMA)))
    return float(np.clip((200 - scale) / 2 if scale <= 100 else 5000 / scale, 1, 100))


def _filtered(g: NDArray[np.float64], middle: float, side: float, corner: float) -> NDArray[np.float64]:
    """Return an image filtered with a symmetric 3 x 3 kernel, without its border."""
    sides = g[:-2, 1:-1] + g[2:, 1:-1] + g[1:-1, :-2] + g[1:-1, 2:]
    corners = g[:-2, :-2] + g[:-2, 2:] + g[2:, :-2] + g[2:, 2:]
    filtered: NDArray[np.float64] = middle * g[1:-1, 1:-1] + side * sides + corner * corners
    return filtered
