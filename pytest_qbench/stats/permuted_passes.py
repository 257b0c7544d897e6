"""Permutation distribution of a candidate's total where items were asked several times: generalised McNemar.

An item that the baseline answered K times and the candidate M times has N = K + M outcomes. If nothing changed, any M
of the N passes could be the candidate's. Items about one photo change their passes together, so a group has one total
per pass. The sum over groups of M passes each, drawn without replacement, is the reference distribution (Fisher 1935;
Pitman 1937). For right/wrong answers to single items it is a sum of hypergeometric numbers, the exact form of the
Cochran-Mantel-Haenszel test; with K = M = 1 it is McNemar's. P-values count half of the ties (Lancaster 1961).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from pytest_qbench.stats.resampling import Floats
from pytest_qbench.stats.sign_flips import CONVOLVED, ENUMERATED, TIE


class LogMGF(NamedTuple):
    """The logarithm of E[exp(t S)] of each group's sum S of drawn passes, with the mean and variance at that tilt."""

    value: Floats
    mean: Floats
    variance: Floats


def permuted_p_value(passes: Floats, drawn: int, total: float) -> float:
    """Return the mid-p value of a drop, P(S < total) + P(S = total) / 2.

    `passes` (G, N) holds the total of each group in each pass. S is the sum over the groups of `drawn` of its N passes.
    Exact for up to 2**14 combinations and for whole numbers (right/wrong answers), else the saddlepoint approximation
    (Lugannani & Rice 1980).
    """
    low = passes.min(axis=1)
    rows = (passes - low[:, None])[np.ptp(passes, axis=1) > 0]
    s = total - drawn * float(low.sum())
    if not rows.size:
        return 0.5 * (1 + float(np.sign(round(s, 9))))
    ordered = np.sort(rows, axis=1)
    least, largest = float(ordered[:, :drawn].sum()), float(ordered[:, -drawn:].sum())
    tie = TIE * max(1.0, largest)
    if not least - tie <= s <= largest + tie:
        return float(s > least)
    if rows.shape[0] * math.log2(math.comb(rows.shape[1], drawn)) <= ENUMERATED:
        return _enumerated(rows, drawn, s, tie)
    if largest <= CONVOLVED and (rows == np.round(rows)).all():
        return _convolved(rows, drawn, s)
    return _saddlepoint(rows, drawn, s)


def log_mgf(passes: Floats, drawn: int, tilt: float | Floats) -> LogMGF:
    """Return log E[exp(tilt S)] of each group, (G,), for S the sum of `drawn` of its N passes, `passes` (G, N).

    `tilt` is one number, or one for each group. E[exp(tilt S)] is the elementary symmetric polynomial of degree `drawn`
    in exp(tilt passes), over its number of terms. It is built up pass by pass in logarithms, with its first two
    derivatives, so that no tilt overflows.
    """
    groups, n = passes.shape
    log = np.full((drawn + 1, groups), -np.inf)
    log[0] = 0.0
    mean, square = np.zeros_like(log), np.zeros_like(log)
    for j in range(n):
        x = passes[:, j]
        for m in range(min(drawn, j + 1), 0, -1):
            both = np.logaddexp(log[m], log[m - 1] + tilt * x)
            old, new = np.exp(log[m] - both), np.exp(log[m - 1] + tilt * x - both)
            square[m] = old * square[m] + new * (square[m - 1] + 2 * x * mean[m - 1] + x * x)
            mean[m] = old * mean[m] + new * (mean[m - 1] + x)
            log[m] = both
    found = log[drawn] - math.log(math.comb(n, drawn))
    return LogMGF(found, mean[drawn], np.maximum(0.0, square[drawn] - mean[drawn] ** 2))


def _enumerated(rows: Floats, drawn: int, s: float, tie: float) -> float:
    from itertools import combinations

    chosen = np.array(list(combinations(range(rows.shape[1]), drawn)))
    sums = np.zeros(1)
    for row in rows:
        sums = (sums[:, None] + row[chosen].sum(axis=1)).ravel()
    return float(((sums < s - tie).sum() + (np.abs(sums - s) <= tie).sum() / 2) / sums.size)


def _convolved(rows: Floats, drawn: int, s: float) -> float:
    """Return the exact mid-p value for whole numbers: groups with the same totals have the same distribution."""
    pmf = np.ones(1)
    kinds, counts = np.unique(np.sort(rows, axis=1).astype(np.int64), axis=0, return_counts=True)
    for kind, count in zip(kinds, counts, strict=True):
        pmf = np.convolve(pmf, _power(_subset_sums(kind.tolist(), drawn), int(count)))
    below = math.ceil(s - TIE * pmf.size)
    tied = pmf[below] / 2 if below < pmf.size and abs(s - below) <= TIE * pmf.size else 0.0
    return float(min(1.0, pmf[:below].sum() + tied))


def _subset_sums(totals: list[int], drawn: int) -> Floats:
    """Return the probabilities of the sums 0, 1, ... of `drawn` of these whole numbers."""
    ways = np.zeros((drawn + 1, sum(sorted(totals)[-drawn:]) + 1))
    ways[0, 0] = 1
    for number, value in enumerate(totals):
        for m in range(min(drawn, number + 1), 0, -1):
            ways[m, value:] += ways[m - 1, : ways.shape[1] - value]
    probabilities: Floats = ways[drawn] / math.comb(len(totals), drawn)
    return probabilities


def _power(pmf: Floats, count: int) -> Floats:
    """Return the distribution of the sum of `count` independent numbers, by repeated squaring."""
    result = np.ones(1)
    while count:
        if count & 1:
            result = np.convolve(result, pmf)
        count >>= 1
        if count:
            pmf = np.convolve(pmf, pmf)
    return result


def _saddlepoint(rows: Floats, drawn: int, s: float) -> float:
    """Return P(S <= s) by Lugannani & Rice, from the cumulant generating function of S."""
    means = rows.mean(axis=1, keepdims=True)
    deviation = math.sqrt(float(log_mgf(rows - means, drawn, 0.0).variance.sum()))
    rows, s = (rows - means) / deviation, (s - drawn * float(means.sum())) / deviation  # S gets mean 0 and variance 1
    ordered = np.sort(rows, axis=1)
    least, most = float(ordered[:, :drawn].sum()), float(ordered[:, -drawn:].sum())
    smallest = math.exp(-rows.shape[0] * math.log(math.comb(rows.shape[1], drawn)))  # of the most extreme sum
    if s <= least * (1 - 1e-9):
        return smallest / 2
    if s >= most * (1 - 1e-9):
        return 1 - smallest / 2
    t = _tilt_to(rows, drawn, s)
    found = log_mgf(rows, drawn, t)
    cumulant, variance = float(found.value.sum()), float(found.variance.sum())
    w = math.copysign(math.sqrt(max(0.0, 2 * (t * s - cumulant))), t)
    v = t * math.sqrt(variance)
    tail = float(ndtr(w))
    if abs(w) > 1e-3 and v:
        tail += math.exp(-w * w / 2) / math.sqrt(2 * math.pi) * (1 / w - 1 / v)
    return min(1 - smallest / 2, max(tail, smallest / 2))


def _tilt_to(rows: Floats, drawn: int, s: float) -> float:
    """Return the tilt at which the mean of S is `s`: Newton's method, kept inside a bracket by bisection."""
    low, high, t = -np.inf, np.inf, 0.0
    for _ in range(200):
        found = log_mgf(rows, drawn, t)
        miss = s - float(found.mean.sum())
        low, high = (t, high) if miss > 0 else (low, t)
        variance = float(found.variance.sum())
        step = miss / variance if variance > 0 else math.inf
        if abs(step) <= 1e-9 * (1 + abs(t)):
            break
        following = t + step
        if not low < following < high:
            following = (low + high) / 2
        t = following
    return t
