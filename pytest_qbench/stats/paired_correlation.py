"""Paired comparison of two score lists by their correlation with the same human ratings (MOS)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from pytest_qbench.stats.correlation import Kind, inside_unit, same_items, scaled_to_unit
from pytest_qbench.stats.influence import (
    level_codes,
    linear_influence,
    rank_influence,
    sampled_correlation,
    weighted_ranks,
    weighted_values,
)
from pytest_qbench.stats.intervals import clustered_half_width
from pytest_qbench.stats.paired import Paired, align_interval
from pytest_qbench.stats.resampling import (
    Bools,
    Floats,
    Ints,
    Undefined,
    bca_limits,
    group_codes,
    permutation_p_value,
    resamples,
)

Method = Literal["auto", "fast", "bootstrap"]


# With fewer groups than this, permutation and bootstrap replace the closed form. Ranks need fewer: they are bounded.
FEW_GROUPS: dict[Kind, int] = {"srcc": 50, "plcc": 100}
FEW_ITEMS = 200  # largest number of items at which permutations are cheap
FEWEST_GROUPS = 10  # more items are permuted only up to this number of groups, where all patterns are counted
SWAPS = 5_000  # permutations, each of which ranks the lists again
RARE = 20  # with fewer extreme permutations than this, their number is too small for a p-value
CELLS = 4_000_000  # items ranked in all bootstrap samples together
ZERO = 1e-9  # correlations and influences are of order 1; below this they differ by rounding


def paired_correlation(
    candidate: ArrayLike,
    baseline: ArrayLike,
    mos: ArrayLike,
    groups: Sequence[Hashable],
    kind: Kind,
    alpha: float,
    seed: int = 0,
    method: Method = "auto",
    draws: int = 2_000,
) -> Paired:
    """Compare two score lists by their correlation with the same `mos`; all are (n,), finite, n >= 3.

    `groups` (n,) are labels. `fast`: each item's influence on the two correlations (the first-order effect of its
    weight; O(n log n)) gives their variances and covariance, without assuming normal scores, with ties and groups. The
    p-value is that of the difference of Fisher's z (Dunn & Clark 1969, Steiger 1980), with G - 1 degrees of freedom for
    G groups. The interval is Zou's (2007, Psychol. Methods 12:399), which builds the bounds of a difference from those
    of its terms. It needs four groups.

    `bootstrap`: the BCa interval of `draws` paired resamples by group, each ranked again. The p-value is the fraction
    of resamples without a drop. With few groups (SRCC below 50, PLCC below 100) it is a permutation test that swaps
    candidate and baseline by group and compares difference / standard error. That test is exact if the two are
    exchangeable. If only their correlations agree, say after a change of scale, it is right in large samples (Janssen
    1997).

    `auto` is `bootstrap` with few groups and at most 200 items or 10 groups, and `fast` in every other case. Where
    fewer than 20 permutations are as extreme as the data, the p-value is that of `fast` if it is smaller. The interval
    is at least delta -+ t times the clustered standard error, and excludes 0 exactly where the test rejects at `alpha`.

    Equal lists (for SRCC: equal ranks) give delta 0 and p 1. Their bound is that of `clustered_half_width` for a change
    of sqrt(2), the difference of a standardised score exchanged with another item's. A single group has the interval
    [-2, 2]. Raises `Undefined` as `srcc` does, ValueError for lists of different lengths.
    """
    pair = _Pair.of(candidate, baseline, mos, groups, kind)
    n_groups, n = pair.members.size, pair.mos.size
    few = n_groups < FEW_GROUPS[kind] and (n <= FEW_ITEMS or n_groups <= FEWEST_GROUPS)
    permute = n_groups < FEW_GROUPS[kind] if method == "bootstrap" else few and method == "auto"
    delta, by_group, same = pair.difference()
    if n_groups == 1:
        p_values = pair.swap_p_values(seed)
        return Paired(delta, -2.0, 2.0, *p_values, math.inf, n, 0, test="permutation by group")
    half, error = clustered_half_width(by_group, pair.members, math.sqrt(2), alpha)
    if same:
        return Paired(0.0, -half, half, 1.0, 1.0, error, n, n_groups - 1, test="difference of Fisher's z")
    if method == "bootstrap" or permute:
        samples = pair.bootstrap(seed, min(draws, max(500, CELLS // n)))
        test = "permutation by group" if permute else "bootstrap by group"
        if permute:
            p_value, p_gain = pair.swap_p_values(seed)
            if min(p_value, p_gain) * SWAPS < RARE and 2**n_groups > RARE * SWAPS:
                closed = pair.closed_form(alpha)[0]
                p_value, p_gain = (min(p_value, closed), p_gain) if delta < 0 else (p_value, min(p_gain, 1 - closed))
        else:
            p_value = float((1 + (samples >= -ZERO).sum()) / (1 + samples.size))
            p_gain = float((1 + (samples <= ZERO).sum()) / (1 + samples.size))
        lower, upper = bca_limits(samples, delta, by_group, alpha)
    else:
        p_value, lower, upper = pair.closed_form(alpha)
        p_gain = 1 - p_value
        test = "difference of Fisher's z"
    found = Paired(
        delta, max(-2.0, min(lower, delta - half)), min(2.0, max(upper, delta + half)), p_value, p_gain, error, n,
        n_groups - 1, test=test,
    )  # fmt: skip
    return align_interval(found, alpha)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two score lists and MOS, with items sorted by group; for SRCC the scores are levels (0, 1, ...) in both lists."""

    kind: Kind
    new: NDArray[Any]
    old: NDArray[Any]
    mos: NDArray[Any]
    starts: Ints  # position of the first item of each group, (G,)
    members: Floats  # number of items of each group, (G,)

    @classmethod
    def of(
        cls, candidate: ArrayLike, baseline: ArrayLike, mos: ArrayLike, groups: Sequence[Hashable], kind: Kind
    ) -> _Pair:
        """Check the lists (none constant) and sort them by group."""
        new, target = same_items(candidate, mos)
        old, _ = same_items(baseline, mos)
        for name, values in {"candidate": new, "baseline": old, "mos": target}.items():
            if values.min() == values.max():
                raise Undefined(f"{name}: the correlation of a constant list")
        codes = group_codes(groups, target.size)
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        members = np.diff(starts, append=codes.size).astype(np.float64)
        scores, target = np.concatenate([new[order], old[order]]), target[order]
        # Both lists are put on one scale: only then does swapping two scores swap two results.
        pooled, rated = (level_codes(v) if kind == "srcc" else scaled_to_unit(v) for v in (scores, target))
        return cls(kind, pooled[: codes.size], pooled[codes.size :], rated, starts, members)

    def difference(self) -> tuple[float, Floats, bool]:
        """Return the difference of the correlations, the groups' influence on it (G,), and whether the lists are equal.

        Equal means that neither the difference nor any item's influence on it differs from 0.
        """
        r, psi = self._influence(np.stack([self.new, self.old]))
        delta, psi = r[0] - r[1], psi[:1] - psi[1:]
        return float(delta), self._by_group(psi)[0], bool(abs(delta) < ZERO and np.abs(psi).max() < ZERO)

    def closed_form(self, alpha: float) -> tuple[float, float, float]:
        """Return the p-value, the lower and the upper bound of the fast path."""
        n_groups, n = self.members.size, self.mos.size
        if n_groups < 4:
            raise Undefined(f"the closed form needs four groups, not {n_groups}")
        r, psi = self._influence(np.stack([self.new, self.old]))
        # With G - 3 this equals Fisher's 1 / (n - 3) for normal scores and groups of one item.
        by_group = self._by_group(psi) * math.sqrt(n_groups / (n_groups - 3)) / n
        inner = np.array([inside_unit(float(value), n) for value in r])
        by_group_z, z = by_group / (1 - inner**2)[:, None], np.arctanh(inner)
        errors, t = np.sqrt((by_group_z**2).sum(axis=1)), float(stdtrit(n_groups - 1, 1 - alpha))
        error = math.sqrt(((by_group_z[0] - by_group_z[1]) ** 2).sum())
        p_value = float(stdtr(n_groups - 1, (z[0] - z[1]) / error)) if error > ZERO / n else float(z[0] >= z[1])
        bounds = np.stack([np.tanh(z - t * errors), np.tanh(z + t * errors)], axis=1)
        norm = float(errors[0] * errors[1])
        shared = float(by_group_z[0] @ by_group_z[1]) / norm if norm else 0.0
        return p_value, *zou_difference(r[0], bounds[0], r[1], bounds[1], shared)

    def swap_p_values(self, seed: int) -> tuple[float, float]:
        """Return the permutation p-values of a drop and a gain, by difference / error.

        The p-value of the direction opposite to the observed one is 1.
        """
        n = self.mos.size
        codes = np.repeat(np.arange(self.members.size), self.members.astype(np.int64))
        observed = self._studentised(np.zeros((1, n), dtype=np.bool_))[0]
        sign = 1.0 if observed <= 0 else -1.0
        p_value = permutation_p_value(
            lambda swapped: sign * self._studentised(swapped[:, codes]) <= sign * observed + ZERO,
            self.members.size,
            seed,
            draws=SWAPS,
            width=n,
        )
        return (p_value, 1.0) if sign > 0 else (1.0, p_value)

    def _studentised(self, swapped: Bools) -> Floats:
        """Return difference / standard error (rows,) with the items `swapped` (rows, n)."""
        new_r, new_psi = self._influence(np.where(swapped, self.old, self.new))
        old_r, old_psi = self._influence(np.where(swapped, self.new, self.old))
        delta, error = new_r - old_r, np.sqrt((self._by_group(new_psi - old_psi) ** 2).sum(axis=1))
        delta[np.abs(delta) < ZERO] = 0.0
        # Equal correlations rank in the middle. Different ones without error, such as perfect ones, rank at the ends.
        ratio: Floats = np.where(delta == 0, 0.0, np.copysign(np.inf, delta))
        np.divide(delta, error, out=ratio, where=error > ZERO)
        return ratio

    def bootstrap(self, seed: int, draws: int) -> Floats:
        """Return differences of the correlations in resamples by group, each ranked again.

        Resamples with an undefined correlation are left out.
        """
        centred = weighted_ranks if self.kind == "srcc" else weighted_values
        times = self.members.astype(np.int64)
        samples = []
        for counts in resamples(times.size, seed, draws, width=self.mos.size):
            weights = np.repeat(counts, times, axis=1)
            new, old, mos = (centred(values, weights) for values in (self.new, self.old, self.mos))
            samples.append(sampled_correlation(new, mos, weights) - sampled_correlation(old, mos, weights))
        found = np.concatenate(samples)
        return found[np.isfinite(found)]

    def _influence(self, rows: NDArray[Any]) -> tuple[Floats, Floats]:
        return rank_influence(rows, self.mos) if self.kind == "srcc" else linear_influence(rows, self.mos)

    def _by_group(self, psi: Floats) -> Floats:
        """Return the sums over the items of each group, (rows, n) -> (rows, G)."""
        return psi if self.starts.size == psi.shape[1] else np.add.reduceat(psi, self.starts, axis=1)


def zou_difference(
    r1: float, bounds1: Sequence[float] | Floats, r2: float, bounds2: Sequence[float] | Floats, shared: float
) -> tuple[float, float]:
    """Return the interval of r1 - r2 from the intervals of both (Zou 2007).

    `shared` is the correlation of the two estimates.
    """
    (l1, u1), (l2, u2) = bounds1, bounds2
    down = (r1 - l1) ** 2 + (u2 - r2) ** 2 - 2 * shared * (r1 - l1) * (u2 - r2)
    up = (u1 - r1) ** 2 + (r2 - l2) ** 2 - 2 * shared * (u1 - r1) * (r2 - l2)
    return float(r1 - r2 - math.sqrt(max(0.0, down))), float(r1 - r2 + math.sqrt(max(0.0, up)))
