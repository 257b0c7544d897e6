"""Test whether a mean change lies below a margin: an equivalence test by its interval, for items that share photos.

The mean is *below* the margin if the upper bound of its interval is (one side of the two one-sided tests of Schuirmann
1987; a distance has no other side), and *above* it if the lower bound is. In any other case the data cannot tell.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pytest_qbench.stats.intervals import clustered_half_width, skewed_quantiles
from pytest_qbench.stats.paired import by_group
from pytest_qbench.stats.paired_binary import paired_binary
from pytest_qbench.stats.resampling import finite

FEWEST_GROUPS = 4  # with fewer photos, no interval at 0.05 has bounds


@dataclass(frozen=True, slots=True)
class Bounds:
    """A mean of `n` values with a lower and an upper confidence bound."""

    mean: float
    lower: float
    upper: float
    n: int


def mean_bounds(values: ArrayLike, groups: Sequence[Hashable], alpha: float) -> Bounds:
    """Return the mean of `values` (n,) with `alpha` in each tail, by `groups` (n,), in the units of the values.

    The bounds are those of the clustered t interval (Liang & Zeger 1986), widened by its skewness (Hall 1992) and for a
    single group that differs (`clustered_half_width`). Distances are skewed to the right, so a plain t interval would
    end too early. With fewer than four groups the bounds are infinite. Raises `Undefined` for no or infinite values.
    """
    array = finite(values, "values")
    sums, members = by_group(array, groups)
    mean = float(array.mean())
    if sums.size < FEWEST_GROUPS:
        return Bounds(mean, -math.inf, math.inf, array.size)
    influence = sums - members * mean
    half, error = clustered_half_width(influence, members, 0.0, alpha)
    down, up = skewed_quantiles(influence, alpha)
    return Bounds(mean, mean - max(half, down * error), mean + max(half, up * error), array.size)


def rate_bounds(hits: ArrayLike, groups: Sequence[Hashable], alpha: float) -> Bounds:
    """Return the fraction of `hits` (n,) with `alpha` in each tail, by `groups` (n,), in [0, 1].

    It is the loss of `paired_binary` against a list without hits: Tango's score interval at the effective number of
    items. Without any hit, the upper bound is the fraction of which so many items would have shown one. With fewer than
    four groups the bounds are 0 and 1. Raises `Undefined` for no values.
    """
    array = finite(hits, "hits")
    if len(set(groups)) < FEWEST_GROUPS:
        return Bounds(float(array.mean()), 0.0, 1.0, array.size)
    found = paired_binary(array == 0, np.ones(array.size, dtype=bool), groups, alpha)
    return Bounds(-found.delta, max(0.0, -found.upper), min(1.0, -found.lower), array.size)
