"""Levels of the looks at a growing sample: alpha spending of the O'Brien-Fleming kind (Lan & DeMets 1983)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from pytest_qbench.stats.resampling import Floats

_REACH, _CELLS = 8.0, 1_601  # standard deviations and grid points of the numerical integration


def spent(fraction: float, alpha: float) -> float:
    """Return the part of the one-sided `alpha` that is spent when `fraction` of the items, in (0, 1], is measured."""
    return float(2 * ndtr(-ndtri(1 - alpha / 2) / np.sqrt(fraction)))


@cache
def look_levels(fractions: tuple[float, ...], alpha: float) -> tuple[float, ...]:
    """Return the nominal one-sided level of each look, so that all looks together reject with probability `alpha`.

    `fractions` are the fractions of the items at the looks, rising to 1. The sums of independent increments are
    integrated numerically (Armitage, McPherson & Rowe 1969); the levels agree with published tables to four digits.
    Raises ValueError for fractions that do not rise within (0, 1].
    """
    _check(fractions)
    levels: list[float] = []
    grid, weight = np.zeros(1), np.ones(1)  # the paths that no look has stopped: places and probabilities
    before, used = 0.0, 0.0
    for fraction in fractions:
        deviation = float(np.sqrt(fraction - before))
        wanted = max(spent(fraction, alpha) - used, 1e-15)
        bound = float(brentq(_excess, -_REACH, 2 * _REACH, args=(grid, weight, deviation, wanted)))
        used += wanted
        levels.append(float(ndtr(-bound / np.sqrt(fraction))))
        points = np.linspace(-_REACH * np.sqrt(fraction), bound, _CELLS)
        density = np.exp(-(((points[:, None] - grid) / deviation) ** 2) / 2) / (deviation * np.sqrt(2 * np.pi))
        simpson = np.full(_CELLS, 2.0)
        simpson[1::2], simpson[[0, -1]] = 4.0, 1.0
        grid, weight = points, (density @ weight) * simpson * (points[1] - points[0]) / 3
        before = fraction
    return tuple(levels)


def _excess(bound: float, grid: Floats, weight: Floats, deviation: float, wanted: float) -> float:
    """Return the logarithm of the probability that a path steps beyond `bound`, over that `wanted`."""
    beyond = max(float(weight @ ndtr((grid - bound) / deviation)), 1e-300)
    return float(np.log(beyond) - np.log(wanted))


def _check(fractions: Sequence[float]) -> None:
    if not fractions or fractions[0] <= 0 or fractions[-1] > 1 or any(b <= a for a, b in pairwise(fractions)):
        raise ValueError(f"looks at {list(fractions)}: fractions must rise within (0, 1]")
