"""Intervals for proportions and paired comparisons of right/wrong answers and of scores; pure functions.

Everywhere delta = candidate - baseline with more being better, `alpha` is the one-sided level, the interval of a
comparison leaves `alpha` in each tail, and `groups` labels the items that share a source.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, ndtri, stdtrit

from pytest_qbench.power import mcnemar_mde
from pytest_qbench.resampling import Floats, Ints, Undefined, bootstrap_mean, finite, group_codes, sign_flip_drop

__all__ = [
    "Paired",
    "Undefined",
    "bootstrap_mean",
    "holm",
    "mcnemar_drop",
    "paired_binary",
    "paired_mean",
    "sign_flip_drop",
    "spread",
    "tango",
    "wilson",
]

POWER = 0.8  # of the minimum detectable effect


@dataclass(frozen=True, slots=True)
class Paired:
    """A paired comparison on `n` items: candidate - baseline, more is better, in the units of the metric.

    `lower` and `upper` bound the 1 - 2 * alpha interval, `p_value` is one-sided (small: the candidate is worse), `mde`
    is the smallest drop (positive) that this comparison would show with 80 % power at its alpha; None: none at all.
    """

    delta: float
    lower: float
    upper: float
    p_value: float
    mde: float | None
    n: int


def wilson(successes: int, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Two-sided 1 - alpha score interval of the proportion `successes` / `n` (Wilson 1927), within [0, 1].

    Raises `Undefined` for n < 1, ValueError unless 0 <= successes <= n and 0 < alpha < 1.
    """
    if n < 1:
        raise Undefined("a proportion of no items")
    if not 0 <= successes <= n or not 0 < alpha < 1:
        raise ValueError(f"{successes} of {n} at alpha {alpha}")
    z2 = float(ndtri(1 - alpha / 2)) ** 2
    centre = (successes + z2 / 2) / (n + z2)
    half = math.sqrt(z2 * (successes * (n - successes) / n + z2 / 4)) / (n + z2)
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == n else centre + half)


def mcnemar_drop(lost: int, gained: int) -> float:
    """One-sided exact McNemar p-value of a drop: P(X >= lost), X ~ Bin(lost + gained, 1/2); 1 without discordance.

    `lost` items were right in the baseline only, `gained` in the candidate only. Source: McNemar 1947; as a regression
    test of models arXiv 2602.10144. Raises ValueError for negative counts.
    """
    if lost < 0 or gained < 0:
        raise ValueError(f"negative counts: lost {lost}, gained {gained}")
    return float(betainc(lost, gained + 1, 0.5)) if lost else 1.0


def tango(lost: float, gained: float, n: float, alpha: float) -> tuple[float, float]:
    """Score interval of (gained - lost) / n with `alpha` in each tail (Tango 1998, Stat. Med. 17:891), within [-1, 1].

    The bounds are the differences d at which (gained - lost - n d) / sqrt(n (2 q + d (1 - d))) = -+z, where q is the
    maximum likelihood estimate of the share lost given d; solved by bisection. Never empty: with no discordance it is
    -+ z^2 / (n + z^2). Counts may be fractions (effective counts). Raises `Undefined` for n <= 0, ValueError for
    impossible counts or an alpha outside (0, 0.5).
    """
    if n <= 0:
        raise Undefined("a difference of proportions of no items")
    if lost < 0 or gained < 0 or lost + gained > n * (1 + 1e-12):
        raise ValueError(f"lost {lost}, gained {gained} of {n} items")
    z = _z(alpha)
    return -_tango_upper(gained, lost, n, z), _tango_upper(lost, gained, n, z)


def _tango_upper(lost: float, gained: float, n: float, z: float) -> float:
    """Largest difference d with gained - lost - n d + z sqrt(n (2 q + d (1 - d))) >= 0."""
    low, high = max(-1.0, (gained - lost) / n), 1.0
    while high - low > 1e-12:
        d = (low + high) / 2
        b = -lost - gained + (2 * n - gained + lost) * d
        q = (math.sqrt(b * b + 8 * n * lost * d * (1 - d)) - b) / (4 * n)
        inside = gained - lost - n * d + z * math.sqrt(max(0.0, n * (2 * q + d * (1 - d)))) >= 0
        low, high = (d, high) if inside else (low, d)
    return high


def paired_binary(
    candidate: ArrayLike, baseline: ArrayLike, groups: Sequence[Hashable], alpha: float, seed: int = 0
) -> Paired:
    """Compare right/wrong answers: the difference of two accuracies on the same `n` items, in [-1, 1].

    `candidate`, `baseline` (n,) are boolean, `groups` (n,) labels. The p-value is the exact sign-flip test by group,
    which is McNemar's exact test when every group has one item. The interval is Tango's; where groups repeat, of the
    effective counts lost, gained, n divided by the design effect (Kish 1965; Obuchowski 1998 for paired proportions).
    A bootstrap by group would return [0, 0] when nothing is discordant, and a design effect estimated from two or three
    discordant items is noise: so it is estimated with one more discordant item, of a group that moves as a whole, it
    is never below 1, and with G groups it is widened from the normal to the t distribution of G - 1 degrees. The MDE is
    that of McNemar's test on the effective number of items at the discordance seen. A single group of several items
    has the interval [-1, 1] and no MDE. Raises `Undefined` for no items, ValueError for lists of different lengths.
    """
    new, old = np.asarray(candidate, dtype=bool), np.asarray(baseline, dtype=bool)
    deltas = _deltas(new, old)
    lost, gained, n = int((deltas < 0).sum()), int((deltas > 0).sum()), deltas.size
    p_value = sign_flip_drop(deltas, groups, seed)
    effect = _design_effect(deltas, group_codes(groups, n), alpha)
    if math.isinf(effect):
        return Paired((gained - lost) / n, -1.0, 1.0, p_value, None, n)
    lower, upper = tango(lost / effect, gained / effect, n / effect, alpha)
    return Paired(
        delta=(gained - lost) / n,
        lower=lower,
        upper=upper,
        p_value=p_value,
        mde=mcnemar_mde((lost + gained) / n, int(n / effect), alpha, POWER),
        n=n,
    )


def _design_effect(deltas: Floats, codes: Ints, alpha: float) -> float:
    """How many times larger the variance of the mean of `deltas` is than for independent items; see `paired_binary`."""
    members = np.bincount(codes).astype(np.float64)
    if members.max() == 1:
        return 1.0
    if members.size == 1:
        return math.inf
    mean = deltas.mean()
    between = float(((np.bincount(codes, weights=deltas) - members * mean) ** 2).sum())
    within = float(((deltas - mean) ** 2).sum())
    whole_group = float((members**2).sum()) / deltas.size
    df = members.size - 1
    few_groups = (df + 1) / df * (float(stdtrit(df, 1 - alpha)) / _z(alpha)) ** 2
    return max(1.0, (between + whole_group) / (within + 1) * few_groups)


def paired_mean(
    candidate: ArrayLike, baseline: ArrayLike, groups: Sequence[Hashable], alpha: float, seed: int = 0
) -> Paired:
    """Compare scores (per-item means of judge scores, confidences): the difference of two means over the same items.

    `candidate`, `baseline` (n,) are finite, in any unit; `groups` (n,) labels. The p-value is the sign-flip test by
    group, exact under exchangeability. The interval is the hull of the BCa bootstrap by group (Efron 1987), which
    follows skew, and of `spread` around the mean, which holds where BCa undercuts: n = 20..60 with ties, or nothing
    changed. There a change is taken as sqrt(2) standard deviations of the scores, as if items were exchanged; only
    equal constants leave an interval of no width, and no MDE. A single group has the interval (-inf, inf) and no MDE.
    MDE = (t[1 - alpha] + t[0.8]) * standard error. Raises `Undefined` for no items or values that are not finite,
    ValueError for lists of different lengths.
    """
    new, old = finite(candidate, "candidate"), finite(baseline, "baseline")
    deltas = _deltas(new, old)
    codes = group_codes(groups, deltas.size)
    sums, members = np.bincount(codes, weights=deltas), np.bincount(codes).astype(np.float64)
    mean, p_value = float(deltas.mean()), sign_flip_drop(deltas, groups, seed)
    if sums.size == 1:
        return Paired(mean, -math.inf, math.inf, p_value, None, deltas.size)
    half, mde = spread(sums - members * mean, members, math.sqrt(2) * float(np.std([new, old])), alpha)
    lower, upper = bootstrap_mean(deltas, groups, 2 * alpha, seed)
    return Paired(mean, min(lower, mean - half), max(upper, mean + half), p_value, mde or None, deltas.size)


def spread(influence: Floats, members: Floats, change: float, alpha: float) -> tuple[float, float]:
    """Half width of the 1 - 2 alpha interval of a mean over n items, and the smallest drop seen with 80 % power.

    `influence` (G,) sums the items' deviations over each group, `members` (G,) are the group sizes, G >= 2. The
    standard error is sqrt(G / (G - 1) * sum(influence^2)) / n (Liang & Zeger 1986), with G - 1 degrees of freedom. The
    half width is at least s z^2 / (g + z^2), Tango's where no pair is discordant: s is the largest deviation of a
    group's mean and g = G, or where all groups agree s = `change`, that which an item could have shown, and g the
    effective number of groups n^2 / sum(members^2) (Kish 1965).
    """
    n, df, z2 = float(members.sum()), members.size - 1, _z(alpha) ** 2
    t = float(stdtrit(df, 1 - alpha))
    error = math.sqrt((df + 1) / df * float((influence**2).sum())) / n
    largest = float(np.abs(influence).max()) * members.size / n
    if largest > 1e-9 * change:
        floor = largest * z2 / (members.size + z2)
    else:
        floor = change * z2 / (n**2 / float((members**2).sum()) + z2)
    half = max(t * error, floor)
    return half, half * (1 + float(stdtrit(df, POWER)) / t)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment (Holm 1979): reject where the adjusted p-value is below the level of the family.

    Keeps the order and the length of `p_values` (each in [0, 1]); raises ValueError for others.
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError(f"not p-values: {[p for p in p_values if not 0 <= p <= 1]}")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _deltas(candidate: ArrayLike, baseline: ArrayLike) -> Floats:
    """Candidate - baseline as floats, (n,); raises `Undefined` for no items, ValueError for different shapes."""
    new, old = np.asarray(candidate, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if new.shape != old.shape or new.ndim != 1:
        raise ValueError(f"candidate {new.shape} and baseline {old.shape} are not lists of the same items")
    return finite(new - old, "deltas")


def _z(alpha: float) -> float:
    """Normal quantile that leaves `alpha` above it; raises ValueError unless 0 < alpha < 0.5."""
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha {alpha} is not in (0, 0.5)")
    return float(ndtri(1 - alpha))
