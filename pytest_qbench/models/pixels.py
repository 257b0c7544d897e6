"""Convert every kind of decoded image to 8-bit RGB, by one rule for each kind:

- Orientation: the EXIF tag is applied.
- 16-bit greyscale: 0 to 65,535 is scaled to 0 to 255. The decoder scales 16-bit colours.
- 32-bit integers: scaled as 16 bits if no value exceeds 65,535, else rejected.
- Floats: white is the smallest of 1, 255 and 65,535 that no value exceeds. Other ranges are rejected.
- Alpha, also in palettes: the image is placed on white.
- CMYK and other colour spaces: Pillow's conversion. Embedded colour profiles are not applied.
- Animation: the first frame.

A change of these rules must change `PIXEL_RULES`, a condition of every comparison.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

#: The version of the rules.
PIXEL_RULES = 1
_WHITE = (1.0, 255.0, 65535.0)
_ORIENTATION = 0x0112


def to_rgb(image: Image) -> Image:
    """Return the image as 8-bit RGB, upright. Raises `ValueError` for pixel values of an unknown range."""
    if is_unchanged(image):
        return image
    from PIL import Image as Images
    from PIL import ImageOps

    if not _is_upright(image):
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        return _scaled(image)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        pixels = image.convert("RGBA")
        paper = Images.new("RGBA", pixels.size, (255, 255, 255, 255))
        return Images.alpha_composite(paper, pixels).convert("RGB")
    return image.convert("RGB")


def is_unchanged(image: Image) -> bool:
    """Return whether `to_rgb` returns the image as it is. For a PNG this decodes it."""
    return image.mode == "RGB" and "transparency" not in image.info and _is_upright(image)


def _is_upright(image: Image) -> bool:
    # This takes microseconds for a file without tags. For a JPEG it parses the EXIF block.
    return bool(image.getexif().get(_ORIENTATION, 1) == 1)


def _scaled(image: Image) -> Image:
    import numpy as np
    from PIL import Image as Images

    values = np.asarray(image, dtype=np.float64)
    lowest, highest = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    whites = _WHITE if image.mode == "F" else _WHITE[2:]
    white = next((white for white in whites if highest <= white), None)
    if not np.isfinite(values).all() or lowest < 0 or white is None:
        raise ValueError(
            f"pixel values from {lowest:g} to {highest:g} have no known white level; save the image with 8 or 16 bits"
        )
    return Images.fromarray(np.rint(values * (255.0 / white)).astype(np.uint8)).convert("RGB")
