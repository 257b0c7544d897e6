"""Intervals of proportions and of means over groups; pure functions.

`alpha` is the error probability in each tail, unless a docstring names a two-sided 1 - alpha interval.

`scipy.special` is imported where it is used: a run that only collects or measures needs none of it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_qbench.stats.resampling import Floats, Undefined, finite, group_codes

POWER = 0.8  # power at which the minimum detectable effect (MDE) is stated


def wilson(successes: float, n: float, alpha: float = 0.05) -> tuple[float, float]:
    """Return the two-sided 1 - alpha score interval of `successes` / `n` (Wilson 1927), within [0, 1].

    Counts may be fractions (effective counts). Raises `Undefined` for n <= 0, ValueError unless 0 <= successes <= n and
    0 < alpha < 1.
    """
    from scipy.special import ndtri

    if n <= 0:
        raise Undefined("a proportion of no items")
    if not 0 <= successes <= n or not 0 < alpha < 1:
        raise ValueError(f"{successes} of {n} at alpha {alpha}")
    z2 = float(ndtri(1 - alpha / 2)) ** 2
    centre = (successes + z2 / 2) / (n + z2)
    half = math.sqrt(z2 * (successes * (n - successes) / n + z2 / 4)) / (n + z2)
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == n else centre + half)


def wilson_by_group(values: ArrayLike, groups: Sequence[Hashable], alpha: float = 0.05) -> tuple[float, float]:
    """Return the two-sided 1 - alpha interval of the mean of `values` (n,), each 0 or 1, for grouped items.

    It is Wilson's interval at the effective number of items n / D. The design effect D is the variance of the mean by
    group (Liang & Zeger 1986) over that of independent items, at least 1 (Korn & Graubard 1998). Where all values or
    all groups agree, D cannot be estimated; it is then the mean size of an item's group. Raises `Undefined` for no
    values.
    """
    array = finite(values, "values")
    codes = group_codes(groups, array.size)
    sums, members = np.bincount(codes, weights=array), np.bincount(codes)
    n, mean, count = array.size, float(array.mean()), members.size
    effect = float((members**2).sum()) / n
    square = float(((sums - members * mean) ** 2).sum())
    if 1 < count < n and square > 0:
        effect = max(1.0, count / (count - 1) * square / (n * mean * (1 - mean)))
    return wilson(mean * n / effect, n / effect, alpha)


def tango(lost: float, gained: float, n: float, alpha: float) -> tuple[float, float]:
    """Return the score interval of (gained - lost) / n with `alpha` in each tail, within [-1, 1].

    Tango (1998, Stat. Med. 17:891). The bounds are the differences d with (gained - lost - n d) / sqrt(n (2 q + d (1 -
    d))) = -+z, found by bisection. q is the maximum likelihood estimate of the fraction lost given d. The interval is
    never empty: without discordance it is -+ z^2 / (n + z^2). Counts may be fractions (effective counts). Raises
    `Undefined` for n <= 0, ValueError for impossible counts or an alpha outside (0, 0.5).
    """
    if n <= 0:
        raise Undefined("a difference of proportions of no items")
    if lost < 0 or gained < 0 or lost + gained > n * (1 + 1e-12):
        raise ValueError(f"lost {lost}, gained {gained} of {n} items")
    z = normal_quantile(alpha)
    return -_tango_upper(gained, lost, n, z), _tango_upper(lost, gained, n, z)


def _tango_upper(lost: float, gained: float, n: float, z: float) -> float:
    """Return the largest difference d that the score test does not reject from below."""
    low, high = max(-1.0, (gained - lost) / n), 1.0
    while high - low > 1e-12:
        d = (low + high) / 2
        low, high = (low, d) if bool(tango_excludes(gained, lost, n, -d, z)) else (d, high)
    return high


def tango_excludes(lost: ArrayLike, gained: ArrayLike, n: float, difference: float, z: float) -> NDArray[np.bool_]:
    """Whether Tango's lower bound lies above `difference`, a value below (gained - lost) / n; elementwise."""
    fewer, more, d = np.asarray(gained, dtype=np.float64), np.asarray(lost, dtype=np.float64), -difference
    b = -fewer - more + (2 * n - more + fewer) * d
    q = (np.sqrt(b * b + 8 * n * fewer * d * (1 - d)) - b) / (4 * n)
    excluded: NDArray[np.bool_] = more - fewer - n * d + z * np.sqrt(np.maximum(0.0, n * (2 * q + d * (1 - d)))) < 0
    return excluded


def clustered_half_width(influence: Floats, members: Floats, change: float, alpha: float) -> tuple[float, float]:
    """Return the half width of the 1 - 2 alpha interval of a mean over n items, and its standard error.

    `influence` (G,) sums the items' deviations over each group, `members` (G,) are the group sizes, G >= 2. The
    standard error is sqrt(G / (G - 1) * sum(influence^2)) / n (Liang & Zeger 1986), with G - 1 degrees of freedom. The
    half width is at least s z^2 / (g + z^2), as Tango's without discordant pairs. Here s is the largest deviation of a
    group's mean and g = G. Where all groups agree, s = `change`, the change that an item could have shown, and g is the
    effective number of groups n^2 / sum(members^2) (Kish 1965).
    """
    from scipy.special import stdtrit

    n, df, z2 = float(members.sum()), members.size - 1, normal_quantile(alpha) ** 2
    error = math.sqrt((df + 1) / df * float((influence**2).sum())) / n
    largest = float(np.abs(influence).max()) * members.size / n
    if largest > 1e-9 * change:
        floor = largest * z2 / (members.size + z2)
    else:
        floor = change * z2 / (n**2 / float((members**2).sum()) + z2)
    return max(float(stdtrit(df, 1 - alpha)) * error, floor), error


def skewed_quantiles(influence: Floats, alpha: float) -> tuple[float, float]:
    """Return by how many standard errors the bounds of a mean lie below and above it.

    Both allow for the skewness of `influence` (G,): they invert Hall's (1992) monotone transformation of the t
    statistic at normal quantiles.
    """
    square = float((influence**2).mean())
    z = normal_quantile(alpha)
    if square == 0:
        return z, z
    skew = float((influence**3).mean()) / square**1.5 / math.sqrt(influence.size)
    if abs(skew) < 1e-6:
        return z, z
    lower, upper = (3 / skew * (math.cbrt(1 + skew * (quantile - skew / 6)) - 1) for quantile in (z, -z))
    return lower, -upper


def mean_interval(values: Sequence[float], bounds: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the interval of the mean of independent estimates from the interval of each (Zou 2007, for a sum)."""
    down = sum((value - lower) ** 2 for value, (lower, _) in zip(values, bounds, strict=True))
    up = sum((upper - value) ** 2 for value, (_, upper) in zip(values, bounds, strict=True))
    centre = sum(values) / len(values)
    return centre - math.sqrt(down) / len(values), centre + math.sqrt(up) / len(values)


def normal_quantile(alpha: float) -> float:
    """Return the normal quantile with probability `alpha` above it; raises ValueError unless 0 < alpha < 0.5."""
    from scipy.special import ndtri

    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha {alpha} is not in (0, 0.5)")
    return float(ndtri(1 - alpha))
