"""Paired comparison of right/wrong answers: McNemar's mid-p test by group, and a score interval that agrees with it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, stdtrit

from pytest_qbench.stats.design_effect import design_effect, unseen_fraction
from pytest_qbench.stats.intervals import tango
from pytest_qbench.stats.paired import Paired, align_interval, by_group, paired_deltas
from pytest_qbench.stats.sign_flips import flip_p_value

FEWEST_GROUPS = 4  # with fewer groups of several items, no test at 0.05 can reject


def paired_binary(candidate: ArrayLike, baseline: ArrayLike, groups: Sequence[Hashable], alpha: float) -> Paired:
    """Compare right/wrong answers by the difference of two accuracies on the same `n` items, in [-1, 1].

    `candidate`, `baseline` (n,) are boolean, `groups` (n,) are labels. The p-value is the sign-flip test by group with
    half of the ties. This is McNemar's mid-p test when every group has one item. The interval inverts the corresponding
    score test (Tango 1998) at the effective counts lost / D, gained / D, n / D (Obuchowski 1998). D is the observed
    design effect: the variance of the groups' sums over that of independent items.

    On a side where the test does not exclude 0, the prior of `design_effect` stabilises D. There the quantile is that
    of t with the effective number of changed groups as degrees of freedom. Without any change among independent items
    the bounds are exact: the drop that n items would have shown with probability 1 - alpha. With fewer than four groups
    of several items the interval is [-1, 1]. Raises `Undefined` for no items, ValueError for lists of different
    lengths.
    """
    new, old = np.asarray(candidate, dtype=bool), np.asarray(baseline, dtype=bool)
    deltas = paired_deltas(new, old)
    sums, members = by_group(deltas, groups)
    n, lost, gained = deltas.size, int((deltas < 0).sum()), int((deltas > 0).sum())
    changed = lost + gained
    effect, df = design_effect(sums, members, deltas)
    p_value = flip_p_value(sums) if sums.any() else 1.0
    p_gain = 1 - p_value if sums.any() else 1.0
    if sums.size < min(n, FEWEST_GROUPS):
        lower, upper = -1.0, 1.0
    elif changed == 0 and math.isinf(df):
        upper = unseen_fraction(alpha, n)
        lower = -upper
    else:
        level = alpha if math.isinf(df) else float(ndtr(stdtrit(df, alpha)))
        lower, upper = tango(lost / effect, gained / effect, n / effect, level)
        if lost != gained:
            seen = max(1.0, float((sums**2).sum()) / changed)
            inner = tango(lost / seen, gained / seen, n / seen, alpha)
            lower, upper = (inner[0], upper) if gained > lost else (lower, inner[1])
    found = Paired(
        (gained - lost) / n, lower, upper, p_value, p_gain, math.sqrt(changed * effect) / n, n,
        discordance=changed / n, effect=effect, possible_loss=1.0,
        test="McNemar, mid-p" if sums.size == n else "sign flips by group, mid-p",
        sums=sums,
    )  # fmt: skip
    return align_interval(found, alpha)
