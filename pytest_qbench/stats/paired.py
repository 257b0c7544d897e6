"""Paired comparison of two models on the same items: right/wrong answers or scores; pure functions.

Everywhere delta = candidate - baseline with more being better, `alpha` is the one-sided level, the interval of a
comparison leaves `alpha` in each tail, and `groups` labels the items that share a source.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, stdtrit

from pytest_qbench.stats.intervals import POWER, normal_quantile, spread, tango
from pytest_qbench.stats.power import mcnemar_mde
from pytest_qbench.stats.resampling import (
    Floats,
    Ints,
    bootstrap_mean,
    finite,
    group_codes,
    sign_flip_drop,
)


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


def mcnemar_drop(lost: int, gained: int) -> float:
    """One-sided exact McNemar p-value of a drop: P(X >= lost), X ~ Bin(lost + gained, 1/2); 1 without discordance.

    `lost` items were right in the baseline only, `gained` in the candidate only. Source: McNemar 1947; as a regression
    test of models arXiv 2602.10144. Raises ValueError for negative counts.
    """
    if lost < 0 or gained < 0:
        raise ValueError(f"negative counts: lost {lost}, gained {gained}")
    return float(betainc(lost, gained + 1, 0.5)) if lost else 1.0


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
    few_groups = (df + 1) / df * (float(stdtrit(df, 1 - alpha)) / normal_quantile(alpha)) ** 2
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


def _deltas(candidate: ArrayLike, baseline: ArrayLike) -> Floats:
    """Candidate - baseline as floats, (n,); raises `Undefined` for no items, ValueError for different shapes."""
    new, old = np.asarray(candidate, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if new.shape != old.shape or new.ndim != 1:
        raise ValueError(f"candidate {new.shape} and baseline {old.shape} are not lists of the same items")
    return finite(new - old, "deltas")
