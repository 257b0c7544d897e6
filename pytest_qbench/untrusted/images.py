"""Open images in raster formats only: for others, such as EPS, Pillow starts another program (Ghostscript)."""

from __future__ import annotations

import io
import struct
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST = 256 << 20
"""Maximum size of an image file in bytes."""
_FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "TGA", "ICO", "AVIF", "JPEG2000")


def open_image(content: bytes) -> Image:
    """Return an image whose pixels are decoded on first access. Both steps raise one of `decoding_errors`."""
    from PIL import Image

    return Image.open(io.BytesIO(content), formats=_formats())


@cache
def decoding_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that Pillow raises for damaged, unknown and oversized images."""
    from PIL import Image

    return (
        OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, OverflowError, struct.error,
        Image.DecompressionBombError,
    )  # fmt: skip


@cache
def _formats() -> list[str]:
    from PIL import Image

    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]
