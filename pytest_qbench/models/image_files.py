"""Tell which image files show a decoder the pixels that a model sees, so that they need no new encoding.

`to_rgb` leaves such an image unchanged. Beyond that, no decoder may see it otherwise: it has 8 bits, one frame, no
alpha and no orientation, and the file is whole. A colour profile, which this package never applies, is cut out of a
JPEG or PNG file. Any other file is decoded and encoded anew. Nothing is decoded here.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from pytest_qbench.models.pixels import is_unchanged

if TYPE_CHECKING:
    from PIL.Image import Image

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_RGB = (8, 2)  # bits a channel, colour type
_COLOUR_SPACE = frozenset({b"iCCP", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"})
_CHANGES_PIXELS = frozenset({b"tRNS", b"acTL", b"eXIf"})  # transparency, animation, perhaps an orientation
_MAY_TURN = (b"XML:com.adobe.xmp\0", b"Raw profile type ")  # texts that may hold an orientation, also compressed
_HUFFMAN_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive
_OTHER_FRAMES = frozenset(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN, _APP2 = 0xDA, 0xE2
_WEBP_REJECTED = 0x02 | 0x10 | 0x20  # flags of an extended file: animation, alpha, colour profile


def media_type(content: bytes) -> str | None:
    """Return the media type of a JPEG, PNG or WebP file by its first bytes; None for other formats."""
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(_PNG):
        return "image/png"
    return "image/webp" if content.startswith(b"RIFF") and content[8:12] == b"WEBP" else None


def with_model_pixels(content: bytes, header: Image) -> bytes | None:
    """Return the bytes to send for a file that shows the model's pixels, None for any other file.

    `header` is the opened image, of which no pixels are needed.
    """
    check = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp}.get(header.format or "")
    if check is None or header.mode != "RGB":
        return None
    try:
        own = check(content)
    except (struct.error, IndexError):  # the file ends early
        return None
    # To look for the orientation of a PNG, Pillow would decode it; its chunks show that it has none.
    return own if own is not None and (header.format == "PNG" or is_unchanged(header)) else None


def _jpeg(content: bytes) -> bytes | None:
    """Return a whole JPEG with three channels of 8 bits, without its colour profile."""
    if not content.endswith(b"\xff\xd9"):
        return None
    kept, start, place, frame = [], 0, 2, False
    while True:
        mark, marker = content[place], content[place + 1]
        if mark != 0xFF or marker == 0xFF or marker in _OTHER_FRAMES:
            return None
        if marker == _START_OF_SCAN:
            break
        end = place + 2 + struct.unpack_from(">H", content, place + 2)[0]
        if marker in _HUFFMAN_FRAMES:
            frame = True
            if content[place + 4] != 8 or content[place + 9] != 3:
                return None
        if marker == _APP2 and content[place + 4 : place + 16] == b"ICC_PROFILE\0":
            kept.append(content[start:place])
            start = end
        place = end
    return (b"".join([*kept, content[start:]]) if kept else content) if frame else None


def _png(content: bytes) -> bytes | None:
    """Return a whole PNG with three channels of 8 bits and correct checksums, without its colour space."""
    kept, start, place = [], 0, len(_PNG)
    while True:
        size, kind = struct.unpack_from(">I4s", content, place)
        end = place + 12 + size
        if end > len(content) or zlib.crc32(memoryview(content)[place + 4 : end - 4]) != struct.unpack_from(
            ">I", content, end - 4
        )[0]:  # fmt: skip
            return None
        if kind == b"IHDR" and struct.unpack_from("BB", content, place + 16) != _PNG_RGB:
            return None
        if kind in _CHANGES_PIXELS or content.startswith(_MAY_TURN, place + 8):
            return None
        if kind in _COLOUR_SPACE:
            kept.append(content[start:place])
            start = end
        place = end
        if kind == b"IEND":
            return b"".join([*kept, content[start:]]) if kept else content


def _webp(content: bytes) -> bytes | None:
    """Return a whole WebP file of one frame without a colour profile."""
    if struct.unpack_from("<I", content, 4)[0] + 8 != len(content):
        return None
    return None if content[12:16] == b"VP8X" and content[20] & _WEBP_REJECTED else content
