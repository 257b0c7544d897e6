"""The design effect against exact fractions, and the limits of unseen changes against their definitions."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.stats.design_effect import design_effect, mean_possible_loss, unseen_fraction, unseen_items


def arrays(groups: list[list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return sums and sizes of the groups, and the changes of all items."""
    sums = np.array([sum(group) for group in groups], float)
    members = np.array([len(group) for group in groups], float)
    return sums, members, np.array([change for group in groups for change in group], float)


def exact(groups: list[list[int]]) -> tuple[Fraction, Fraction]:
    """Return the design effect and its degrees of freedom in exact fractions, for changes of -1, 0 and 1."""
    items = sum(map(len, groups))
    size = Fraction(sum(len(group) ** 2 for group in groups), items)
    prior = 1 + (size - 1) * Fraction(15, 100)
    changed = sum(change != 0 for group in groups for change in group)
    squares = sum(sum(group) ** 2 for group in groups)
    fourth = sum(sum(group) ** 4 for group in groups)
    effect = max(Fraction(1), (squares + 20 * prior) / (changed + 20))
    return effect, (squares + 20 * prior) ** 2 / (fourth + 20 * prior**2)


@given(st.lists(st.lists(st.sampled_from([-1, 0, 0, 1]), min_size=1, max_size=6), min_size=1, max_size=20))
def test_the_effect_equals_exact_fractions(groups: list[list[int]]) -> None:
    effect, freedom = design_effect(*arrays(groups))
    if all(len(group) == 1 for group in groups):
        assert (effect, freedom) == (1.0, math.inf)
    else:
        assert (effect, freedom) == pytest.approx(tuple(map(float, exact(groups))))


@given(st.floats(0.01, 100))
def test_the_unit_of_the_changes_does_not_matter(unit: float) -> None:
    sums, members, deltas = arrays([[1, 1, 0], [-1, 0], [1, -1, 1, 0], [0]])
    assert design_effect(unit * sums, members, unit * deltas) == pytest.approx(design_effect(sums, members, deltas))


@given(st.floats(1e-6, 0.5), st.integers(1, 10_000))
def test_the_unseen_fraction_shows_no_change_with_probability_alpha(alpha: float, n: int) -> None:
    assert (1 - unseen_fraction(alpha, n)) ** n == pytest.approx(alpha)


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.001])
@pytest.mark.parametrize("fraction", [0.9, 0.3, 0.013])
def test_the_unseen_items_are_the_fewest_that_show_a_change(alpha: float, fraction: float) -> None:
    n = unseen_items(alpha, fraction)
    assert (1 - fraction) ** n <= alpha
    assert (1 - fraction) ** (n - 1) > alpha


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_one_item_where_all_change_or_none(fraction: float) -> None:
    assert unseen_items(0.05, fraction) == 1


def test_the_possible_loss_is_weighted_by_room() -> None:
    assert mean_possible_loss(np.array([2.0, 1.0, 0.0, 1.0])) == pytest.approx(6 / 4)
    assert mean_possible_loss(np.array([1.0, 1.0, 0.0])) == 1
    assert mean_possible_loss(np.zeros(3)) == 0
