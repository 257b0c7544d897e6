"""Put the items of a task into a seeded random order, so that any first part of them is a random sample."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pytest_qbench.items import Item


def random_order(items: Sequence[Item], seed: int) -> list[Item]:
    """Return the items with their groups in random order; the items of a group stay together, in their order.

    The place of a group depends on the seed and its name alone.
    """
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    return [item for group in sorted(groups, key=lambda name: _draw(seed, name)) for item in groups[group]]


def _draw(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"order {seed}\n{name}".encode("utf-8", "surrogatepass")).digest()
