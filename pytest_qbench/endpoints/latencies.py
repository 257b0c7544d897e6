"""How long replies of one endpoint take, and from when on an attempt hangs rather than works."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Hashable, Mapping
from typing import Any

_KEPT = 100  # latest replies of a kind
_ENOUGH = 8  # replies after which a kind is known
_SHORTEST = 2.0  # seconds before which no attempt hangs
_TIMES = 4.0  # how many times longer than the slowest tenth a reply may take


def latency_kind(body: Mapping[str, Any]) -> Hashable:
    """Return what requests with similar latencies have in common: the length of the reply and the kind of work."""
    return body.get("max_tokens", body.get("max_completion_tokens")), body.get("n"), "prompt_logprobs" in body


class Latencies:
    """Seconds that the latest replies took, by kind of request."""

    def __init__(self) -> None:
        self._seconds: dict[Hashable, deque[float]] = {}

    def add(self, kind: Hashable, seconds: float) -> None:
        """Add a reply."""
        self._seconds.setdefault(kind, deque(maxlen=_KEPT)).append(seconds)

    def patience(self, kind: Hashable) -> float:
        """Return the seconds after which an attempt hangs; infinity while too few replies of its kind are known."""
        seconds = sorted(self._seconds.get(kind, ()))
        return max(_SHORTEST, _TIMES * seconds[int(0.9 * len(seconds))]) if len(seconds) >= _ENOUGH else math.inf
