"""Chat requests: messages with images, and the server's extensions that continue a reply."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

# vLLM's and SGLang's: the last message is the beginning of the reply, and nothing closes it.
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
    """Return an RGB image as a PNG in a data URL: the pixels that a local model sees.

    Larger images are made smaller to at most `max_pixels` where given, keeping their shape; never otherwise.
    """
    if max_pixels is not None and image.width * image.height > max_pixels:
        from PIL.Image import Resampling

        factor = math.sqrt(max_pixels / (image.width * image.height))
        size = max(1, math.floor(image.width * factor)), max(1, math.floor(image.height * factor))
        image = image.resize(size, Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)  # the usual level takes five times as long for a tenth of the size
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def merged(body: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return `body` with the user's own parameters; null takes one out."""
    return {key: value for key, value in {**body, **extra}.items() if value is not None}
