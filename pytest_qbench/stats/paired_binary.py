"""Paired comparison of right/wrong answers: McNemar's mid-p test by group, and a score interval that agrees with it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, stdtrit

from pytest_qbench.stats.intervals import tango
from pytest_qbench.stats.paired import Paired, by_group, in_agreement, paired_deltas
from pytest_qbench.stats.resampling import Floats
from pytest_qbench.stats.sign_flips import flip_p_value

# Before any item changed, items of one group are taken to change together with this intraclass correlation ...
PRIOR_CORRELATION = 0.15
# ... and this assumption counts as much as so many items that changed.
PRIOR_ITEMS = 20.0
FEWEST_GROUPS = 4  # with fewer groups that repeat, no test at 0.05 can reject


def paired_binary(candidate: ArrayLike, baseline: ArrayLike, groups: Sequence[Hashable], alpha: float) -> Paired:
    """Compare right/wrong answers: the difference of two accuracies on the same `n` items, in [-1, 1].

    `candidate`, `baseline` (n,) are boolean, `groups` (n,) labels. The p-value is the sign-flip test by group with half
    of the ties, which is McNemar's mid-p test when every group has one item. The interval inverts the corresponding
    score test (Tango 1998) at the effective counts lost / D, gained / D, n / D (Obuchowski 1998). D is the design
    effect seen: the variance of the groups' sums over that of independent items.

    Where groups repeat, two or three changed items tell nothing of how groups move. On the sides that the test leaves
    open D is therefore steadied by a prior: 20 changed items with an intraclass correlation of 0.15. There the
    quantile is that of t with the effective number of changed groups as degrees of freedom. Without any change of
    single items the bounds are exact: the drop that n items would have shown with probability 1 - alpha. Fewer than
    four groups that repeat have the interval [-1, 1]. Raises `Undefined` for no items, ValueError for lists of
    different lengths.
    """
    new, old = np.asarray(candidate, dtype=bool), np.asarray(baseline, dtype=bool)
    deltas = paired_deltas(new, old)
    sums, members = by_group(deltas, groups)
    n, lost, gained = deltas.size, int((deltas < 0).sum()), int((deltas > 0).sum())
    changed, effect, df = lost + gained, 1.0, math.inf
    if members.max() > 1:
        effect, df = design_effect(sums, members, changed)
    p_value = flip_p_value(sums) if sums.any() else 1.0
    p_gain = 1 - p_value if sums.any() else 1.0
    if sums.size < min(n, FEWEST_GROUPS):
        lower, upper = -1.0, 1.0
    elif changed == 0 and math.isinf(df):
        upper = -math.expm1(math.log(alpha) / n)
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
        discordance=changed / n, effect=effect,
        test="McNemar, mid-p" if sums.size == n else "sign flips by group, mid-p",
    )  # fmt: skip
    return in_agreement(found, alpha)


def design_effect(sums: Floats, members: Floats, changed: int) -> tuple[float, float]:
    """Variance of the changes by group over that of independent items, at least 1, and its degrees of freedom.

    Both are steadied by the prior of `paired_binary`.
    """
    size = float((members**2).sum() / members.sum())  # of the group of an item
    prior = 1 + (size - 1) * PRIOR_CORRELATION
    squares, fourth = float((sums**2).sum()), float((sums**4).sum())
    effect = max(1.0, (squares + PRIOR_ITEMS * prior) / (changed + PRIOR_ITEMS))
    return effect, (squares + PRIOR_ITEMS * prior) ** 2 / (fourth + PRIOR_ITEMS * prior**2)


def _tail_of_t(df: float, alpha: float) -> float:
    """Normal level whose quantile is that of t with `df` degrees of freedom at `alpha`."""
    return float(ndtr(stdtrit(df, alpha)))
