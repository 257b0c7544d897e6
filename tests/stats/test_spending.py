"""Test the levels of the looks against published boundaries and a simulation of Brownian motion."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from pytest_qbench.stats.spending import look_levels, spent


def test_boundaries_agree_with_the_published_ones() -> None:
    """Lan & DeMets (1983) with the O'Brien-Fleming-type function, five looks, two-sided 0.05."""
    found = norm.isf(look_levels((0.2, 0.4, 0.6, 0.8, 1.0), 0.025))
    assert found == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=2e-3)


def test_one_look_spends_everything() -> None:
    assert look_levels((1.0,), 0.05) == pytest.approx((0.05,), rel=1e-6)
    assert spent(1.0, 0.05) == pytest.approx(0.05)


@pytest.mark.parametrize("fractions", [(0.5, 0.75, 1.0), (0.3, 1.0), (0.1, 0.45, 0.9, 1.0)])
def test_all_looks_together_reject_with_probability_alpha(fractions: tuple[float, ...]) -> None:
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(400_000, len(fractions))) * np.sqrt(np.diff([0, *fractions]))
    z = steps.cumsum(axis=1) / np.sqrt(fractions)
    rejected = (z > norm.isf(look_levels(fractions, 0.05))).any(axis=1).mean()
    assert rejected == pytest.approx(0.05, abs=0.0015)


@pytest.mark.parametrize("fractions", [(0.5, 1.0), (0.3, 0.7), (0.5, 0.75, 1.0)])
def test_each_look_has_spent_its_part(fractions: tuple[float, ...]) -> None:
    """By the distribution of all looks together: scores at f and g correlate by sqrt(f / g)."""
    limits = norm.isf(look_levels(fractions, 0.05))
    for k in range(1, len(fractions) + 1):
        times = np.array(fractions[:k])
        shared = np.sqrt(np.minimum.outer(times, times) / np.maximum.outer(times, times))
        inside = multivariate_normal(cov=shared, abseps=1e-9, releps=1e-9, maxpts=10**6, seed=0).cdf(limits[:k])
        used = 2 * norm.sf(norm.isf(0.025) / np.sqrt(fractions[k - 1]))  # the function of Lan & DeMets
        assert 1 - inside == pytest.approx(used, abs=2e-7)
        assert spent(fractions[k - 1], 0.05) == pytest.approx(used)


def test_a_very_early_look_stops_nothing() -> None:
    early, last = look_levels((0.01, 1.0), 0.05)
    assert early == pytest.approx(1e-15, rel=1e-6)
    assert last == pytest.approx(0.05, rel=1e-6)


@pytest.mark.parametrize("fractions", [(), (0.0, 1.0), (0.5, 0.5, 1.0), (0.5, 1.2)])
def test_fractions_must_rise_within_the_unit_interval(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="must rise"):
        look_levels(fractions, 0.05)
