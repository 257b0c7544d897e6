"""API keys. A key is sent with each request and masked wherever the endpoint repeats it."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Mapping
from typing import Literal

from pytest_qbench.errors import UsageError

Role = Literal["model", "judge"]
KEY_VARIABLES: Mapping[Role, str] = {"model": "QBENCH_MODEL_API_KEY", "judge": "QBENCH_JUDGE_API_KEY"}
SHARED_KEY = "OPENAI_API_KEY"
_SHORTEST_SECRET = 12  # shorter keys are placeholders such as "none", a word that replies may contain
_PIECE = 8
"""Length of the pieces of a key that are masked. Shorter ones occur by chance, and endpoints often show the last four
characters."""


class Key:
    """An API key. Only `headers` returns it; `repr` hides it, as tracebacks may show local variables."""

    __slots__ = ("_pieces", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        self._pieces = frozenset(_pieces(value)) if len(value) >= _SHORTEST_SECRET else frozenset()

    def __repr__(self) -> str:
        return "Key(***)" if self._value else "Key()"

    def headers(self) -> dict[str, str]:
        """Return the HTTP header with the key; empty without a key."""
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    def scrub(self, text: str) -> str:
        """Return a message with the key and parts of it masked.

        It finds a part also in another case, backwards, in hexadecimal, in base64, and with spaces or punctuation
        between its characters.
        """
        return self.scrub_reply(text.replace(self._value, "***") if self._value else text)

    def scrub_reply(self, text: str) -> str:
        """Return a reply with the key masked as in `scrub`. Keys too short to be secret are left: they may be words."""
        if not self._pieces:
            return text
        places = [i for i, character in enumerate(text) if character.isascii() and character.isalnum()]
        plain = "".join(text[i] for i in places).lower()
        parts, end = [], 0
        starts = (i for i in range(len(plain) - _PIECE + 1) if plain[i : i + _PIECE] in self._pieces)
        for first, last in _covered_ranges(starts):
            parts += [text[end : places[first]], "***"]
            end = places[last] + 1
        return "".join([*parts, text[end:]])


def read_key(role: Role) -> Key:
    """Return the key for the model's or the judge's endpoint.

    Its own environment variable, even an empty one, takes precedence over the shared one. Raises `UsageError` for
    characters that no HTTP header can contain.
    """
    for name in (KEY_VARIABLES[role], SHARED_KEY):
        if name in os.environ:
            value = os.environ[name].strip()
            if not re.fullmatch(r"[\x21-\x7e]*", value):
                raise UsageError(f"{name}: contains spaces or other characters that no API key has; set it anew")
            return Key(value)
    return Key("")


def _pieces(key: str) -> Iterator[str]:
    """Yield all substrings of `_PIECE` letters and digits, in lower case: of the key and of its usual encodings."""
    raw = key.encode()
    # The base64 of a key inside a longer text depends on the number of bytes before it, modulo 3.
    in_base64 = [base64.b64encode(b"\0" * shift + raw).decode()[4 if shift else 0 : -4] for shift in range(3)]
    for text in (key, key[::-1], raw.hex(), *in_base64):
        plain = "".join(c for c in text if c.isascii() and c.isalnum()).lower()
        yield from (plain[i : i + _PIECE] for i in range(len(plain) - _PIECE + 1))


def _covered_ranges(starts: Iterator[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last position of each range that pieces at these starts cover."""
    first = last = -1
    for start in starts:
        if first >= 0 and start > last + 1:
            yield first, last
            first = -1
        if first < 0:
            first = start
        last = start + _PIECE - 1
    if first >= 0:
        yield first, last
