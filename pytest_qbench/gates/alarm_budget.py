"""Level of a gate: its share of alpha, and the alpha that earlier gates cannot use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

# Highest level of a gate that uses more than its share: mid-p and large-sample tests exceed their level a little.
MOST = 0.045


class Spending(NamedTuple):
    """The level of a gate, whether its rows share this level by Holm, and the alpha that it leaves to later gates."""

    level: float
    is_shared: bool
    unspent: float


def alarm_budget(share: float, leftover: float) -> float:
    """Return the level at which a gate can judge whatever its items do: its share and the unused alpha before it."""
    return max(share, min(MOST, share + leftover))


def spend(share: float, leftover: float, chances: Sequence[float]) -> Spending:
    """Return the level at which a gate with this `share` of alpha tests its rows.

    `leftover` is the alpha that earlier gates did not use. `chances` are the probabilities that an unchanged model
    shows a drop beyond the margin, one per row (`Paired.alarm_chance`). A row whose changes seldom exceed the margin
    can hardly raise a false alarm at any level. If all rows together attain no more than the budget, each is tested at
    the undivided level `MOST`. The rest of the budget goes to later gates (after Tarone 1990). If they attain more, the
    budget is the level, and the rows share it by Holm. The chances depend only on the sizes of the changes, which stay
    the same when the two runs are exchanged. So the false alarms of the gates add up to at most alpha.
    """
    budget = alarm_budget(share, leftover)
    level = max(share, MOST)
    attained = sum(min(level, chance) for chance in chances)
    if attained <= budget:
        return Spending(level, False, budget - attained)
    return Spending(budget, True, 0.0)
