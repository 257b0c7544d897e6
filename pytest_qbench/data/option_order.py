"""Shuffle the options of questions, a control of the bias towards a position."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from pytest_qbench.items import Dataset, Item


def shuffle_options(datasets: Iterable[Dataset], seed: int) -> list[Dataset]:
    """Return the datasets with the options of each question in another order, and all else as before."""
    return [replace(each, items=tuple(shuffled(item, seed) for item in each.items)) for each in datasets]


def shuffled(item: Item, seed: int) -> Item:
    """Return a question with its options permuted, any other item unchanged.

    Each permutation is equally likely, also that which moves nothing. It depends on the seed and the item's id alone,
    so that workers, shards and samples agree. An answer is the text of an option, hence the right one stays right.
    """
    if not item.options:
        return item
    order = sorted(range(len(item.options)), key=lambda position: _draw(seed, item.id, position))
    return replace(item, options=tuple(item.options[position] for position in order))


def order_name(seed: int) -> str:
    """Return the words of a fingerprint for options that are shuffled with a seed."""
    return f"shuffled with seed {seed}"


def _draw(seed: int, item: str, position: int) -> bytes:
    return hashlib.sha256(f"{seed}\n{item}\n{position}".encode("utf-8", "surrogatepass")).digest()
