"""What an endpoint was asked and what it cost. Figures of an endpoint that cannot be true count as not given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, runtime_checkable

_MOST_TOKENS = 100_000_000  # of one request, beyond any model's context
_MOST_COST = 10_000.0  # US dollars of one request


@dataclass
class Usage:
    """Counts of one endpoint: requests sent (attempts), how many of them were repeats, replies from the cache, tokens.

    `cost` is in US dollars: what the endpoint says, else tokens times the price that the user gave; None where neither
    is known. Replies from the cache cost nothing and count no tokens.
    """

    requests: int = 0
    retries: int = 0
    cache_hits: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None

    def add(self, usage: object, price: tuple[float, float] | None) -> None:
        """Count the `usage` object of one reply; `price` is dollars per million prompt and completion tokens."""
        counts = usage if isinstance(usage, Mapping) else {}
        prompt, completion = (_count(counts.get(key)) for key in ("prompt_tokens", "completion_tokens"))
        self.prompt_tokens += prompt
        self.completion_tokens += completion
        told = counts.get("cost")
        if isinstance(told, int | float) and not isinstance(told, bool) and 0 <= told <= _MOST_COST:
            self.cost = (self.cost or 0.0) + float(told)
        elif price is not None:
            self.cost = (self.cost or 0.0) + (prompt * price[0] + completion * price[1]) / 1e6

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for `runs.endpoint_usage`."""
        return asdict(self)


@runtime_checkable
class HasUsage(Protocol):
    """A model or a judge behind an endpoint."""

    usage: Usage


def _count(value: object) -> int:
    """The number of tokens that an endpoint tells; 0 where no request can have had so many."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST_TOKENS else 0
