"""Paired comparison of two models on the same items: its result, the comparison of means, and means of comparisons.

In this module delta = candidate - baseline, and more is better. `alpha` is the one-sided level; the interval of a
comparison leaves `alpha` in each tail. `groups` labels the items that share a source.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from pytest_qbench.stats.design_effect import design_effect, mean_possible_loss, unseen_fraction, unseen_items
from pytest_qbench.stats.intervals import POWER, clustered_half_width, mean_interval, normal_quantile, skewed_quantiles
from pytest_qbench.stats.permuted_passes import permuted_p_value
from pytest_qbench.stats.power import items_to_pass, mcnemar_mde
from pytest_qbench.stats.resampling import Floats, finite, group_codes
from pytest_qbench.stats.sign_flips import flip_bound, flip_p_value


@dataclass(frozen=True, slots=True)
class Paired:
    """A paired comparison on `n` items: candidate - baseline, more is better, in the units of the metric.

    `lower` and `upper` bound the 1 - 2 * alpha interval. `p_value` is the one-sided p-value of a drop and `p_gain` that
    of a gain. `error` is the standard error of `delta`, with `df` degrees of freedom. `discordance` is the fraction of
    right/wrong answers that differ, None for other metrics. `effect` is the design effect: n / `effect` is the
    effective number of items. `possible_loss` is how much a changed item can lose (`mean_possible_loss`), 0 where it is
    unknown. `test` names the test behind the p-values. `sums` are the groups' changes for a sign-flip test, None for
    another test. `passes` are the groups' totals of all passes with the number of the candidate's, for items that were
    asked several times.
    """

    delta: float
    lower: float
    upper: float
    p_value: float
    p_gain: float
    error: float
    n: int
    df: float = math.inf
    discordance: float | None = None
    effect: float = 1.0
    possible_loss: float = 0.0
    test: str = ""
    sums: Floats | None = field(default=None, repr=False, compare=False)
    passes: tuple[Floats, int] | None = field(default=None, repr=False, compare=False)

    @property
    def two_sided_p(self) -> float:
        """The two-sided p-value of no change."""
        return min(1.0, 2 * min(self.p_value, self.p_gain))

    def alarm_chance(self, margin: float) -> float:
        """Return the probability that an unchanged model shows a drop beyond `margin`, given the sizes of the changes.

        It comes from random sign flips or permuted passes; for another test from the t distribution at the standard
        error.
        """
        if self.passes is not None:
            totals, drawn = self.passes
            others = totals.shape[1] - drawn
            total = (float(totals.sum()) / others - margin * self.n) / (1 / drawn + 1 / others)
            return permuted_p_value(totals, drawn, total)
        if self.sums is not None:
            return flip_p_value(self.sums, -margin * self.n)
        if not self.error > 0:
            return 0.0
        return float(
            ndtr(-margin / self.error) if math.isinf(self.df) else stdtr(max(self.df, 1), -margin / self.error)
        )

    def detectable_drop(self, level: float, margin: float, power: float = POWER) -> float | None:
        """Return the smallest drop (positive) that such a comparison finds with probability `power`, or None.

        A drop is found if p < `level` and the observed drop exceeds `margin`. Exact for right/wrong answers, from the t
        distribution for other metrics. None where not even the loss of everything is found, or nothing varies.
        """
        if self.discordance is not None:
            return mcnemar_mde(self.discordance, max(1, int(self.n / self.effect)), level, power, margin)
        if not (self.error > 0 and math.isfinite(self.error)):
            return None
        reach = _quantile(self.df, power) * self.error
        return max(margin, _quantile(self.df, 1 - level) * self.error) + reach

    def items_to_pass(self, alpha: float, margin: float, power: float = POWER) -> int | None:
        """Return the number of such items with which an unchanged model passes with probability `power`, or None.

        None means that the number is unknown.
        """
        if margin <= 0 or not math.isfinite(self.error):
            return None
        if self.discordance is not None:
            return math.ceil(items_to_pass(margin, self.discordance, alpha, power) * self.effect)
        width = (_quantile(self.df, 1 - alpha) + _quantile(self.df, power)) * self.error
        quiet = math.ceil(unseen_items(alpha, margin / self.possible_loss) * self.effect) if self.possible_loss else 0
        return max(quiet, math.ceil(self.n * (width / margin) ** 2)) or None


def paired_mean(
    candidate: ArrayLike,
    baseline: ArrayLike,
    groups: Sequence[Hashable],
    alpha: float,
    least: float,
    greatest: float,
    whole_groups_break: bool = True,
) -> Paired:
    """Compare scores (per-item means of judge scores, confidences) by the difference of two means over the same items.

    `candidate`, `baseline` (n,) are finite, on a scale from `least` to `greatest`; `groups` (n,) are labels. The
    p-value is the sign-flip test by group (`sign_flips.flip_p_value`), valid under exchangeability. The interval
    inverts this test, which assumes symmetric changes and cannot allow for rare large ones. So where the test does not
    exclude 0, the interval also reaches as far as `clustered_half_width` and `skewed_quantiles`. It allows for the
    change that so many items can fail to show: the fraction `unseen_fraction`, at the effective number of items, loses
    its whole `mean_possible_loss`. Scores that hardly change therefore exclude no more than their number allows. With
    `whole_groups_break`, a rare loss hits all items of a group, so that the number of groups counts. With
    fewer than four groups the interval is (-inf, inf). Raises `Undefined` for no items or values that are not finite,
    ValueError for lists of different lengths.
    """
    new, old = finite(candidate, "candidate"), finite(baseline, "baseline")
    deltas = paired_deltas(new, old)
    sums, members = by_group(deltas, groups)
    mean, n, test = float(deltas.mean()), deltas.size, "sign flips by group"
    if sums.size == 1:
        return Paired(mean, -math.inf, math.inf, *_p_values(sums), math.inf, n, 0, test=test, sums=sums)
    influence = sums - members * mean
    half, error = clustered_half_width(influence, members, 0.0, alpha)
    lower, upper = -flip_bound(-sums, members, alpha), flip_bound(sums, members, alpha)
    down, up = skewed_quantiles(influence, alpha)
    effect, _ = design_effect(sums, members, deltas)
    if whole_groups_break:
        effect = max(effect, float((members**2).sum()) / n)
    missed = unseen_fraction(alpha, n / effect)
    to_lose, to_gain = mean_possible_loss(old - least), mean_possible_loss(greatest - old)
    found = Paired(
        mean, min(lower, mean - max(half, down * error, missed * to_lose)),
        max(upper, mean + max(half, up * error, missed * to_gain)),
        *_p_values(sums), error, n, sums.size - 1, effect=effect, possible_loss=to_lose, test=test,
        sums=sums,
    )  # fmt: skip
    return align_interval(found, alpha)


def align_interval(found: Paired, alpha: float) -> Paired:
    """Return the comparison with an interval that excludes 0 exactly where its test rejects at `alpha`.

    Where interval and test disagree, the bound becomes the test-based one, delta (1 - z[alpha] / z[p]) (Miettinen
    1976).
    """
    lower, upper = found.lower, found.upper
    if found.p_value < alpha:
        upper = min(upper, _test_based(found.delta, found.p_value, alpha)) if upper >= 0 else upper
    else:
        upper = max(upper, 0.0)
    if found.p_gain < alpha:
        lower = max(lower, _test_based(found.delta, found.p_gain, alpha)) if lower <= 0 else lower
    else:
        lower = min(lower, 0.0)
    return replace(found, lower=lower, upper=upper)


def mean_of_comparisons(parts: Sequence[Paired], alpha: float) -> Paired:
    """Return the mean of paired comparisons of disjoint items, tested by the mean over its standard error.

    The variances add; their degrees of freedom follow Welch (1947) and Satterthwaite (1946). The bounds of the parts
    give those of the mean (Zou 2007).
    """
    deltas, count = [p.delta for p in parts], len(parts)
    delta, n = sum(deltas) / count, sum(p.n for p in parts)
    lower, upper = mean_interval(deltas, [(p.lower, p.upper) for p in parts])
    squares = [p.error**2 for p in parts]
    total = sum(squares)
    error, test = math.sqrt(total) / count, "z of the mean over its standard error"
    if not math.isfinite(total) or total == 0:
        p_value = 1.0 if delta >= 0 or not math.isfinite(total) else 0.0
        p_gain = 1.0 if delta <= 0 or not math.isfinite(total) else 0.0
        return Paired(delta, lower, upper, p_value, p_gain, error, n, 0, test=test)
    inverse = sum(s**2 / max(p.df, 1) for s, p in zip(squares, parts, strict=True)) / total**2
    df = 1 / inverse if inverse > 0 else math.inf
    p_value = float(ndtr(delta / error) if math.isinf(df) else stdtr(df, delta / error))
    found = Paired(delta, lower, upper, p_value, 1 - p_value, error, n, df, test=test)
    return align_interval(found, alpha)


def paired_deltas(candidate: ArrayLike, baseline: ArrayLike) -> Floats:
    """Return candidate - baseline as floats, (n,); raises `Undefined` for no items, ValueError for different shapes."""
    new, old = np.asarray(candidate, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if new.shape != old.shape or new.ndim != 1:
        raise ValueError(f"candidate {new.shape} and baseline {old.shape} are not lists of the same items")
    return finite(new - old, "deltas")


def by_group(deltas: Floats, groups: Sequence[Hashable]) -> tuple[Floats, Floats]:
    """Return the sum of the changes and the number of items of each group, (G,) each."""
    codes = group_codes(groups, deltas.size)
    sums: Floats = np.bincount(codes, weights=deltas).astype(np.float64)
    return sums, np.bincount(codes).astype(np.float64)


def _p_values(sums: Floats) -> tuple[float, float]:
    """Return the one-sided p-values of a drop and of a gain; 1 where no group changed."""
    if not sums.any():
        return 1.0, 1.0
    p_value = flip_p_value(sums)
    return p_value, 1 - p_value


def _test_based(delta: float, p_value: float, alpha: float) -> float:
    return delta * (1 - normal_quantile(alpha) / -float(ndtri(max(p_value, 1e-300))))


def _quantile(df: float, probability: float) -> float:
    return float(ndtri(probability)) if math.isinf(df) else float(stdtrit(max(df, 1), probability))
