"""The usage of an endpoint in a whole run: the sum over its processes and, for merged runs, over the shards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pytest_qbench.untrusted.shape import Shape

USAGE: Shape = {
    **dict.fromkeys(("requests", "retries", "cache_hits", "prompt_tokens", "completion_tokens"), int),
    "cost": (float, None),
}


@dataclass(frozen=True, slots=True)
class EndpointUsage:
    """Numbers of requests (with retries), retries, cached replies and tokens. `cost` is in US dollars or unknown."""

    requests: int
    retries: int
    cache_hits: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None

    def __add__(self, other: EndpointUsage) -> EndpointUsage:
        """Return the sum of both. An unknown cost counts as 0 if the other cost is known."""
        costs = [each.cost for each in (self, other) if each.cost is not None]
        return EndpointUsage(
            self.requests + other.requests,
            self.retries + other.retries,
            self.cache_hits + other.cache_hits,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            sum(costs) if costs else None,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EndpointUsage:
        """Return the usage of an entry of the shape `USAGE`. Raises `TypeError` for unknown keys."""
        return cls(**data)


def total_usage(parts: list[Mapping[str, EndpointUsage]]) -> dict[str, EndpointUsage]:
    """Return the sum of several usages by role (model, judge)."""
    total: dict[str, EndpointUsage] = {}
    for part in parts:
        for role, usage in part.items():
            total[role] = total[role] + usage if role in total else usage
    return total
