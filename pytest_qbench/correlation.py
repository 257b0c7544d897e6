"""Correlation of predicted scores with human ratings (MOS), and the paired comparison of two score lists.

SRCC is Spearman's rank correlation with mid-ranks for ties, PLCC is Pearson's; both are signed.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtr, stdtrit

from pytest_qbench.resampling import Bools, Floats, Ints, Undefined, bca_limits, finite, flip_p_value, group_codes
from pytest_qbench.resampling import resamples as bootstrap_counts
from pytest_qbench.stats import Paired, spread

Kind = Literal["srcc", "plcc"]
Method = Literal["auto", "fast", "bootstrap"]

FEW_GROUPS = 100  # below this the closed form gives way to permutation and bootstrap
SWAPS = 5_000  # permutations, each of which ranks the lists anew ...
SWAP_CELLS = 10_000_000  # ... fewer where few groups hold many items, at least 1,000
ZERO = 1e-9  # correlations and influences are of order 1; below this they differ by rounding


def srcc(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's rank correlation of two lists (n,), ties at mid-rank, in [-1, 1].

    Raises `Undefined` for n < 3, a constant list or values that are not finite, ValueError for different lengths.
    """
    first, second = _same_items(x, y)
    return _pearson(_ranks(_codes(first)), _ranks(_codes(second)))


def plcc(x: ArrayLike, y: ArrayLike) -> float:
    """Pearson's linear correlation of two lists (n,), in [-1, 1]; errors as for `srcc`."""
    return _pearson(*_same_items(x, y))


def correlation_interval(r: float, n: int, alpha: float = 0.05, kind: Kind = "srcc") -> tuple[float, float]:
    """Two-sided 1 - alpha interval of a correlation `r` of `n` items: tanh(atanh(r) -+ z * se), within [-1, 1].

    se = 1 / sqrt(n - 3) for PLCC (Fisher 1921), sqrt((1 + r^2 / 2) / (n - 3)) for SRCC (Bonett & Wright 2000). At
    |r| = 1 the interval still opens inwards, from half the smallest step of a rank correlation, 6 / (n^3 - n). Raises
    `Undefined` for n < 4 or an r that is not a number, ValueError for |r| > 1 or an alpha outside (0, 1).
    """
    if n < 4 or math.isnan(r):
        raise Undefined(f"an interval of the correlation {r} of {n} items")
    if not -1 <= r <= 1 or not 0 < alpha < 1:
        raise ValueError(f"correlation {r} at alpha {alpha}")
    centre = math.atanh(_inside(r, n))
    reach = float(ndtri(1 - alpha / 2)) * math.sqrt((1 + r * r / 2 if kind == "srcc" else 1) / (n - 3))
    return min(r, math.tanh(centre - reach)), max(r, math.tanh(centre + reach))


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
    without a drop, but with fewer than 100 groups a permutation test that swaps candidate and baseline by group and
    compares difference / standard error: exact if the two are exchangeable, and right in large samples if only their
    correlations agree, say after a change of scale (Janssen 1997). `auto` is `bootstrap` there, `fast` elsewhere.

    Lists that no item tells apart (for SRCC: equal ranks) give delta 0, p 1. The interval is never narrower than
    -+ s z^2 / (n + z^2), Tango's bound for no discordance, where s is the largest influence of an item, or sqrt(2)
    where there is none, as of a standardised score exchanged with another item's. A single group has the interval
    [-2, 2] and no MDE. Raises `Undefined` as `srcc` does, ValueError for lists of different lengths.
    """
    pair = _Pair.of(candidate, baseline, mos, groups, kind)
    n_groups, n = pair.members.size, pair.mos.size
    permute = method != "fast" and n_groups < FEW_GROUPS
    delta, by_group, same = pair.difference()
    if n_groups == 1:
        return Paired(delta, -2.0, 2.0, pair.swap_p_value(seed), None, n)
    half, mde = spread(by_group, pair.members, math.sqrt(2), alpha)
    if same:
        return Paired(0.0, -half, half, 1.0, mde, n)
    if method == "bootstrap" or permute:
        samples = pair.bootstrap(seed, draws)
        p_value = pair.swap_p_value(seed) if permute else float((1 + (samples >= 0).sum()) / (1 + samples.size))
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
        new, target = _same_items(candidate, mos)
        old, _ = _same_items(baseline, mos)
        for name, values in {"candidate": new, "baseline": old, "mos": target}.items():
            if np.ptp(values) == 0:
                raise Undefined(f"{name}: the correlation of a constant list")
        codes = group_codes(groups, target.size)
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        members = np.diff(starts, append=codes.size).astype(np.float64)
        new, old, target = new[order], old[order], target[order]
        if kind == "plcc":
            return cls(kind, new, old, target, starts, members)
        pooled = _codes(np.concatenate([new, old]))
        return cls(kind, pooled[: codes.size], pooled[codes.size :], _codes(target), starts, members)

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
        inner = np.array([_inside(float(value), n) for value in r])
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
            width=8 * n,
        )

    def _studentised(self, swapped: Bools) -> Floats:
        """Difference / standard error (rows,) with the items `swapped` (rows, n)."""
        new_r, new_psi = self._influence(np.where(swapped, self.old, self.new))
        old_r, old_psi = self._influence(np.where(swapped, self.new, self.old))
        delta, error = new_r - old_r, np.sqrt((self._by_group(new_psi - old_psi) ** 2).sum(axis=1))
        delta[np.abs(delta) < ZERO] = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(delta == 0, 0.0, delta / np.where(error < ZERO, 0.0, error))

    def bootstrap(self, seed: int, draws: int) -> Floats:
        """Differences of the correlations in resamples by group, ranks anew; where one is undefined it is left out."""
        n, times = self.mos.size, self.members.astype(np.int64)
        samples = []
        for counts in bootstrap_counts(times.size, seed, draws, width=4 * n):
            weights = np.repeat(counts, times, axis=1)
            lists = [_weighted(values, weights, self.kind) for values in (self.new, self.old, self.mos)]
            new, old, mos = lists
            weighted = weights * mos
            with np.errstate(divide="ignore", invalid="ignore"):
                scale = np.sqrt((weighted * mos).sum(axis=1))
                new_r = (weighted * new).sum(axis=1) / np.sqrt((weights * new * new).sum(axis=1))
                old_r = (weighted * old).sum(axis=1) / np.sqrt((weights * old * old).sum(axis=1))
                samples.append((new_r - old_r) / scale)
        found = np.concatenate(samples)
        return found[np.isfinite(found)]

    def _influence(self, rows: NDArray[Any]) -> tuple[Floats, Floats]:
        return _rank_influence(rows, self.mos) if self.kind == "srcc" else _linear_influence(rows, self.mos)

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


def _linear_influence(rows: Floats, mos: Floats) -> tuple[Floats, Floats]:
    """Pearson's r of each row with `mos` and the items' influence u v - r (u^2 + v^2) / 2 on it, u, v standardised."""
    u, v = _standardised(rows), _standardised(mos[None])
    r = (u * v).mean(axis=1)
    return r, u * v - r[:, None] * (u * u + v * v) / 2


def _standardised(rows: Floats) -> Floats:
    """Each row with mean 0 and mean square 1; zeros for a constant row."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    root = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    return np.divide(centred, root, out=np.zeros_like(centred), where=root > 0)


def _rank_influence(rows: Ints, mos: Ints) -> tuple[Floats, Floats]:
    """Spearman's r of each row (rows, n) with `mos` (n,), both levels, and the items' influence on it; 0 if constant.

    With a, b the centred mid-ranks over n, r = A / sqrt(V W) for A = mean(ab), V = mean(a^2), W = mean(b^2). One more
    item also raises the ranks above it: its influence on A is ab + S_b + S_a - 3 A, on V a^2 + 2 S - 3 V, where S_b is
    the sum of b / n over the items above it in a (ties half), S_a of a in b, S of a in a; likewise on W.
    """
    x, y = _Levels(rows), _Levels(mos[None])
    a, b = x.ranks(), y.ranks()
    product, va, vb = ((p * q).mean(axis=1, keepdims=True) for p, q in ((a, b), (a, a), (b, b)))
    on_product = a * b + x.above(b) + y.above(a) - 3 * product
    on_va, on_vb = a * a + 2 * x.above(a) - 3 * va, b * b + 2 * y.above(b) - 3 * vb
    safe = np.where(va > 0, va, 1.0)
    root = np.sqrt(safe * vb)
    r = product / root
    psi = np.where(va > 0, on_product / root - r / 2 * (on_va / safe + on_vb / vb), 0.0)
    return r[:, 0], psi


class _Levels:
    """Rows of levels 0, 1, ... of shape (rows, n): mid-ranks and sums over what lies above, without sorting."""

    def __init__(self, rows: Ints) -> None:
        self.size = int(rows.max()) + 1
        self.flat = rows + self.size * np.arange(rows.shape[0])[:, None]
        self.n = rows.shape[1]

    def ranks(self) -> Floats:
        """Mid-ranks over n, centred: in (-1/2, 1/2)."""
        return 0.5 - self.above(np.ones((1, self.n)))

    def above(self, values: Floats) -> Floats:
        """Sum of values / n over the items of the row at higher levels, half of those at the same, for every item."""
        rows = self.flat.shape[0]
        flat = np.broadcast_to(self.flat, (max(rows, values.shape[0]), self.n))
        if rows < values.shape[0]:
            flat = flat + self.size * np.arange(values.shape[0])[:, None]
        weights = np.broadcast_to(values, flat.shape)
        at = np.bincount(flat.ravel(), weights.ravel(), flat.shape[0] * self.size).reshape(-1, self.size)
        higher: Floats = (at.sum(axis=1, keepdims=True) - at.cumsum(axis=1) + at / 2) / self.n
        return higher.ravel()[flat]


def _weighted(values: NDArray[Any], weights: Floats, kind: Kind) -> Floats:
    """Centred values, or mid-ranks of levels, (rows, n) in samples that hold each item `weights` (rows, n) times."""
    if kind == "plcc":
        centred: Floats = values - values.mean()
        return centred - (weights @ centred / weights.sum(axis=1))[:, None]
    size = int(values.max()) + 1
    at = np.zeros((weights.shape[0], size))
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.diff(values[order], prepend=-1))
    at = np.add.reduceat(weights[:, order], starts, axis=1)
    middle: Floats = at.cumsum(axis=1) - at / 2 - at.sum(axis=1, keepdims=True) / 2
    return middle[:, np.cumsum(np.diff(values[order], prepend=-1) > 0)[np.argsort(order)] - 1]


def _codes(values: Floats) -> Ints:
    """The level of each value among the distinct ones, 0 for the smallest."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _ranks(codes: Ints) -> Floats:
    return _Levels(codes[None]).ranks()[0]


def _pearson(x: Floats, y: Floats) -> float:
    """Pearson's r, scaled first so that neither huge nor tiny values overflow; raises `Undefined` for constants."""
    unit = []
    for values in (x, y):
        if np.ptp(values) == 0:
            raise Undefined("the correlation of a constant list")
        centred = values / np.abs(values).max()
        centred = centred - centred.mean()
        unit.append(centred / np.linalg.norm(centred))
    return float(np.clip(unit[0] @ unit[1], -1, 1))


def _inside(r: float, n: int) -> float:
    """`r` kept off -1 and 1, where Fisher's z is infinite, by half the smallest step of a rank correlation."""
    edge = 1 - 6 / (n**3 - n)
    return min(edge, max(-edge, r))


def _same_items(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Both as finite float arrays of one length n >= 3; raises `Undefined`, or ValueError for different lengths."""
    first, second = finite(x, "scores"), finite(y, "scores")
    if first.shape != second.shape:
        raise ValueError(f"{first.size} scores for {second.size} items")
    if first.size < 3:
        raise Undefined(f"a correlation of {first.size} items")
    return first, second
