"""What an endpoint was asked and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol, runtime_checkable


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
        if isinstance(told, int | float) and not isinstance(told, bool):
            self.cost = (self.cost or 0.0) + float(told)
        elif price is not None:
            self.cost = (self.cost or 0.0) + (prompt * price[0] + completion * price[1]) / 1e6

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the summary and across processes."""
        return asdict(self)


def added(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sum of two usages as plain values."""
    total: dict[str, Any] = {f.name: a[f.name] + b[f.name] for f in fields(Usage) if f.name != "cost"}
    known = [each["cost"] for each in (a, b) if each["cost"] is not None]
    return {**total, "cost": sum(known) if known else None}


@runtime_checkable
class HasUsage(Protocol):
    """A model or a judge behind an endpoint."""

    usage: Usage


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
