"""Test the test by betting: fair factors by enumeration, a closed form, and Ville's inequality in a simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, uniform

from pytest_qbench.stats.betting import WEAKEST, EProcess


def wealth(groups: list[np.ndarray], drawn: int, unit: float | None = 1.0) -> float:
    process = EProcess(unit)
    for group in groups:
        process.add(group, drawn)
    return float(np.exp(process.log_wealth))


@given(
    st.integers(2, 3).flatmap(
        lambda n: st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=1, max_size=2)
    ),
    st.sampled_from([1.0, None]),
)
def test_the_mean_wealth_over_all_permutations_is_the_stake(rows: list[list[int]], unit: float | None) -> None:
    """Whichever pass is the candidate's: the bet is fair before every group."""
    found = []
    for order in itertools.product(*(itertools.permutations(row) for row in rows)):
        found.append(wealth([np.array(row, dtype=float) for row in order], 1, unit))
    assert np.mean(found) == pytest.approx(1)


@pytest.mark.parametrize("lost, gained", [(0, 0), (5, 0), (0, 5), (12, 3), (60, 20)])
def test_single_answers_have_the_closed_form_of_a_uniform_mixture(lost: int, gained: int) -> None:
    """The mean of (2 p)^lost (2 (1 - p))^gained over uniform p, by the incomplete beta function."""
    rows = [np.array([0.0, 1.0])] * lost + [np.array([1.0, 0.0])] * gained + [np.array([1.0, 1.0])] * 7
    posterior = beta(lost + 1, gained + 1)
    integral = np.exp(_log_beta(lost + 1, gained + 1)) * posterior.sf(WEAKEST)
    expected = 2.0 ** (lost + gained) * integral / (1 - WEAKEST)
    assert wealth(rows, 1) == pytest.approx(expected, rel=1e-3)


def _log_beta(a: float, b: float) -> float:
    from scipy.special import betaln

    return float(betaln(a, b))


def test_the_unit_follows_the_sizes_so_far() -> None:
    rng = np.random.default_rng(0)
    rows = list(uniform.rvs(size=(30, 2), random_state=rng))
    assert wealth(rows, 1, None) == pytest.approx(wealth([100 * row for row in rows], 1, None))


def test_an_unchanged_model_seldom_wins_at_any_item() -> None:
    """Ville: the wealth ever exceeds 20 with probability at most .05; 200 runs, standard error .015."""
    rng = np.random.default_rng(1)
    won = 0
    for _ in range(200):
        process = EProcess()
        for row in rng.integers(0, 2, (80, 2)).astype(float):
            process.add(row, 1)
        won += process.p_value <= 0.05
    assert 0 < won / 200 < 0.05 + 3 * 0.015


def test_a_broken_model_is_found_after_tens_of_items() -> None:
    rng = np.random.default_rng(2)
    used = []
    for _ in range(50):
        process, items = EProcess(), 0
        while process.p_value >= 0.005:
            process.add(np.array([float(rng.random() < 0.35), float(rng.random() < 0.75)]), 1)
            items += 1
        used.append(items)
    assert np.median(used) < 80


def test_a_new_bet_has_its_stake_and_proves_nothing() -> None:
    process = EProcess()
    process.add(np.array([1.0, 1.0]), 1)
    assert (process.log_wealth, process.p_value) == (0, 1)


def test_the_p_value_follows_the_largest_wealth_so_far() -> None:
    process, largest = EProcess(), 0.0
    for row in [[0.0, 1.0]] * 6 + [[1.0, 0.0]] * 6:
        process.add(np.array(row), 1)
        largest = max(largest, process.log_wealth)
        assert process.p_value == pytest.approx(np.exp(-largest))
    assert process.log_wealth < 0 < largest


def test_without_a_unit_a_bet_is_on_changes_over_their_mean_size_so_far() -> None:
    sizes = [2.0, 4.0, 0.0, 1.0]
    scaled = [2 / 2, 4 / 3, 0, 1 / (7 / 3)]  # a group without a change has no size
    assert wealth([np.array([0.0, s]) for s in sizes], 1, None) == pytest.approx(
        wealth([np.array([0.0, s]) for s in scaled], 1)
    )
