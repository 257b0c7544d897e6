"""Power of the accuracy gate by enumeration: how often it finds a drop and passes an unchanged model; inverses.

Of n paired items a fraction `discordance` differs between candidate and baseline. A net `drop` (both in [0, 1]) means
that (discordance + drop) / 2 of the items are lost and (discordance - drop) / 2 gained. A drop is found if the mid-p
value of McNemar's test lies below `alpha` and the observed drop exceeds the `margin`. Nothing here is simulated.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import betainc, gammaln, ndtri, xlog1py, xlogy

from pytest_qbench.stats.intervals import normal_quantile, tango_excludes
from pytest_qbench.stats.resampling import Floats

FEW_PAIRS = 100
ROUNDING = 1e-9  # rounding error of a difference of two counts over n


def mcnemar_power(drop: float, discordance: float, n: int, alpha: float, margin: float = 0.0) -> float:
    """Return the probability that McNemar's mid-p test finds a net `drop` on `n` paired items.

    The observed drop also has to exceed `margin`. The number of discordant pairs m is Bin(n, discordance), the lost
    among them are Bin(m, (1 + drop / discordance) / 2) (Connor 1987, unconditional power). Values of m further than 10
    standard deviations from their mean are left out. Raises ValueError unless 0 <= drop <= discordance <= 1 and n >= 1.
    """
    _check(drop, discordance, n, alpha)
    if discordance == 0:
        return 0.0
    pairs, log_pmf = _pairs(discordance, n)
    beyond = np.floor((pairs + margin * n) / 2 + ROUNDING) + 1
    found = _tail(np.maximum(_critical(pairs, alpha), beyond), pairs, min(1.0, (1 + drop / discordance) / 2))
    return min(1.0, float(np.exp(log_pmf) @ found))


def pass_probability(drop: float, discordance: float, n: int, alpha: float, margin: float) -> float:
    """Return the probability that the lower bound at `alpha` lies above -`margin` when the model lost a net `drop`.

    Items are independent; the bound is that of `paired_binary`. Arguments and errors as for `mcnemar_power`.
    """
    _check(drop, discordance, n, alpha)
    least = math.log(alpha) / math.log1p(-margin) if 0 < margin < 1 else math.inf
    if discordance == 0:
        return float(n > least)
    pairs, log_pmf = _pairs(discordance, n)
    z, total = normal_quantile(alpha), 0.0
    share = min(1.0, (1 + drop / discordance) / 2)
    for m, weight in zip(pairs, np.exp(log_pmf), strict=True):
        if m == 0:
            total += weight * (n > least)
            continue
        lost = np.arange(m + 1)
        inner = gammaln(m + 1) - gammaln(lost + 1) - gammaln(m - lost + 1) + xlogy(lost, share)
        inner += xlog1py(m - lost, -share)
        total += weight * float(np.exp(inner) @ tango_excludes(lost, m - lost, n, -margin, z))
    return min(1.0, total)


def mcnemar_mde(discordance: float, n: int, alpha: float, power: float = 0.8, margin: float = 0.0) -> float | None:
    """Return the smallest net drop that `n` items show with `power`; None where not even the loss of all is found.

    A drop of d needs a discordance of at least d, so beyond `discordance` the drop determines its own. Found by
    bisection on `mcnemar_power`, to 1e-7. Raises ValueError for a discordance outside [0, 1].
    """

    def reaches(drop: float) -> bool:
        return mcnemar_power(drop, max(discordance, drop), n, alpha, margin) >= power

    if not 0 <= discordance <= 1:
        raise ValueError(f"discordance {discordance} is not in [0, 1]")
    if n < 1 or not reaches(1.0):
        return None
    low, high = 0.0, 1.0
    while high - low > 1e-7:
        middle = (low + high) / 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def items_needed(drop: float, discordance: float, alpha: float, power: float = 0.8, margin: float = 0.0) -> int:
    """Return the number of items with which a net `drop` is found with `power`; one item fewer does not suffice.

    Power rises with n except for steps of a fraction of a percent (the test is discrete). The answer is found by
    bisection and may lie within such a step. Raises ValueError unless margin < drop <= discordance <= 1.
    """
    if drop <= max(0.0, margin):
        raise ValueError(f"drop {drop} is not beyond the margin {margin}: no number of items shows it")
    low, high = 0, 1
    while mcnemar_power(drop, discordance, high, alpha, margin) < power:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        enough = mcnemar_power(drop, discordance, middle, alpha, margin) >= power
        low, high = (low, middle) if enough else (middle, high)
    return high


def items_to_pass(margin: float, discordance: float, alpha: float, power: float = 0.8) -> int:
    """Return the number of items with which an unchanged model passes with `power`.

    It passes if its lower bound lies above -`margin`. The change has the standard error sqrt(discordance / n), so n =
    discordance ((z[1 - alpha] + z[power]) / margin)^2. Without any change, n items exclude a drop of the margin from
    log(alpha) / log(1 - margin) on.
    """
    if not 0 < margin < 1:
        raise ValueError(f"margin {margin} is not in (0, 1)")
    wide = normal_quantile(alpha) + float(ndtri(power))
    n = max(math.ceil(discordance * (wide / margin) ** 2), math.ceil(math.log(alpha) / math.log1p(-margin)))
    while 0 < n * discordance < FEW_PAIRS and pass_probability(0.0, discordance, n, alpha, margin) < power:
        n = math.ceil(1.03 * n)  # the normal approximation is slightly too small for so few discordant pairs
    return n


def _check(drop: float, discordance: float, n: int, alpha: float) -> None:
    if not 0 <= drop <= discordance <= 1:
        raise ValueError(f"0 <= drop <= discordance <= 1 is needed, not drop {drop}, discordance {discordance}")
    if n < 1 or not 0 < alpha < 1:
        raise ValueError(f"n >= 1 and 0 < alpha < 1 are needed, not n {n}, alpha {alpha}")


def _pairs(discordance: float, n: int) -> tuple[Floats, Floats]:
    """Return the likely numbers of discordant pairs, and the logarithm of their probabilities."""
    reach = 10 * np.sqrt(n * discordance * (1 - discordance)) + 10
    pairs = np.arange(max(0.0, np.floor(n * discordance - reach)), min(n, np.ceil(n * discordance + reach)) + 1)
    log_pmf = gammaln(n + 1) - gammaln(pairs + 1) - gammaln(n - pairs + 1)
    log_pmf += xlogy(pairs, discordance) + xlog1py(n - pairs, -discordance)
    return pairs, log_pmf


def _critical(pairs: Floats, alpha: float) -> Floats:
    """Return the smallest number of lost pairs whose mid-p value lies below `alpha`; pairs + 1 where there is none."""
    lost: Floats = np.clip(np.ceil(pairs / 2 + ndtri(1 - alpha) * np.sqrt(pairs) / 2), 1, pairs + 1)
    while (short := (_mid_p(lost, pairs) >= alpha) & (lost <= pairs)).any():
        lost += short
    while (spare := (_mid_p(lost - 1, pairs) < alpha) & (lost > 0)).any():
        lost -= spare
    return lost


def _mid_p(lost: Floats, pairs: Floats) -> Floats:
    """Return the mid-p value of `lost` pairs: P(X > lost) + P(X = lost) / 2 for X ~ Bin(pairs, 1/2)."""
    return (_tail(lost, pairs, 0.5) + _tail(lost + 1, pairs, 0.5)) / 2


def _tail(k: Floats, pairs: Floats, share: float) -> Floats:
    """Return P(Bin(pairs, share) >= k), the regularised incomplete beta function of share at (k, pairs - k + 1)."""
    tail: Floats = betainc(np.maximum(k, 1), np.maximum(pairs - k + 1, 1), share)
    tail[k <= 0], tail[k > pairs] = 1.0, 0.0
    return tail
