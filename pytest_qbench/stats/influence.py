"""Influence of each item on a correlation, for many score lists or bootstrap samples at once.

Ranks are counted from levels (0, 1, ... for the distinct values), so that another sample needs no sort.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pytest_qbench.stats.resampling import Floats, Ints


def level_codes(values: Floats) -> Ints:
    """Return the rank of each value among the distinct values, 0 for the smallest; shape (n,)."""
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


class Levels:
    """Rows of levels of shape (rows, n): mid-ranks, and sums over the items above each item."""

    def __init__(self, rows: Ints) -> None:
        self.size = int(rows.max()) + 1
        self.rows = rows

    def ranks(self) -> Floats:
        """Return mid-ranks divided by n and centred, in (-1/2, 1/2); shape (rows, n)."""
        return 0.5 - self.above(np.ones((1, self.rows.shape[1])))

    def above(self, values: Floats) -> Floats:
        """Return the sum of values / n over the items at higher levels, plus half of those at the same level.

        Rows broadcast; shape (rows, n).
        """
        rows, weights = np.broadcast_arrays(self.rows, values)
        flat = rows + self.size * np.arange(rows.shape[0])[:, None]
        at = np.bincount(flat.ravel(), weights.ravel(), rows.shape[0] * self.size).reshape(-1, self.size)
        higher: Floats = (at.sum(axis=1, keepdims=True) - at.cumsum(axis=1) + at / 2) / rows.shape[1]
        return np.take(higher.ravel(), flat)


def rank_influence(rows: Ints, mos: Ints) -> tuple[Floats, Floats]:
    """Return Spearman's r of each row with `mos`, (rows,), and the items' influence on it, (rows, n).

    Both are 0 for a constant row. `rows` (rows, n) and `mos` (n,) hold levels, `mos` at least two different ones. Let
    a, b be the centred mid-ranks over n. Then r = A / sqrt(V W) with A = mean(ab), V = mean(a^2), W = mean(b^2). More
    weight on an item also moves the ranks above it. Its influence on A is ab + S_b + S_a - 3 A. S_b is the sum of b / n
    over the items above it in a, plus half of its ties. S_a is the sum of a / n over the items above it in b, likewise.
    Its influence on V is a^2 + 2 S - 3 V, where S is the sum of a / n over the items above it in a. The influence on W
    has the same form (Hajek projection of the U-statistics A, V, W; Hoeffding 1948).
    """
    x, y = Levels(rows), Levels(mos[None])
    a, b = x.ranks(), y.ranks()
    product, va, vb = ((p * q).mean(axis=1, keepdims=True) for p, q in ((a, b), (a, a), (b, b)))
    on_product = a * b + x.above(b) + y.above(a) - 3 * product
    on_va, on_vb = a * a + 2 * x.above(a) - 3 * va, b * b + 2 * y.above(b) - 3 * vb
    safe = np.where(va > 0, va, 1.0)
    root = np.sqrt(safe * vb)
    r: Floats = product / root
    return r[:, 0], np.where(va > 0, on_product / root - r / 2 * (on_va / safe + on_vb / vb), 0.0)


def linear_influence(rows: Floats, mos: Floats) -> tuple[Floats, Floats]:
    """Return Pearson's r of each row (rows, n) with `mos` (n,), and the items' influence on it; 0 for a constant row.

    The influence is u v - r (u^2 + v^2) / 2 for standardised u, v (Devlin, Gnanadesikan & Kettenring 1975).
    """
    u, v = _standardised(rows), _standardised(mos[None])
    r: Floats = (u * v).mean(axis=1)
    return r, u * v - r[:, None] * (u * u + v * v) / 2


def _standardised(rows: Floats) -> Floats:
    """Return each row with mean 0 and mean square 1; zeros for a constant row."""
    centred: Floats = rows - rows.mean(axis=1, keepdims=True)
    root = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    np.divide(centred, root, out=centred, where=root > 0)
    return centred


def weighted_values(values: Floats, weights: Floats) -> Floats:
    """Return `values` (n,) centred in samples that hold each item `weights` (rows, n) times; shape (rows, n)."""
    means: Floats = weights @ values / weights.sum(axis=1)
    return values - means[:, None]


def weighted_ranks(levels: Ints, weights: Floats) -> Floats:
    """Return centred mid-ranks of `levels` (n,) in samples that hold each item `weights` (rows, n) times.

    The shape is (rows, n).
    """
    dense = level_codes(levels.astype(np.float64))
    order = np.argsort(dense, kind="stable")
    at = np.add.reduceat(weights[:, order], np.flatnonzero(np.diff(dense[order], prepend=-1)), axis=1)
    middle: Floats = at.cumsum(axis=1) - at / 2 - at.sum(axis=1, keepdims=True) / 2
    return np.take(middle, dense, axis=1)


def sampled_correlation(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Return the correlation of centred x and y (rows, n) in weighted samples, (rows,); not finite for constants."""
    xw = weights * x
    with np.errstate(divide="ignore", invalid="ignore"):
        r: NDArray[np.float64] = (xw * y).sum(axis=1) / np.sqrt((xw * x).sum(axis=1) * (weights * y * y).sum(axis=1))
    return r
