"""Distribution of a sum whose terms have random signs: the test of a paired change, and the inverse of this test.

If candidate and baseline are exchangeable, the change of each group (of all items about one photo) is as likely to be
+s as -s. The one-sided p-value compares the observed sum with the sums under all sign patterns (Fisher 1935; Pitman
1937) and counts half of the ties: the mid-p value (Lancaster 1961). With one right/wrong item per group this is
McNemar's mid-p test, which Fagerland, Lydersen & Laake (2013) recommend over the exact one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, gammaln, ndtr, ndtri

Floats = NDArray[np.float64]

ENUMERATED = 14  # largest number of groups whose sign patterns (2**14) are all counted
CONVOLVED = 50_000  # largest total change at which whole numbers are convolved: at most half a second
TIE = 1e-10  # relative difference below which two sums are equal up to rounding


def flip_p_value(sums: Floats, total: float | None = None) -> float:
    """Return the mid-p value of a drop, P(S < s) + P(S = s) / 2, for S = sum(+-sums) and s = `total`.

    `sums` (G,) are the changes of independent groups; `total` defaults to sum(sums), the observed one. Exact where at
    most 14 groups changed and where all changes are whole numbers (right/wrong answers). In other cases it is the
    saddlepoint approximation (Robinson 1982; Lugannani & Rice 1980), which keeps its relative error in the far tail.
    The p-value of a gain is 1 minus that of a drop.
    """
    changed = sums[sums != 0]
    s = float(changed.sum()) if total is None else total
    sizes = np.abs(changed)
    tie = TIE * float(sizes.sum())
    if not changed.size or abs(s) > float(sizes.sum()) + tie:
        return 0.5 * (1 + float(np.sign(s)))
    if np.ptp(sizes) <= TIE * sizes.max():
        return _binomial(sizes.size, s / float(sizes.mean()))
    if sizes.size <= ENUMERATED:
        return _enumerated(sizes, s, tie)
    if sizes.sum() <= CONVOLVED and (sizes == np.round(sizes)).all():
        return _convolved(sizes, s)
    return _saddlepoint(sizes, s)


def flip_bound(sums: Floats, members: Floats, alpha: float) -> float:
    """Return the largest mean change d that a test at `alpha` does not reject.

    There the p-value of a drop from d to the observed mean is alpha. The test of d flips the signs of sums - d *
    members (Hartigan 1969); `members` (G,) are the group sizes. Infinite where not even a drop of every group would be
    rejected, 2**-G / 2 >= alpha.
    """
    from scipy.optimize import brentq  # importing it takes a fifth of a small run, which may not need it

    if 0.5 ** (sums.size + 1) >= alpha:
        return math.inf
    mean, most = float(sums.sum() / members.sum()), float((sums / members).max())
    if most - mean <= TIE * max(1.0, abs(most)):
        return most
    # The normal bound is a close start: the p-value falls from 1/2 at the mean to its minimum at the largest change.
    wanted = float(ndtri(alpha))
    error = math.sqrt(float(((sums - mean * members) ** 2).sum())) / float(members.sum())

    def excess(change: float) -> float:
        return float(ndtri(flip_p_value(sums - change * members))) - wanted

    low, high = mean, min(most, mean - 1.2 * wanted * error)
    while high < most and excess(high) > 0:
        low, high = high, min(most, high + error)
    if excess(high) > 0:
        return most
    return float(brentq(excess, low, high, xtol=1e-6 * error, rtol=1e-12))


def _binomial(count: int, s: float) -> float:
    """Return the mid-p value for equal sizes: a sum of `count` signs is 2 Bin(count, 1/2) - count."""
    ups = (s + count) / 2
    whole = round(ups)
    if abs(ups - whole) > TIE * count:
        return float(bdtr(math.floor(ups), count, 0.5))
    return float(bdtr(whole, count, 0.5) - math.exp(_log_half_binomial(count, np.array(whole))) / 2)


def _enumerated(sizes: Floats, s: float, tie: float) -> float:
    patterns = np.arange(2**sizes.size)[:, None] >> np.arange(sizes.size) & 1
    above = sizes.sum() - 2 * (patterns @ sizes) - s
    return float(((above < -tie).sum() + (np.abs(above) <= tie).sum() / 2) / above.size)


def _convolved(sizes: Floats, s: float) -> float:
    """Return the exact mid-p value for whole numbers by convolution.

    The k groups that change by v in size add v * (2 Bin(k, 1/2) - k).
    """
    pmf = np.ones(1)
    for size, count in zip(*np.unique(sizes.astype(np.int64), return_counts=True), strict=True):
        part = np.zeros(int(size * count) + 1)
        part[:: int(size)] = np.exp(_log_half_binomial(int(count), np.arange(count + 1)))
        pmf = np.convolve(pmf, part)
    at = (s + float(sizes.sum())) / 2
    below = math.ceil(at - TIE * pmf.size)
    tied = pmf[below] / 2 if below < pmf.size and abs(at - below) <= TIE * pmf.size else 0.0
    return float(min(1.0, pmf[:below].sum() + tied))


def _log_half_binomial(count: int, k: NDArray[np.int64]) -> Floats:
    """Return the logarithm of the probabilities of k successes among `count` trials with probability 1/2."""
    log: Floats = gammaln(count + 1) - gammaln(k + 1) - gammaln(count - k + 1) - count * math.log(2)
    return log


def _saddlepoint(sizes: Floats, s: float) -> float:
    """Return P(S <= s) by Lugannani & Rice: the cumulant generating function of S is sum log cosh(t * sizes)."""
    norm = math.sqrt(float((sizes**2).sum()))
    sizes = sizes / norm  # S gets variance 1
    total, most, below = abs(s) / norm, float(sizes.sum()), s < 0
    if total >= most * (1 - 1e-9):
        tail = 0.5 ** (sizes.size + 1)
        return tail if below else 1 - tail
    t = 0.0  # Newton's method: the derivative of that function is concave for t > 0, so t rises to the root
    for _ in range(200):
        slope = np.tanh(t * sizes)
        step = (total - float(sizes @ slope)) / float((sizes**2) @ (1 - slope**2))
        t += step
        if step <= 1e-9 * (1 + t):
            break
    angle = t * sizes
    cumulant = float((angle + np.log1p(np.exp(-2 * angle)) - math.log(2)).sum())
    w = math.sqrt(max(0.0, 2 * (t * total - cumulant)))
    v = t * math.sqrt(float((sizes**2) @ (1 - np.tanh(angle) ** 2)))
    tail = float(ndtr(-w))
    if w > 1e-3:
        tail -= math.exp(-w * w / 2) / math.sqrt(2 * math.pi) * (1 / w - 1 / v)
    tail = min(0.5, max(tail, 0.5 ** (sizes.size + 1)))
    return tail if below else 1 - tail
