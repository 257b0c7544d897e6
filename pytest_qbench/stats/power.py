"""What a run of right/wrong answers can see: the exact power of the one-sided McNemar test, and its inverses.

Of n paired items a share `discordance` differs between candidate and baseline; a net `drop` (both in [0, 1]) means that
(discordance + drop) / 2 of the items are lost and (discordance - drop) / 2 gained. The test is `p < alpha`.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betainc, gammaln, ndtri, xlog1py, xlogy

from pytest_qbench.stats.resampling import Floats


def mcnemar_power(drop: float, discordance: float, n: int, alpha: float) -> float:
    """Probability that the one-sided exact McNemar test finds a net `drop` on `n` paired items.

    Exact: the number of discordant pairs m is Bin(n, discordance), the lost among them are
    Bin(m, (1 + drop / discordance) / 2) (Connor 1987, unconditional power). Pairs of m further than 10 standard
    deviations from their mean are left out. Raises ValueError unless 0 <= drop <= discordance <= 1 and n >= 1.
    """
    if not 0 <= drop <= discordance <= 1:
        raise ValueError(f"0 <= drop <= discordance <= 1 is needed, not drop {drop}, discordance {discordance}")
    if n < 1 or not 0 < alpha < 1:
        raise ValueError(f"n >= 1 and 0 < alpha < 1 are needed, not n {n}, alpha {alpha}")
    if discordance == 0:
        return 0.0
    reach = 10 * np.sqrt(n * discordance * (1 - discordance)) + 10
    pairs = np.arange(max(0.0, np.floor(n * discordance - reach)), min(n, np.ceil(n * discordance + reach)) + 1)
    log_pmf = gammaln(n + 1) - gammaln(pairs + 1) - gammaln(n - pairs + 1)
    log_pmf += xlogy(pairs, discordance) + xlog1py(n - pairs, -discordance)
    found = _tail(_critical(pairs, alpha), pairs, min(1.0, (1 + drop / discordance) / 2))
    return float(min(1.0, np.exp(log_pmf) @ found))


def mcnemar_mde(discordance: float, n: int, alpha: float, power: float = 0.8) -> float | None:
    """Smallest net drop that `n` items show with `power`; None where even the loss of every item would not be seen.

    A drop of d needs a discordance of at least d, so beyond `discordance` the drop brings its own. Found by bisection
    on `mcnemar_power`, to 1e-7. Raises ValueError for a discordance outside [0, 1].
    """

    def reaches(drop: float) -> bool:
        return mcnemar_power(drop, max(discordance, drop), n, alpha) >= power

    if not 0 <= discordance <= 1:
        raise ValueError(f"discordance {discordance} is not in [0, 1]")
    if n < 1 or not reaches(1.0):
        return None
    low, high = 0.0, 1.0
    while high - low > 1e-7:
        middle = (low + high) / 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def items_needed(drop: float, discordance: float, alpha: float, power: float = 0.8) -> int:
    """Number of items with which a net `drop` is found with `power`, while one item less does not do.

    Power rises with n but for steps of a fraction of a percent (the test is discrete); the answer is found by bisection
    and may lie within such a step. Raises ValueError unless 0 < drop <= discordance <= 1.
    """
    if drop <= 0:
        raise ValueError(f"drop {drop} is not positive: no number of items shows it")
    low, high = 0, 1
    while mcnemar_power(drop, discordance, high, alpha) < power:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if mcnemar_power(drop, discordance, middle, alpha) >= power else (middle, high)
    return high


def _critical(pairs: Floats, alpha: float) -> Floats:
    """Smallest number of lost pairs with P(Bin(pairs, 1/2) >= lost) < alpha; pairs + 1 where there is none."""
    lost: Floats = np.clip(np.ceil(pairs / 2 + ndtri(1 - alpha) * np.sqrt(pairs) / 2), 1, pairs + 1)
    while (short := _tail(lost, pairs, 0.5) >= alpha).any():
        lost += short
    while (spare := _tail(lost - 1, pairs, 0.5) < alpha).any():
        lost -= spare
    return lost


def _tail(k: Floats, pairs: Floats, share: float) -> Floats:
    """P(Bin(pairs, share) >= k), the regularised incomplete beta function of share at (k, pairs - k + 1)."""
    tail: Floats = betainc(np.maximum(k, 1), np.maximum(pairs - k + 1, 1), share)
    tail[k <= 0], tail[k > pairs] = 1.0, 0.0
    return tail
