from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from pytest_qbench.stats.multiplicity import benjamini_hochberg
from pytest_qbench.stats.slices import compare_slices


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_benjamini_hochberg_equals_statsmodels(p_values: list[float]) -> None:
    expected = multipletests(p_values, method="fdr_bh")[1]
    np.testing.assert_allclose(benjamini_hochberg(p_values), expected, rtol=1e-9, atol=1e-12)


def test_p_values_outside_0_to_1_are_refused() -> None:
    with pytest.raises(ValueError, match="not p-values"):
        benjamini_hochberg([0.5, 1.5])


def test_the_p_value_is_the_share_of_all_exchanges() -> None:
    """Against the enumeration of all orders of six units."""
    deltas = np.array([-1.0, -1.0, 0.0, 1.0, 0.0, -0.5])
    inside = np.array([[True, True, False, False, False, False], [False, False, True, True, False, False]])
    orders = [deltas[list(order)] for order in permutations(range(6))]
    exact = [np.mean([order[own].sum() <= deltas[own].sum() for order in orders]) for own in inside]
    found = compare_slices(deltas, list(range(6)), inside, draws=20_000)
    np.testing.assert_allclose(found.p_values, exact, atol=0.012)
    assert found.scores[0] > 0 > found.scores[1]


def test_items_of_one_unit_move_together() -> None:
    """Ten units of ten items: as independent items, the loss of a whole unit would be certain."""
    deltas = np.zeros(100)
    deltas[:10] = -1
    inside = np.arange(100)[None, :] < 10
    units = [i // 10 for i in range(100)]
    assert compare_slices(deltas, units, inside).p_values[0] == pytest.approx(0.1, abs=0.02)
    assert compare_slices(deltas, list(range(100)), inside).p_values[0] < 0.001
