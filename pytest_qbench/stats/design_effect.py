"""Design effect of items that share a source, and the losses that a number of items can fail to show."""

from __future__ import annotations

import math

import numpy as np

from pytest_qbench.stats.resampling import Floats

PRIOR_CORRELATION = 0.15  # assumed intraclass correlation of the changes within a group
PRIOR_ITEMS = 20.0  # number of changed items that this assumption weighs as much as


def design_effect(sums: Floats, members: Floats, deltas: Floats) -> tuple[float, float]:
    """Return the design effect, at least 1, and its degrees of freedom.

    The design effect is the variance of the groups' changes over that of independent items. `sums`, `members` (G,) are
    the groups' sums and sizes, `deltas` (n,) the changes of the items. Two or three changed items cannot show how
    groups change, so a prior stabilises both numbers: 20 changed items with an intraclass correlation of 0.15. Items in
    groups of one have the effect 1 and infinite degrees of freedom.
    """
    if members.max() <= 1:
        return 1.0, math.inf
    size = float((members**2).sum() / members.sum())  # mean size of the group that an item belongs to
    prior = 1 + (size - 1) * PRIOR_CORRELATION
    changed = np.count_nonzero(deltas)
    unit = float((deltas**2).sum()) / changed if changed else 1.0
    squares, fourth = float((sums**2).sum()) / unit, float((sums**4).sum()) / unit**2
    effect = max(1.0, (squares + PRIOR_ITEMS * prior) / (changed + PRIOR_ITEMS))
    return effect, (squares + PRIOR_ITEMS * prior) ** 2 / (fourth + PRIOR_ITEMS * prior**2)


def unseen_fraction(alpha: float, n: float) -> float:
    """Return the largest fraction of changed items of which `n` items show none with probability `alpha`."""
    return -math.expm1(math.log(alpha) / n)


def unseen_items(alpha: float, fraction: float) -> int:
    """Return the number of items that show at least one change with probability 1 - `alpha`.

    `fraction` is the fraction of items that change.
    """
    return math.ceil(math.log(alpha) / math.log1p(-fraction)) if 0 < fraction < 1 else 1


def mean_possible_loss(room: Floats) -> float:
    """Return the mean possible loss of an item, weighted by the points that can be lost: sum(room^2) / sum(room).

    `room` (n,) is the distance of each item's value from the lower (for a gain: upper) end of the scale. Items with
    more room hold more of the points that can be lost, hence the weight. Right/wrong answers give 1. Zero where no item
    has room.
    """
    return float((room**2).sum() / room.sum()) if room.any() else 0.0
