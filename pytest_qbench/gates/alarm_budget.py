"""How a gate spends its share of alpha, and what it leaves to the gates after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

# Most that gates with several shares may spend: mid-p values and large-sample tests exceed their level a little.
MOST = 0.045


class Spending(NamedTuple):
    """The level of a gate, whether its rows share it by Holm, and the part of alpha that it leaves over."""

    level: float
    is_shared: bool
    unspent: float


def spend(share: float, carried: float, chances: Sequence[float]) -> Spending:
    """Return the level at which a gate with this `share` of alpha tests its rows; `carried` is left by earlier gates.

    `chances` are the probabilities with which an unchanged model shows a drop beyond the margin, a row each
    (`Paired.alarm_chance`). A row that is quieter than its margin can hardly raise a false alarm at any level. Where
    all rows together attain no more than the budget, each is tested at the undivided level `MOST`, and what they cannot
    spend goes to later gates (after Tarone 1990). Else the budget is the level, and the rows share it by Holm. The
    chances depend on how far items move either way, which an exchange of the two runs leaves as it is. So the false
    alarms of the gates add up to at most alpha.
    """
    budget = max(share, min(MOST, share + carried))
    level = max(share, MOST)
    attained = sum(min(level, chance) for chance in chances)
    if attained <= budget:
        return Spending(level, False, budget - attained)
    return Spending(budget, True, 0.0)
