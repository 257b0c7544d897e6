"""Differences of arrays between two sides, relative to their size."""

from __future__ import annotations

import numpy as np

from pytest_qbench.why.trace import Floats

_TINY = 1e-30


def relative_difference(a: Floats, b: Floats) -> float:
    """Return the root mean square, over tokens, of each token's difference relative to its length.

    `a` and `b` are (tokens, values) of equal shape. NaN on one side alone is an infinite difference.
    """
    return float(np.sqrt(np.mean(token_differences(a, b) ** 2))) if len(a) else 0.0


def token_differences(a: Floats, b: Floats) -> Floats:
    """Return the difference of each token relative to the mean length of all tokens and its own, (tokens,)."""
    with np.errstate(invalid="ignore", over="ignore"):
        lengths = np.linalg.norm(a.astype(np.float64), axis=1)
        sizes = np.sqrt(lengths * max(float(lengths.mean()), _TINY)) if len(a) else lengths
        found = np.linalg.norm(a.astype(np.float64) - b.astype(np.float64), axis=1) / np.maximum(sizes, _TINY)
    both = ~np.isfinite(a).all(axis=1) & ~np.isfinite(b).all(axis=1)
    found[both] = 0.0
    found[np.isnan(found)] = np.inf
    differences: Floats = found.astype(np.float32)
    return differences


def whole_difference(a: Floats, b: Floats) -> float:
    """Return the length of the difference of two arrays of equal shape relative to the length of the first."""
    with np.errstate(invalid="ignore", over="ignore"):
        difference = float(np.linalg.norm((a.astype(np.float64) - b.astype(np.float64)).ravel()))
    size = float(np.linalg.norm(a.astype(np.float64).ravel()))
    return difference / max(size, _TINY)
