"""A limit on the body of a response, kept while it arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import openai

LARGEST = 16 << 20
"""Most bytes of a reply: a whole prompt with the log-probability of each token has less than one MiB."""


#: The HTTP library of openai's client: httpx, or since its version 3 httpx2.
_http: Any = import_module(openai.DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0])


class TooLargeError(Exception):
    """The body of a response is larger than any reply."""


class _Bounded(_http.AsyncByteStream):  # type: ignore[misc]
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


async def bounded(response: Any) -> None:
    """Raise `TooLargeError` where the body is too large, now or as it arrives; a hook of httpx.

    A compressed body, which nobody asked for, is refused: it may unpack to any size.
    """
    told = response.headers.get("content-length", "")
    if told.isdecimal() and int(told[:20]) > LARGEST:
        raise TooLargeError(f"the reply is larger than {LARGEST >> 20} MiB")
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise TooLargeError("the reply is compressed, which was not asked for")
    response.stream = _Bounded(response.stream)
