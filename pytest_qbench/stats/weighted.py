"""Means and paired comparisons of a sample whose items were drawn with unequal probabilities.

Each item counts with the inverse of its probability (Horvitz & Thompson 1952), divided by the sum of these weights
(Hajek 1971). So the estimates are those of all items, whatever the probabilities are. The weights of the items that
were drawn scale to a mean of 1 here.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from pytest_qbench.stats.design_effect import design_effect, mean_possible_loss, unseen_fraction
from pytest_qbench.stats.intervals import clustered_half_width, skewed_quantiles
from pytest_qbench.stats.paired import Paired, align_interval, by_group, paired_deltas
from pytest_qbench.stats.resampling import Floats, finite
from pytest_qbench.stats.sign_flips import flip_bound, flip_p_value

TEST = "sign flips of weighted changes by group"


def weighted_mean(
    values: ArrayLike, weights: ArrayLike, groups: Sequence[Hashable], alpha: float, least: float, greatest: float
) -> tuple[float, tuple[float, float] | None]:
    """Return the weighted mean and its two-sided 1 - alpha interval, within `least` and `greatest`.

    The variance is that of the weighted deviations by group. It holds the variance of the sampling and that of the
    items, without a correction for a finite number of items. There is no interval for a single group.
    """
    array = finite(values, "values")
    scaled = _scaled(weights, array.size)
    mean = float((scaled * array).mean())
    influence, members = by_group(scaled * (array - mean), groups)
    if members.size == 1:
        return mean, None
    half, _ = clustered_half_width(influence, members, greatest - least, alpha / 2)
    return mean, (max(least, mean - half), min(greatest, mean + half))


def paired_weighted(
    candidate: ArrayLike, baseline: ArrayLike, weights: ArrayLike, groups: Sequence[Hashable], alpha: float,
    least: float, greatest: float,
) -> Paired:  # fmt: skip
    """Compare two models on items that were drawn with unequal probabilities; `weights` (n,) are their inverses.

    If nothing changed, each weighted change has the mean 0, also where the probabilities depend on the baseline. The
    p-value flips the signs of the groups' weighted changes. The interval is that of `paired.paired_mean`, of weighted
    deviations. It allows for a change of items that the sample can fail to show: as many as with the smallest
    probability for all, n / max(weights) items of the mean weight 1. Raises as `paired_mean` does.
    """
    new, old = finite(candidate, "candidate"), finite(baseline, "baseline")
    deltas = paired_deltas(new, old)
    n = deltas.size
    scaled = _scaled(weights, n)
    changes: Floats = scaled * deltas
    mean = float(changes.mean())
    sums, members = by_group(changes, groups)
    if sums.size == 1:
        return Paired(mean, -math.inf, math.inf, 1.0, 1.0, math.inf, n, 0, test=TEST, sums=sums)
    totals, _ = by_group(scaled, groups)
    influence = sums - totals * mean
    half, error = clustered_half_width(influence, members, 0.0, alpha)
    down, up = skewed_quantiles(influence, alpha)
    effect, _ = design_effect(sums, members, changes)
    missed = unseen_fraction(alpha, n / float(scaled.max()) / effect)
    to_lose, to_gain = mean_possible_loss(old - least), mean_possible_loss(greatest - old)
    p_value = flip_p_value(sums) if sums.any() else 1.0
    found = Paired(
        mean,
        min(-flip_bound(-sums, totals, alpha), mean - max(half, down * error, missed * to_lose)),
        max(flip_bound(sums, totals, alpha), mean + max(half, up * error, missed * to_gain)),
        p_value, 1 - p_value if sums.any() else 1.0, error, n, sums.size - 1, effect=effect, possible_loss=to_lose,
        test=TEST, sums=sums,
    )  # fmt: skip
    return align_interval(found, alpha)


def _scaled(weights: ArrayLike, count: int) -> Floats:
    """Return the weights with a mean of 1. Raises `ValueError` if one is missing or not positive."""
    found = np.asarray(weights, dtype=np.float64)
    if found.shape != (count,) or not (np.isfinite(found).all() and (found > 0).all()):
        raise ValueError(f"{found.shape} weights of {count} items, or a weight that is not positive")
    return np.asarray(found * (count / found.sum()), dtype=np.float64)
