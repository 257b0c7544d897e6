"""Limit the size of a response body while it arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import openai

LARGEST = 16 << 20
"""Maximum bytes of a reply. A prompt with the log-probability of each token takes less than one MiB."""

HTTP: Any = import_module(openai.DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0])
"""The HTTP library of the OpenAI client: httpx2 since version 3 of the client, httpx before."""


class TooLargeError(Exception):
    """The body of a response is too large, or compressed."""


class _LimitedStream(HTTP.AsyncByteStream):  # type: ignore[misc] # found at run time
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if size > LARGEST:
                raise TooLargeError(f"the reply is larger than {LARGEST >> 20} MiB")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


async def limit_body(response: Any) -> None:
    """Raise `TooLargeError` if the body is too large, at once or while it arrives. This is an httpx response hook.

    A compressed body is rejected: it may unpack to any size, and the requests allow no compression.
    """
    length = response.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > LARGEST:
        raise TooLargeError(f"the reply is larger than {LARGEST >> 20} MiB")
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise TooLargeError("the reply is compressed, although the request allows no compression")
    response.stream = _LimitedStream(response.stream)
