"""Send large requests in pieces. A photograph of 12 megapixels makes a request of some MiB."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pytest_qbench.endpoints.body_limit import HTTP

WHOLE = 1 << 20
"""Maximum bytes of a body that is sent as a whole. aiohttp warns of larger ones."""
_PIECE = 1 << 18


class _Pieces(HTTP.AsyncByteStream):  # type: ignore[misc] # found at run time
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._body), _PIECE):
            yield self._body[start : start + _PIECE]


async def stream_large_body(request: Any) -> None:
    """Turn a body larger than `WHOLE` into a stream of pieces. This is an httpx request hook.

    Other requests may send between two pieces. The header keeps the length of the body.
    """
    if len(request.content) > WHOLE:
        request.stream = _Pieces(request.content)
        del request._content  # without it, the request counts as one that is streamed
