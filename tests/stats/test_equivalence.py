"""Bounds of a mean distance: against SciPy, closed forms and simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm, t

from pytest_qbench.stats.equivalence import mean_bounds, rate_bounds
from pytest_qbench.stats.resampling import Undefined


def test_symmetric_values_have_the_t_interval_of_scipy() -> None:
    values = np.concatenate([np.linspace(-1, 1, 41), np.linspace(-1, 1, 41)]) + 3
    found = mean_bounds(values, range(values.size), 0.05)
    lower, upper = t.interval(0.9, values.size - 1, loc=3, scale=values.std(ddof=1) / math.sqrt(values.size))
    assert (found.mean, found.n) == (pytest.approx(3), 82)
    assert (found.lower, found.upper) == (pytest.approx(lower), pytest.approx(upper))


def test_items_of_one_photo_count_as_one() -> None:
    values, groups = np.arange(30.0), [f"{i}" for i in range(30)]
    once, ten = mean_bounds(values, groups, 0.05), mean_bounds(np.repeat(values, 10), np.repeat(groups, 10), 0.05)
    assert (ten.lower, ten.upper) == (pytest.approx(once.lower), pytest.approx(once.upper))


def test_constant_values_leave_no_doubt_and_three_photos_all_of_it() -> None:
    assert (mean_bounds([0.1] * 60, range(60), 0.05).upper) == pytest.approx(0.1)
    assert mean_bounds([0.0, 0.1, 0.2] * 50, [0, 1, 2] * 50, 0.05).upper == math.inf
    assert (rate_bounds([0] * 150, [0, 1, 2] * 50, 0.05).upper) == 1
    with pytest.raises(Undefined):
        mean_bounds([], [], 0.05)


def test_four_photos_have_bounds() -> None:
    assert math.isfinite(mean_bounds([0.0, 0.1, 0.2, 0.3], range(4), 0.05).upper)
    assert rate_bounds([0] * 80, [0, 1, 2, 3] * 20, 0.05).upper < 1
    three = mean_bounds([0.0, 0.1, 0.5] * 50, [0, 1, 2] * 50, 0.05)
    assert (three.lower, three.upper, three.mean, three.n) == (-math.inf, math.inf, pytest.approx(0.2), 150)
    three = rate_bounds([1, 0, 0] * 50, [0, 1, 2] * 50, 0.05)
    assert (three.lower, three.upper, three.mean, three.n) == (0, 1, pytest.approx(1 / 3), 150)


def test_hits_and_misses_are_mirror_images() -> None:
    hits = np.arange(90) % 7 == 0
    rate, rest = rate_bounds(hits, range(90), 0.05), rate_bounds(~hits, range(90), 0.05)
    assert (rate.lower, rate.upper, rate.n) == (pytest.approx(1 - rest.upper, abs=0.01), pytest.approx(1 - rest.lower, abs=0.01), 90)  # fmt: skip
    every = rate_bounds([1] * 50, range(50), 0.05)
    assert (every.mean, every.upper) == (1, 1)
    z2 = norm.isf(0.05) ** 2
    assert every.lower == pytest.approx((50 - z2) / (50 + z2))  # Tango (1998), all of 50 lost


@pytest.mark.parametrize("n", [50, 299, 2000])
def test_without_a_hit_the_upper_bound_is_what_so_many_items_would_have_shown(n: int) -> None:
    found = rate_bounds([0] * n, range(n), 0.05)
    assert (found.mean, found.lower) == (0, 0)
    assert binom.cdf(0, n, found.upper) == pytest.approx(0.05)


@given(st.integers(8, 60), st.integers(100, 400))
def test_the_bounds_of_a_rate_are_close_to_the_exact_ones(hits: int, n: int) -> None:
    found = rate_bounds([1] * hits + [0] * (n - hits), range(n), 0.05)
    assert found.mean == pytest.approx(hits / n)
    assert found.lower < found.mean < found.upper
    assert 0.02 < binom.cdf(hits, n, found.upper) < 0.09
    assert 0.02 < binom.sf(hits - 1, n, found.lower) < 0.09


@pytest.mark.parametrize("size", [1, 6])
def test_a_mean_at_the_margin_is_seldom_below_or_above_it(size: int) -> None:
    """Distances are exponential: the margin is their true mean, so each claim is an error; 0.05 of runs each."""
    rng, runs, photos = np.random.default_rng(0), 1000, 40
    groups = np.repeat(np.arange(photos), size)
    below = above = 0
    for _ in range(runs):
        values = np.repeat(rng.exponential(1.0, photos), size) * rng.uniform(0.5, 1.5, photos * size)
        found = mean_bounds(values, groups, 0.05)
        below, above = below + (found.upper < 1), above + (found.lower > 1)
    assert below / runs < 0.09
    assert above / runs < 0.06


@pytest.mark.parametrize("sign", [1, -1])
def test_skewness_moves_the_bound_of_the_long_side_alone(sign: int) -> None:
    """The other bound is that of SciPy's t interval."""
    values = sign * np.random.default_rng(0).exponential(size=100)
    found = mean_bounds(values, range(100), 0.05)
    plain = t.interval(0.9, 99, loc=values.mean(), scale=values.std(ddof=1) / 10)
    bounds = (found.lower, found.upper)
    short, long = (0, 1) if sign > 0 else (1, 0)
    assert bounds[short] == pytest.approx(plain[short])
    assert 1.02 < (bounds[long] - values.mean()) / (plain[long] - values.mean()) < 1.5
