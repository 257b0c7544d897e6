"""Test the levels of the looks against published boundaries and a simulation of Brownian motion."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

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


@pytest.mark.parametrize("fractions", [(), (0.0, 1.0), (0.5, 0.5, 1.0), (0.5, 1.2)])
def test_fractions_must_rise_within_the_unit_interval(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="must rise"):
        look_levels(fractions, 0.05)
