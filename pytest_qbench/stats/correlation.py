"""Correlation of predicted scores with human ratings (MOS), and its interval.

SRCC is Spearman's rank correlation with mid-ranks for ties, PLCC is Pearson's; both are signed.

`scipy.special` is imported where it is used: a run that only collects or measures needs none of it.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from pytest_qbench.stats.influence import Levels, level_codes, linear_influence, rank_influence
from pytest_qbench.stats.resampling import Floats, Ints, Undefined, finite, group_codes

Kind = Literal["srcc", "plcc"]


def srcc(x: ArrayLike, y: ArrayLike) -> float:
    """Return Spearman's rank correlation of two lists (n,) in [-1, 1]; ties have mid-ranks.

    Raises `Undefined` for n < 3, a constant list or values that are not finite, ValueError for different lengths.
    """
    first, second = same_items(x, y)
    return _pearson(_ranks(level_codes(first)), _ranks(level_codes(second)))


def plcc(x: ArrayLike, y: ArrayLike) -> float:
    """Return Pearson's linear correlation of two lists (n,), in [-1, 1]; errors as for `srcc`."""
    return _pearson(*same_items(x, y))


def correlation_interval(r: float, n: int, alpha: float = 0.05, kind: Kind = "srcc") -> tuple[float, float]:
    """Return the two-sided 1 - alpha interval of a correlation `r` of `n` items, within [-1, 1].

    It is tanh(atanh(r) -+ z * se). For PLCC se = 1 / sqrt(n - 3) (Fisher 1921), for SRCC se = sqrt((1 + r^2 / 2) / (n -
    3)) (Bonett & Wright 2000). Fisher's z is infinite at |r| = 1, so there r is replaced by a value half the smallest
    step of a rank correlation inwards, 6 / (n^3 - n). Raises `Undefined` for n < 4 or an r that is not a number,
    ValueError for |r| > 1 or an alpha outside (0, 1).
    """
    from scipy.special import ndtri

    if n < 4 or math.isnan(r):
        raise Undefined(f"an interval of the correlation {r} of {n} items")
    if not -1 <= r <= 1 or not 0 < alpha < 1:
        raise ValueError(f"correlation {r} at alpha {alpha}")
    centre = math.atanh(inside_unit(r, n))
    reach = float(ndtri(1 - alpha / 2)) * math.sqrt((1 + r * r / 2 if kind == "srcc" else 1) / (n - 3))
    return min(r, math.tanh(centre - reach)), max(r, math.tanh(centre + reach))


def grouped_interval(
    scores: ArrayLike, mos: ArrayLike, groups: Sequence[Hashable], alpha: float, kind: Kind
) -> tuple[float, float]:
    """Return the two-sided 1 - alpha interval of the correlation of `scores` (n,) with `mos` (n,) for grouped items.

    The standard error of Fisher's z comes from the groups' summed influences (Devlin, Gnanadesikan & Kettenring 1975).
    The quantile is that of t with G - 1 degrees of freedom for G groups. The interval is never narrower than
    `correlation_interval`. Raises `Undefined` for fewer than four groups and as `srcc` does.
    """
    from scipy.special import stdtrit

    x, y = same_items(scores, mos)
    codes = group_codes(groups, x.size)
    count = int(codes.max()) + 1
    if count < 4:
        raise Undefined(f"an interval of the correlation of items of {count} groups")
    r = srcc(x, y) if kind == "srcc" else plcc(x, y)
    lower, upper = correlation_interval(r, x.size, alpha, kind)
    if kind == "srcc":
        _, psi = rank_influence(level_codes(x)[None], level_codes(y))
    else:
        _, psi = linear_influence(scaled_to_unit(x)[None], scaled_to_unit(y))
    inner = inside_unit(r, x.size)
    by_group = np.bincount(codes, weights=psi[0]) / x.size / (1 - inner**2)
    error = math.sqrt(count / (count - 3) * float((by_group**2).sum()))
    reach = float(stdtrit(count - 1, 1 - alpha / 2)) * error
    return min(lower, math.tanh(math.atanh(inner) - reach)), max(upper, math.tanh(math.atanh(inner) + reach))


def mid_ranks(values: ArrayLike) -> Floats:
    """Return the ranks of values (n,), from 1 to n; equal values share the mean of their ranks."""
    _, codes, counts = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[codes]
    return ranks


def _ranks(codes: Ints) -> Floats:
    ranks: Floats = Levels(codes[None]).ranks()[0]
    return ranks


def _pearson(x: Floats, y: Floats) -> float:
    """Return Pearson's r; raises `Undefined` for a constant list."""
    for values in (x, y):
        if values.min() == values.max():
            raise Undefined("the correlation of a constant list")
    u, v = scaled_to_unit(x), scaled_to_unit(y)
    return float(np.clip((u @ v) / (np.linalg.norm(u) * np.linalg.norm(v)), -1, 1))


def scaled_to_unit(values: Floats) -> Floats:
    """Return `values` (n,) with mean 0 and largest magnitude 1, so that no square overflows or vanishes.

    Not all values may be equal.
    """
    unit: Floats = values / np.abs(values).max()
    unit -= unit.mean()
    unit /= np.abs(unit).max()
    return unit


def inside_unit(r: float, n: int) -> float:
    """Return `r` moved off -1 and 1, where Fisher's z is infinite, by half the smallest step of a rank correlation."""
    edge = 1 - 6 / (n**3 - n)
    return min(edge, max(-edge, r))


def same_items(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Return both lists as finite float arrays of one length n >= 3.

    Raises `Undefined` for shorter lists or values that are not finite, ValueError for different lengths.
    """
    first, second = finite(x, "scores"), finite(y, "scores")
    if first.shape != second.shape:
        raise ValueError(f"{first.size} scores for {second.size} items")
    if first.size < 3:
        raise Undefined(f"a correlation of {first.size} items")
    return first, second


def krcc(scores: ArrayLike, mos: ArrayLike) -> float:
    """Return Kendall's tau-b of two lists (n,), in [-1, 1], in O(n log n) (Knight 1966).

    Raises `Undefined` for fewer than two items, a constant list or values that are not finite. SciPy's `kendalltau`
    gives the same number. It is not used, because importing `scipy.stats` takes longer than a small run.
    """
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(mos, dtype=np.float64)
    check_pairs(x, y)
    first, second = level_codes(x), level_codes(y)
    tied_first, tied_second = _tied_pairs(first), _tied_pairs(second)
    tied_in_both = _tied_pairs(level_codes(first * (second.max() + 1) + second))
    pairs = x.size * (x.size - 1) // 2
    in_order = pairs - tied_first - tied_second + tied_in_both - 2 * _inversions(second[np.lexsort((second, first))])
    return float(np.clip(in_order / np.sqrt(pairs - tied_first) / np.sqrt(pairs - tied_second), -1.0, 1.0))


def _tied_pairs(codes: Ints) -> int:
    """Return the number of pairs of equal codes."""
    counts = np.bincount(codes)
    return int((counts * (counts - 1) // 2).sum())


def _inversions(codes: Ints) -> int:
    """Return the number of pairs of which the earlier code is greater.

    The codes are split by one binary digit after the other, from the highest. Two codes first differ in one digit. They
    are an inversion if the earlier one has a 1 there.
    """
    count = 0
    for digit in reversed(range(int(codes.max()).bit_length())):
        ones, groups = (codes >> digit) & 1, codes >> (digit + 1)
        ones_before = np.cumsum(ones) - ones
        ones_before -= ones_before[np.searchsorted(groups, groups)]
        count += int((ones_before * (1 - ones)).sum())
        codes = codes[np.argsort(codes >> digit, kind="stable")]
    return count


def check_pairs(x: Floats, y: Floats) -> None:
    """Raise `Undefined` for lists without a rank correlation: short, constant or not finite."""
    if x.size < 2:
        raise Undefined(f"a correlation of {x.size} items")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise Undefined("the correlation of values that are not finite")
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise Undefined("the correlation of a constant list")
