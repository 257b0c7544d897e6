"""An API key: sent with each request, and cut out of everything that an endpoint says."""

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
_SHORTEST_SECRET = 12  # placeholders such as "none" are shorter, and would be cut out of honest replies
_PIECE = 8
"""Characters of a key that give it away: fewer occur by chance, and endpoints show the last four on purpose."""


class Key:
    """An API key. Only `headers` gives it away; its text forms are stars, also where a traceback shows locals."""

    __slots__ = ("_pieces", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        self._pieces = frozenset(_pieces(value)) if len(value) >= _SHORTEST_SECRET else frozenset()

    def __repr__(self) -> str:
        return "Key(***)" if self._value else "Key()"

    def headers(self) -> dict[str, str]:
        """Return the header that carries the key; empty without one."""
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    def scrub(self, text: str) -> str:
        """Return a message without the key, and without parts of it.

        A part is found with blanks or marks between its characters, in other case, backwards, in hexadecimal or in
        base64.
        """
        return self.scrub_reply(text.replace(self._value, "***") if self._value else text)

    def scrub_reply(self, text: str) -> str:
        """Return a reply without the key; keys too short to be secrets are words, and stay."""
        if not self._pieces:
            return text
        places = [i for i, character in enumerate(text) if character.isascii() and character.isalnum()]
        plain = "".join(text[i] for i in places).lower()
        kept, told = [], 0
        for first, last in _joined(i for i in range(len(plain) - _PIECE + 1) if plain[i : i + _PIECE] in self._pieces):
            kept += [text[told : places[first]], "***"]
            told = places[last] + 1
        return "".join([*kept, text[told:]])


def read_key(role: Role) -> Key:
    """Return the key of the model's or the judge's endpoint; its own variable, even an empty one, goes first.

    Raises `UsageError` for what cannot stand in a header.
    """
    for name in (KEY_VARIABLES[role], SHARED_KEY):
        if name in os.environ:
            value = os.environ[name].strip()
            if not re.fullmatch(r"[\x21-\x7e]*", value):
                raise UsageError(f"{name}: holds blanks or other characters that no key has")
            return Key(value)
    return Key("")


def _pieces(key: str) -> Iterator[str]:
    """Yield every run of `_PIECE` letters and digits of a key and of its usual disguises, in lower case."""
    raw = key.encode()
    # What base64 makes of a text depends on what stands before it: three positions.
    disguises = [base64.b64encode(b"\0" * shift + raw).decode()[4 if shift else 0 : -4] for shift in range(3)]
    for text in (key, key[::-1], raw.hex(), *disguises):
        plain = "".join(c for c in text if c.isascii() and c.isalnum()).lower()
        yield from (plain[i : i + _PIECE] for i in range(len(plain) - _PIECE + 1))


def _joined(starts: Iterator[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last position of each stretch that pieces at these starts cover."""
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
