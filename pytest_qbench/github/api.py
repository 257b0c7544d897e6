"""A small client of GitHub's REST API. The token goes to the stated address alone, and into no message."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_qbench.endpoints.key import Key
from pytest_qbench.errors import QBenchError, UsageError
from pytest_qbench.escaping import one_line
from pytest_qbench.untrusted.parsing import parse_json

TOKEN = "GITHUB_TOKEN"
_LARGEST = 16 << 20  # bytes of a reply
_TIMEOUT = 30.0  # seconds for one request
_TRANSIENT = (429, 500, 502, 503, 504)
_TRIES = 3
_LONGEST_WAIT = 60.0
_PAGES = 50  # of 100 comments each


class GitHubError(QBenchError):
    """GitHub has refused a request, or could not be reached."""


class _Unfollowed(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it would carry the token to another address."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


@dataclass(frozen=True)
class Api:
    """The API of one repository. `wait` sleeps before a request is sent again."""

    address: str
    repository: str
    token: Key
    wait: Callable[[float], None] = time.sleep
    _opener: urllib.request.OpenerDirector = field(default_factory=lambda: urllib.request.build_opener(_Unfollowed))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Api:
        """Return the API that the variables of a workflow name. Raises `UsageError` if one is missing or wrong."""
        address = environment.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
        repository, token = environment.get("GITHUB_REPOSITORY", ""), environment.get(TOKEN, "")
        if not re.fullmatch(r"https://\S+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?\S*", address):
            raise UsageError(f"GITHUB_API_URL={address}: an address with https:// is needed")
        if not re.fullmatch(r"[\w-]+/(?!\.{1,2}$)[\w.-]+", repository):
            raise UsageError(f"GITHUB_REPOSITORY={repository}: OWNER/NAME is needed; a workflow of GitHub sets it")
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise UsageError(f"{TOKEN} is not set; pass it with env, or add --no-comment and --no-check")
        return cls(address, repository, Key(token))

    def pages(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield the entries of a list, of all pages."""
        for page in range(1, _PAGES + 1):
            found = self.request("GET", f"{path}?per_page=100&page={page}")
            if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
                raise GitHubError(f"GitHub: GET {path}: the reply is no list")
            yield from found
            if len(found) < 100:
                return

    def request(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Any:
        """Send a request for the repository and return the reply. Transient failures are repeated."""
        url = f"{self.address}/repos/{self.repository}/{path}"
        data = None if content is None else json.dumps(content).encode()
        headers = {
            **self.token.headers(), "Accept": "application/vnd.github+json", "User-Agent": "pytest-qbench",
            "X-GitHub-Api-Version": "2022-11-28", **({"Content-Type": "application/json"} if data else {}),
        }  # fmt: skip
        reason = ""
        for attempt in range(_TRIES):
            request = urllib.request.Request(url, data, headers, method=method)
            try:
                with self._opener.open(request, timeout=_TIMEOUT) as reply:
                    body = reply.read(_LARGEST + 1)
                if len(body) > _LARGEST:
                    raise GitHubError(f"GitHub: {method} {path}: the reply is larger than {_LARGEST >> 20} MiB")
                return parse_json(body) if body else None
            except urllib.error.HTTPError as e:
                reason = self._reason(e)
                if e.code not in _TRANSIENT:
                    break
                delay = e.headers.get("Retry-After") or ""
                pause = min(float(delay), _LONGEST_WAIT) if delay.isdigit() else 2.0**attempt
            except (OSError, ValueError) as e:  # ValueError: a reply that is no JSON
                reason, pause = self.token.scrub(str(getattr(e, "reason", e))), 2.0**attempt
            if method == "POST":  # it may have arrived: a second one would be a second comment
                break
            if attempt + 1 < _TRIES:
                self.wait(pause)
        raise GitHubError(f"GitHub: {method} {path}: {one_line(reason)}")

    def _reason(self, error: urllib.error.HTTPError) -> str:
        """Return the status with GitHub's message."""
        try:
            message = parse_json(error.read(_LARGEST)).get("message")
        except (OSError, ValueError, AttributeError):
            message = None
        return f"status {error.code}" + (f": {self.token.scrub(str(message))}" if message else "")
