"""Draw a sample in which uncertain items are likelier, each with a probability that its record keeps."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from pytest_qbench.items import Dataset, Item

EVEN = 0.5
"""Part of a sample that all items share evenly. So no probability is below half of that of an even sample."""
_LEAST = 1e-6
"""Added to each size: items without any uncertainty share what the others leave."""


def inclusion_probabilities(sizes: Sequence[float], limit: int) -> list[float]:
    """Return the probability of each item; their sum is `limit`.

    Half of it is shared evenly, half in proportion to the sizes. An item whose probability would exceed 1 is drawn with
    certainty, and the others share the rest.
    """
    if limit >= len(sizes):
        return [1.0] * len(sizes)
    even = EVEN * limit / len(sizes)
    sizes = [size + _LEAST for size in sizes]
    certain: set[int] = set()
    while True:
        rest = [i for i in range(len(sizes)) if i not in certain]
        factor = (limit - len(certain) - even * len(rest)) / math.fsum(sizes[i] for i in rest)
        above = {i for i in rest if even + factor * sizes[i] >= 1}
        if not above:
            return [1.0 if i in certain else even + factor * size for i, size in enumerate(sizes)]
        certain |= above


def draw(dataset: Dataset, sizes: Mapping[str, float], limit: int, seed: int) -> Dataset:
    """Return the dataset with `limit` of its items, in their order, each with its probability.

    The sample is systematic in an order drawn by the seed (Madow 1949): the probabilities are exact and so is the
    number. `sizes` are the items' measures of uncertainty by id.
    """
    items = sorted(dataset.items, key=lambda item: _hash(seed, item.id))
    probabilities = inclusion_probabilities([sizes[item.id] for item in items], limit)
    start = int.from_bytes(_hash(seed, f"\n{dataset.name}\n{dataset.split}")[:6], "big") / 2**48
    chosen: dict[str, Item] = {}
    before = 0.0
    totals = [*accumulate(probabilities)]
    totals[-1] = round(totals[-1])  # the sum is a whole number up to rounding
    for item, probability, total in zip(items, probabilities, totals, strict=True):
        if math.floor(total + start) > math.floor(before + start):
            chosen[item.id] = replace(item, probability=probability)
        before = total
    return replace(dataset, items=tuple(chosen[item.id] for item in dataset.items if item.id in chosen))


def _hash(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\nby size\n{name}".encode()).digest()
