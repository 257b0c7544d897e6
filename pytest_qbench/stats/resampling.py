"""Resampling by group: permutation p-values and the bootstrap for intervals; seeded, vectorised, in bounded memory.

Items of one group (one photo, one KADID reference) tend to be easy or hard together, so whole groups are swapped and
drawn. With one item per group this is the ordinary, item-wise resampling.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

EXACT = 2**14  # sign patterns that are enumerated rather than drawn
FLIPS = 20_000  # drawn sign patterns: at p = 0.05 their noise is 0.0015
CELLS = 200_000  # numbers in a temporary array: 1.6 MB stay in the processor's cache


class Undefined(ValueError):
    """The statistic has no value on these data: too few items, a constant list, numbers that are not finite."""


def finite(values: ArrayLike, name: str) -> Floats:
    """Return `values` as a 1-D float array of at least one finite number; raises `Undefined` for any other input."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise Undefined(f"{name}: a list of at least one number is needed, not shape {array.shape}")
    if not np.isfinite(array).all():
        raise Undefined(f"{name}: {np.count_nonzero(~np.isfinite(array))} of {array.size} values are not finite")
    return array


def group_codes(groups: Sequence[Hashable], n: int) -> Ints:
    """Number the groups 0, 1, ... in order of appearance; shape (n,). Raises ValueError unless there are `n` labels."""
    if len(groups) != n:
        raise ValueError(f"{len(groups)} group labels for {n} items")
    seen: dict[Hashable, int] = {}
    return np.fromiter((seen.setdefault(group, len(seen)) for group in groups), dtype=np.int64, count=n)


def permutation_p_value(
    extreme: Callable[[Bools], Bools], n_groups: int, seed: int, *, draws: int = FLIPS, width: int | None = None
) -> float:
    """Return the fraction of the sign patterns of `n_groups` groups that are at least as extreme as the observed one.

    `extreme` maps patterns, shape (rows, n_groups), True where a group is swapped, to one boolean per row. It must
    return True for the pattern without swaps. Up to 2**14 patterns are enumerated. Beyond that, `draws` patterns are
    drawn and p = (1 + hits) / (1 + draws), which never exceeds its level (Phipson & Smyth 2010). `width` is the number
    of array cells that `extreme` needs per row (default: `n_groups`).
    """
    rows = max(1, CELLS // (width or n_groups))
    hits = 0
    if 2**n_groups <= EXACT:
        for first in range(0, 2**n_groups, rows):
            patterns = np.arange(first, min(first + rows, 2**n_groups))
            hits += int(extreme((patterns[:, None] >> np.arange(n_groups) & 1).astype(bool)).sum())
        return hits / (1 << n_groups)
    rng = np.random.default_rng(seed)
    for first in range(0, draws, rows):
        size = (min(rows, draws - first), -(-n_groups // 8))
        coins = np.unpackbits(rng.integers(0, 256, size, dtype=np.uint8), axis=1, count=n_groups)
        hits += int(extreme(coins.view(np.bool_)).sum())
    return (1 + hits) / (1 + draws)


def resamples(n_groups: int, seed: int, draws: int, width: int | None = None) -> Iterator[Floats]:
    """Yield how often each group is drawn in `draws` bootstrap samples, in chunks of shape (rows, n_groups).

    `width` is the number of array cells that the caller needs per row (default: `n_groups`); it bounds the chunk.
    """
    rng = np.random.default_rng(seed)
    rows = max(1, CELLS // (width or n_groups))
    for first in range(0, draws, rows):
        size = min(rows, draws - first)
        drawn = rng.integers(0, n_groups, (size, n_groups)) + n_groups * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * n_groups)
        yield counts.reshape(size, n_groups).astype(np.float64)


def bca_limits(samples: Floats, estimate: float, influence: Floats, alpha: float) -> tuple[float, float]:
    """Return the bias-corrected accelerated interval with `alpha` in each tail (Efron 1987).

    `samples` (draws,) are bootstrap values of `estimate`; `influence` (groups,) is each group's influence on it, up to
    a factor. It gives the acceleration sum(i**3) / (6 * sum(i**2)**1.5).
    """
    from scipy.special import ndtr, ndtri  # a run that only collects or measures needs none of SciPy

    spread = float((influence**2).sum()) ** 1.5
    acceleration = float((influence**3).sum()) / (6 * spread) if spread else 0.0
    slack = 1e-9 * float(np.ptp(samples))  # with ties many samples equal the estimate up to rounding
    below = (np.mean(samples < estimate - slack) + np.mean(samples <= estimate + slack)) / 2
    bias = ndtri(np.clip(below, 1 / samples.size, 1 - 1 / samples.size))
    z = bias + ndtri(np.array([alpha, 1 - alpha]))
    lower, upper = np.quantile(samples, ndtr(bias + z / (1 - acceleration * z)))
    return float(lower), float(upper)


def bootstrap_mean(values: ArrayLike, groups: Sequence[Hashable], alpha: float, seed: int = 0) -> tuple[float, float]:
    """Return the two-sided 1 - alpha interval of the mean of `values` (n,), in their units, by resampling groups.

    BCa (Efron 1987) at every n. The influence of a group on a mean, (its sum - its size * mean), is a closed form, so
    no cost grows with n**2. It draws 10,000 resamples, or 2,000 from 2,000 groups on. Constant values give (v, v).
    Raises `Undefined` for fewer than two groups or values that are not finite.
    """
    array = finite(values, "values")
    codes = group_codes(groups, array.size)
    sums, sizes = np.bincount(codes, weights=array), np.bincount(codes).astype(np.float64)
    if sums.size < 2:
        raise Undefined("a bootstrap needs at least two groups")
    if np.ptp(array) == 0:
        return float(array[0]), float(array[0])
    draws = 10_000 if sums.size < 2_000 else 2_000
    means = np.concatenate([(c @ sums) / (c @ sizes) for c in resamples(sums.size, seed, draws)])
    mean = float(array.mean())
    return bca_limits(means, mean, sums - sizes * mean, alpha / 2)
