"""Fit of the logistic function that maps quality scores to the scale of MOS before PLCC and RMSE."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from pytest_qbench.stats.correlation import check_pairs
from pytest_qbench.stats.resampling import Floats, Undefined

# Imports in functions: the optimizer of SciPy loads where a curve is fitted.

EVALUATIONS = 1000  # limit for one search; a search that needs more does not converge
SCALES = (-7.0, 4.0)  # bounds of log(s / standard deviation of the scores)
STARTS = (0.0, -2.0)  # two searches: from a gentle rise and from a steep one


def logistic_fit(scores: ArrayLike, mos: ArrayLike) -> Floats:
    """Return `scores` (n,) mapped to the scale of `mos` by the best logistic function of four parameters.

    f(x) = b + a / (1 + exp(-(x - c) / s)) with a >= 0 and s > 0 (VQEG 2000). The function rises, so a model that ranks
    images upside down gains nothing. s ranges from nearly a step to nearly a straight line over these scores
    (`SCALES`). The fit is by least squares. For given c and s the best a and b are those of a straight line, so the
    search maximises the correlation over c and s. Raises `Undefined` where the search does not converge or the best
    function is constant.
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    x, y = np.asarray(scores, dtype=np.float64), np.asarray(mos, dtype=np.float64)
    check_pairs(x, y)
    if x.size < 5:
        raise Undefined(f"a fit of four parameters to {x.size} items")
    spread, middle = float(y.std()), float(y.mean())
    u, v = (x - x.mean()) / x.std(), (y - middle) / spread

    def curve(p: Floats) -> Floats:
        rising: Floats = expit((u - p[0]) * np.exp(-p[1]))
        rising -= rising.mean()
        return rising

    def loss(p: Floats) -> float:
        g = curve(p)
        size = float(np.einsum("i,i", g, g))  # `@` would wake a thread on every core for long vectors
        return -float(np.einsum("i,i", g, v)) / math.sqrt(size * g.size) if size > 0 else 0.0

    bounds = [(float(u.min()) - 1, float(u.max()) + 1), SCALES]
    limits = {"xatol": 1e-6, "fatol": 1e-10, "maxfev": EVALUATIONS}
    fits = [minimize(loss, (0.0, s), method="Nelder-Mead", bounds=bounds, options=limits) for s in STARTS]
    best = min(fits, key=lambda fit: float(fit.fun))
    if not best.success:
        raise Undefined(f"the logistic fit did not converge in {EVALUATIONS} evaluations")
    if best.fun > -1e-9:
        raise Undefined("the best rising logistic function is a constant: the scores do not rise with the MOS")
    g = curve(best.x)
    mapped: Floats = g * (np.einsum("i,i", g, v) / np.einsum("i,i", g, g)) * spread + middle
    return mapped
