"""What `openai:MODEL@BASE_URL` names, and the key that goes with it: from the environment, and never shown."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from pytest_qbench.errors import UsageError

Role = Literal["model", "judge"]
KEY_VARIABLES: Mapping[Role, str] = {"model": "QBENCH_MODEL_API_KEY", "judge": "QBENCH_JUDGE_API_KEY"}
SHARED_KEY = "OPENAI_API_KEY"
FORM = "write openai:MODEL@BASE_URL, for example openai:llava@http://127.0.0.1:8000/v1"
_SHORTEST_SECRET = 12  # placeholders such as "none" are shorter, and would be cut out of honest replies


@dataclass(frozen=True, slots=True)
class Address:
    """A model behind an endpoint; `base_url` has no slash at its end."""

    model: str
    base_url: str

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.base_url).netloc

    def __str__(self) -> str:
        return f"{self.model}@{self.base_url}"


def parse_address(text: str) -> Address:
    """Return what ``MODEL@BASE_URL`` names; the last ``@http`` divides, since model names may hold an @.

    Raises `UsageError`, which does not repeat a URL that could hold a password.
    """
    found = re.fullmatch(r"(?P<model>\S.*)@(?P<url>https?://\S+)", text.strip())
    if found is None:
        raise UsageError(f"openai:{text.partition('@')[0]}: no BASE_URL; {FORM}")
    model, url = found["model"].strip(), found["url"]
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError(f"openai:{model}: the BASE_URL is no URL; {FORM}") from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            f"openai:{model}: the BASE_URL holds a user, a password or a query; keys come from {SHARED_KEY} alone"
        )
    if not parts.hostname or port == 0:
        raise UsageError(f"openai:{model}: the BASE_URL names no host; {FORM}")
    return Address(model, url.rstrip("/"))


class Key:
    """An API key. Only `headers` gives it away; its text forms are stars, also where a traceback shows locals."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "Key(***)" if self._value else "Key()"

    def headers(self) -> dict[str, str]:
        """Return the header that carries the key; empty without one."""
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    def scrub(self, text: str) -> str:
        """Return a message without the key."""
        return text.replace(self._value, "***") if self._value else text

    def scrub_reply(self, text: str) -> str:
        """Return a reply without the key; keys too short to be secrets are words, and stay."""
        return self.scrub(text) if len(self._value) >= _SHORTEST_SECRET else text


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
