"""How much less items that share a source tell than single ones, and what a number of items can have missed."""

from __future__ import annotations

import math

import numpy as np

from pytest_qbench.stats.resampling import Floats

# Before any item changed, items of one group are taken to change together with this intraclass correlation ...
PRIOR_CORRELATION = 0.15
# ... and this assumption counts as much as so many items that changed.
PRIOR_ITEMS = 20.0


def design_effect(sums: Floats, members: Floats, deltas: Floats) -> tuple[float, float]:
    """Variance of the changes by group over that of independent items, at least 1, and its degrees of freedom.

    `sums`, `members` (G,) are the groups' sums and sizes, `deltas` (n,) the changes of the items. Two or three changed
    items tell nothing of how groups move, so both are steadied by a prior: 20 changed items with an intraclass
    correlation of 0.15. Single items have the effect 1 and infinite degrees of freedom.
    """
    if members.max() <= 1:
        return 1.0, math.inf
    size = float((members**2).sum() / members.sum())  # of the group of an item
    prior = 1 + (size - 1) * PRIOR_CORRELATION
    changed = np.count_nonzero(deltas)
    unit = float((deltas**2).sum()) / changed if changed else 1.0
    squares, fourth = float((sums**2).sum()) / unit, float((sums**4).sum()) / unit**2
    effect = max(1.0, (squares + PRIOR_ITEMS * prior) / (changed + PRIOR_ITEMS))
    return effect, (squares + PRIOR_ITEMS * prior) ** 2 / (fourth + PRIOR_ITEMS * prior**2)


def unseen_fraction(alpha: float, n: float) -> float:
    """Largest fraction of items that can have changed while `n` items show none of it, with probability `alpha`."""
    return -math.expm1(math.log(alpha) / n)


def unseen_items(alpha: float, fraction: float) -> int:
    """Number of items that show at least one change of such a `fraction` of them with probability 1 - `alpha`."""
    return math.ceil(math.log(alpha) / math.log1p(-fraction)) if 0 < fraction < 1 else 1


def stake(room: Floats) -> float:
    """What an item has to lose, given how far each lies from the end of the scale: the mean by points, not items.

    A point that is lost lies in an item with the value w as often as w says: sum(w^2) / sum(w). Right/wrong answers
    have 1. Zero where nothing can be lost.
    """
    return float((room**2).sum() / room.sum()) if room.any() else 0.0
