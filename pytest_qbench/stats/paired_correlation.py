"""Paired comparison of two score lists by their correlation with the same human ratings (MOS)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from pytest_qbench.stats.correlation import Kind, inside_unit, same_items, scaled_to_unit
from pytest_qbench.stats.influence import (
    level_codes,
    linear_influence,
    rank_influence,
    sampled_correlation,
    weighted_ranks,
    weighted_values,
)
from pytest_qbench.stats.intervals import spread
from pytest_qbench.stats.paired import Paired
from pytest_qbench.stats.resampling import (
    Bools,
    Floats,
    Ints,
    Undefined,
    bca_limits,
    flip_p_value,
    group_codes,
    resamples,
)

Method = Literal["auto", "fast", "bootstrap"]


# Below so many groups the closed form gives way to permutation and bootstrap; ranks are bounded and settle earlier.
FEW_GROUPS: dict[Kind, int] = {"srcc": 50, "plcc": 100}


SWAPS = 5_000  # permutations, each of which ranks the lists anew ...


SWAP_CELLS = 10_000_000  # ... fewer where few groups hold many items, at least 1,000


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
    """Compare two score lists by their correlation with the same `mos`; all (n,), finite, n >= 3; `groups` (n,) labels.

    `fast`: each item's influence on the two correlations (the first-order effect of its weight; O(n log n)) gives their
    variances and covariance without assuming normal scores, with ties and groups. The p-value is that of the difference
    of Fisher's z (Dunn & Clark 1969, Steiger 1980), G - 1 degrees of freedom for G groups; the interval is Zou's (2007,
    Psychol. Methods 12:399), which builds the bounds of a difference from those of its terms. Needs four groups.

    `bootstrap`: BCa interval of `draws` paired resamples by group, ranks anew in each; the p-value is the share of them
    without a drop, but with few groups (SRCC below 50, PLCC below 100) a permutation test that swaps candidate and
    baseline by group and compares difference / standard error: exact if the two are exchangeable, and right in large
    samples if only their correlations agree, say after a change of scale (Janssen 1997). `auto` is `bootstrap` there
    and `fast` elsewhere. Either interval is at least delta -+ t times the clustered standard error.

    Lists that no item tells apart (for SRCC: equal ranks) give delta 0, p 1 and the bound of `stats.spread` for a
    change of sqrt(2), that of a standardised score exchanged with another item's. A single group has the interval
    [-2, 2] and no MDE. Raises `Undefined` as `srcc` does, ValueError for lists of different lengths.
    """
    pair = _Pair.of(candidate, baseline, mos, groups, kind)
    n_groups, n = pair.members.size, pair.mos.size
    permute = method != "fast" and n_groups < FEW_GROUPS[kind]
    delta, by_group, same = pair.difference()
    if n_groups == 1:
        return Paired(delta, -2.0, 2.0, pair.swap_p_value(seed), None, n)
    half, mde = spread(by_group, pair.members, math.sqrt(2), alpha)
    if same:
        return Paired(0.0, -half, half, 1.0, mde, n)
    if method == "bootstrap" or permute:
        samples = pair.bootstrap(seed, draws)
        p_value = pair.swap_p_value(seed) if permute else float((1 + (samples >= -ZERO).sum()) / (1 + samples.size))
        lower, upper = bca_limits(samples, delta, by_group, alpha)
    else:
        p_value, lower, upper = pair.closed_form(alpha)
    return Paired(delta, max(-2.0, min(lower, delta - half)), min(2.0, max(upper, delta + half)), p_value, mde, n)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two score lists and MOS, items sorted by group; for SRCC levels (0, 1, ...), of the scores among both lists."""

    kind: Kind
    new: NDArray[Any]
    old: NDArray[Any]
    mos: NDArray[Any]
    starts: Ints  # of each group, (G,)
    members: Floats  # items of each group, (G,)

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
        # Both lists go on one scale: only then is a swap of two scores a swap of two results.
        pooled, rated = (level_codes(v) if kind == "srcc" else scaled_to_unit(v) for v in (scores, target))
        return cls(kind, pooled[: codes.size], pooled[codes.size :], rated, starts, members)

    def difference(self) -> tuple[float, Floats, bool]:
        """Difference of the correlations, the groups' influence on it (G,), and whether no item tells them apart."""
        r, psi = self._influence(np.stack([self.new, self.old]))
        delta, psi = r[0] - r[1], psi[:1] - psi[1:]
        return float(delta), self._by_group(psi)[0], bool(abs(delta) < ZERO and np.abs(psi).max() < ZERO)

    def closed_form(self, alpha: float) -> tuple[float, float, float]:
        """p-value, lower and upper bound of the fast path."""
        n_groups, n = self.members.size, self.mos.size
        if n_groups < 4:
            raise Undefined(f"the closed form needs four groups, not {n_groups}")
        r, psi = self._influence(np.stack([self.new, self.old]))
        # G - 3 makes this Fisher's 1 / (n - 3) where the scores are normal and the groups single items.
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

    def swap_p_value(self, seed: int) -> float:
        """Permutation p-value of a drop: candidate and baseline swapped by group, difference / standard error."""
        n = self.mos.size
        codes = np.repeat(np.arange(self.members.size), self.members.astype(np.int64))
        observed = self._studentised(np.zeros((1, n), dtype=np.bool_))[0]
        return flip_p_value(
            lambda swapped: self._studentised(swapped[:, codes]) <= observed + ZERO,
            self.members.size,
            seed,
            draws=max(1_000, min(SWAPS, SWAP_CELLS // n)),
            width=n,
        )

    def _studentised(self, swapped: Bools) -> Floats:
        """Difference / standard error (rows,) with the items `swapped` (rows, n)."""
        new_r, new_psi = self._influence(np.where(swapped, self.old, self.new))
        old_r, old_psi = self._influence(np.where(swapped, self.new, self.old))
        delta, error = new_r - old_r, np.sqrt((self._by_group(new_psi - old_psi) ** 2).sum(axis=1))
        delta[np.abs(delta) < ZERO] = 0.0
        # Equal correlations rank in the middle; different ones without any error, perfect ones say, at the ends.
        ratio: Floats = np.where(delta == 0, 0.0, np.copysign(np.inf, delta))
        np.divide(delta, error, out=ratio, where=(delta != 0) & (error > ZERO))
        return ratio

    def bootstrap(self, seed: int, draws: int) -> Floats:
        """Differences of the correlations in resamples by group, ranks anew; where one is undefined it is left out."""
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
        """Sums over the items of each group, (rows, n) -> (rows, G)."""
        return psi if self.starts.size == psi.shape[1] else np.add.reduceat(psi, self.starts, axis=1)


def zou_difference(
    r1: float, bounds1: Sequence[float] | Floats, r2: float, bounds2: Sequence[float] | Floats, shared: float
) -> tuple[float, float]:
    """Interval of r1 - r2 from the intervals of both and the correlation `shared` of the two estimates (Zou 2007)."""
    (l1, u1), (l2, u2) = bounds1, bounds2
    down = (r1 - l1) ** 2 + (u2 - r2) ** 2 - 2 * shared * (r1 - l1) * (u2 - r2)
    up = (u1 - r1) ** 2 + (r2 - l2) ** 2 - 2 * shared * (u1 - r1) * (r2 - l2)
    return float(r1 - r2 - math.sqrt(max(0.0, down))), float(r1 - r2 + math.sqrt(max(0.0, up)))


def mean_interval(values: Sequence[float], bounds: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Interval of the mean of independent estimates from the interval of each (Zou 2007, for a sum)."""
    down = sum((value - lower) ** 2 for value, (lower, _) in zip(values, bounds, strict=True))
    up = sum((upper - value) ** 2 for value, (_, upper) in zip(values, bounds, strict=True))
    centre = sum(values) / len(values)
    return centre - math.sqrt(down) / len(values), centre + math.sqrt(up) / len(values)


def mean_paired(parts: Sequence[Paired]) -> Paired:
    """Mean of paired comparisons of disjoint items.

    p by Stouffer's weighted z; each part weighs as its standard error does in that of the mean.
    """
    deltas, count = [p.delta for p in parts], len(parts)
    lower, upper = mean_interval(deltas, [(p.lower, p.upper) for p in parts])
    weights = np.array([max(p.delta - p.lower, ZERO) for p in parts])
    z = ndtri(np.clip([p.p_value for p in parts], 1e-300, 1 - 1e-16))
    p_value = float(ndtr((weights @ z) / np.linalg.norm(weights)))
    found = [p.mde for p in parts if p.mde is not None]
    mde = math.sqrt(sum(m * m for m in found)) / count if len(found) == count else None
    return Paired(sum(deltas) / count, lower, upper, p_value, mde, sum(p.n for p in parts))
