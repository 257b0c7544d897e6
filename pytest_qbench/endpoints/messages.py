"""Build chat messages with images, and the parameters that let a server continue a reply."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pybase64 import b64encode_as_string

if TYPE_CHECKING:
    from PIL.Image import Image

# Parameters of vLLM and SGLang: the last message is the beginning of the reply, and the template does not close it.
CONTINUE: Mapping[str, Any] = {"continue_final_message": True, "add_generation_prompt": False}


def messages(
    parts: Sequence[str | int], images: Sequence[str] = (), prefix: str | None = None, system: str | None = None
) -> list[dict[str, Any]]:
    """Return the system's turn, a user's turn and the beginning of the assistant's.

    `parts` are texts, and images by number; `images` are data URLs.
    """
    content: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": images[part]}}
        if isinstance(part, int)
        else {"type": "text", "text": part}
        for part in parts
    ]
    turns: list[dict[str, Any]] = [{"role": "system", "content": system}] if system is not None else []
    turns.append({"role": "user", "content": content})
    if prefix is not None:
        turns.append({"role": "assistant", "content": prefix})
    return turns


def data_url(image: Image, max_pixels: int | None = None) -> str:
    """Return an RGB image as a PNG in a data URL, with the pixels that a local model sees.

    With `max_pixels`, a larger image is scaled down to at most that many pixels, at the same aspect ratio.
    """
    if max_pixels is not None and image.width * image.height > max_pixels:
        from PIL.Image import Resampling

        factor = math.sqrt(max_pixels / (image.width * image.height))
        size = max(1, math.floor(image.width * factor)), max(1, math.floor(image.height * factor))
        image = image.resize(size, Resampling.LANCZOS)
    buffer = io.BytesIO()
    # The default level saves 10 % of the size in five times the time. A profile would let a server change the colours.
    image.save(buffer, "PNG", compress_level=1, icc_profile=None)
    return file_url("image/png", buffer.getvalue())


def file_url(media_type: str, content: bytes) -> str:
    """Return the bytes of an image file in a data URL."""
    return f"data:{media_type};base64,{b64encode_as_string(content)}"


def with_extra(body: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return `body` updated with the user's `extra` parameters. A value of null removes the parameter."""
    return {key: value for key, value in {**body, **extra}.items() if value is not None}
