"""Count requests, tokens and cost of an endpoint. Impossible figures from the endpoint count as missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

_MOST_TOKENS = 100_000_000  # in one request, more than any model's context
_MOST_COST = 10_000.0  # US dollars for one request


@dataclass
class Usage:
    """Usage of one endpoint: requests sent (with retries), retries among them, replies from the cache, tokens.

    `cost` is in US dollars: the cost that the endpoint reports, else tokens times the user's price. It is None if
    neither is known. Replies from the cache add no tokens and no cost.
    """

    requests: int = 0
    retries: int = 0
    cache_hits: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None

    def add(self, usage: object, price: tuple[float, float] | None) -> None:
        """Add the `usage` object of one reply; `price` is in dollars per million prompt and completion tokens."""
        counts = usage if isinstance(usage, Mapping) else {}
        prompt, completion = (_count(counts.get(key)) for key in ("prompt_tokens", "completion_tokens"))
        self.prompt_tokens += prompt
        self.completion_tokens += completion
        reported = counts.get("cost")
        if isinstance(reported, int | float) and not isinstance(reported, bool) and 0 <= reported <= _MOST_COST:
            self.cost = (self.cost or 0.0) + float(reported)
        elif price is not None:
            self.cost = (self.cost or 0.0) + (prompt * price[0] + completion * price[1]) / 1e6

    def to_dict(self) -> dict[str, Any]:
        """Return the usage as plain values."""
        return asdict(self)


@runtime_checkable
class HasUsage(Protocol):
    """A model or a judge behind an endpoint."""

    usage: Usage


def _count(value: object) -> int:
    """Return the number of tokens that an endpoint reports; 0 for an impossible number."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST_TOKENS else 0
