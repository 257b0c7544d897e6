"""A test by betting that can stop at any item: the e-process of a drop.

A bettor with one unit bets before each group that the candidate answers worse. If nothing changed, the bet is fair: the
passes of a group are exchangeable (see `permuted_passes`), so the expected factor is 1 whatever happened before. The
wealth then exceeds 1 / alpha with probability at most alpha, at any time (Ville 1939; Shafer & Vovk 2019; Ramdas et al.
2023). The strength of the bet is not known, so the wealth is the mean over bettors with several strengths.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy.special import logit, logsumexp

from pytest_qbench.stats.permuted_passes import log_mgf
from pytest_qbench.stats.resampling import Floats

# A bettor of strength p wins as if a changed answer were lost with probability p. Below 0.7 a bet grows too slowly to
# stop a broken model; a uniform mixture over these strengths costs about half a unit of logarithmic wealth.
WEAKEST = 0.7
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_TILTS: Floats = logit(WEAKEST + (1 - WEAKEST) * (_NODES + 1) / 2)
_LOG_SHARES: Floats = np.log(_WEIGHTS / 2)


@lru_cache(maxsize=1024)
def _fair(row: tuple[float, ...], drawn: int) -> Floats:
    """Return the logarithm of the mean stake of each bettor over the permutations; answers give few different rows."""
    return log_mgf(np.tile(row, (_TILTS.size, 1)), drawn, -_TILTS).value


class EProcess:
    """The wealth of the bettors. `unit` is the change of one answer; None takes the mean size of the changes so far."""

    def __init__(self, unit: float | None = 1.0) -> None:
        self._unit = unit
        self._sizes: tuple[float, int] = (0.0, 0)
        self._logs: Floats = np.zeros(_TILTS.size)
        self.log_wealth = 0.0
        self.largest = 0.0

    def add(self, passes: Floats, drawn: int) -> None:
        """Settle the bet on one group: `passes` (N,) are its totals by pass, the candidate's `drawn` ones first.

        The size of the bet may depend on the group's own totals, because it does not depend on which passes are the
        candidate's.
        """
        size = float(np.ptp(passes))
        if size == 0:
            return
        unit = self._unit
        if unit is None:
            self._sizes = (self._sizes[0] + size, self._sizes[1] + 1)
            unit = self._sizes[0] / self._sizes[1]
        row = (passes - passes.mean()) / unit
        self._logs = self._logs - _TILTS * float(row[:drawn].sum()) - _fair(tuple(np.sort(row).tolist()), drawn)
        self.log_wealth = float(logsumexp(self._logs + _LOG_SHARES))
        self.largest = max(self.largest, self.log_wealth)

    @property
    def p_value(self) -> float:
        """The p-value of no change that holds at any stopping time: 1 over the largest wealth so far."""
        return math.exp(-self.largest)
