"""Adjusted p-values for several comparisons at once; pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down adjusted p-values (Holm 1979), in the order of `p_values`.

    A comparison is rejected where its adjusted p-value is below the level of the family. Raises ValueError for p-values
    outside [0, 1].
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"not p-values: {[p for p in p_values if not 0 <= p <= 1]}")
    count, largest = len(p_values), 0.0
    adjusted: dict[int, float] = {}
    for rank, index in enumerate(sorted(range(count), key=p_values.__getitem__)):
        adjusted[index] = largest = max(largest, min(1.0, (count - rank) * p_values[index]))
    return [adjusted[index] for index in range(count)]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return adjusted p-values for the false discovery rate (Benjamini & Hochberg 1995), in the order of `p_values`.

    Rejecting those below a level keeps the expected share of false rejections below it, for independent tests and for
    positively dependent ones (Benjamini & Yekutieli 2001). Raises ValueError for p-values outside [0, 1].
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"not p-values: {[p for p in p_values if not 0 <= p <= 1]}")
    count, smallest = len(p_values), math.inf
    adjusted: dict[int, float] = {}
    for rank, index in reversed(list(enumerate(sorted(range(count), key=p_values.__getitem__), 1))):
        adjusted[index] = smallest = min(smallest, p_values[index] * count / rank)
    return [adjusted[index] for index in range(count)]
