"""Parse `openai:MODEL@BASE_URL`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from pytest_qbench.endpoints.key import SHARED_KEY
from pytest_qbench.errors import UsageError

FORM = "write openai:MODEL@BASE_URL, for example openai:llava@http://127.0.0.1:8000/v1"


@dataclass(frozen=True, slots=True)
class Address:
    """A model and the URL of its endpoint; `base_url` has no slash at its end."""

    model: str
    base_url: str

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.base_url).netloc

    def __str__(self) -> str:
        return f"{self.model}@{self.base_url}"


def parse_address(text: str) -> Address:
    """Return the address in ``MODEL@BASE_URL``. It splits at the last ``@http``, as a model name may contain an @.

    Raises `UsageError` for an unusable address. The message does not repeat a URL that could contain a password.
    """
    found = re.fullmatch(r"(?P<model>\S.*)@(?P<url>https?://\S+)", text.strip())
    if found is None:
        raise UsageError(f"openai:{text.partition('@')[0]}: no BASE_URL; {FORM}")
    model, url = found["model"].strip(), found["url"]
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError(f"openai:{model}: the BASE_URL is not a valid URL; {FORM}") from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            f"openai:{model}: the BASE_URL contains a user, a password or a query; set the key in {SHARED_KEY} instead"
        )
    if not parts.hostname or port == 0:
        raise UsageError(f"openai:{model}: the BASE_URL names no host; {FORM}")
    return Address(model, url.rstrip("/"))
