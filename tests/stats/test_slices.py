from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from pytest_qbench.stats import slices
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


def test_only_units_of_one_size_are_exchanged_wherever_their_items_stand() -> None:
    """Against the enumeration: three units of two items and two of one. The mean and deviation are those of all orders."""
    units = ["a", "b", "x", "c", "a", "y", "c", "b"]
    deltas = np.array([-1.0, 0.5, -0.7, 0.0, -0.4, 0.3, 0.2, 0.0])
    inside = np.array([[u in ("a", "x") for u in units], [u == "y" for u in units]])
    pairs, singles = ["a", "b", "c"], ["x", "y"]
    places = {u: [i for i, own in enumerate(units) if own == u] for u in dict.fromkeys(units)}
    sums = []
    for two in permutations(pairs):
        for one in permutations(singles):
            moved = deltas.copy()
            for own, other in zip([*pairs, *singles], [*two, *one], strict=True):
                moved[places[own]] = deltas[places[other]]
            sums.append(inside @ moved)
    found, all_sums = compare_slices(deltas, units, inside, draws=8_000), np.array(sums)
    exact = (all_sums <= inside @ deltas + 1e-9).mean(axis=0)
    np.testing.assert_allclose(found.p_values, exact, atol=0.02)
    scores = (all_sums.mean(axis=0) - inside @ deltas) / all_sums.std(axis=0)
    np.testing.assert_allclose(found.scores, scores, atol=0.05)


def test_sums_that_differ_by_rounding_are_equal() -> None:
    """0.1 + 0.2 is not 0.3 in binary: each half of the items has lost as much as the other."""
    deltas = np.array([-0.1, -0.2, -0.3, 0.0])
    found = compare_slices(deltas, [0, 0, 1, 1], np.array([[True, True, False, False], [False, False, True, True]]))
    assert found.p_values.tolist() == [1, 1]


def test_without_a_change_nothing_is_found_and_with_a_sure_one_the_smallest_p_value() -> None:
    nothing = compare_slices(np.zeros(10), range(10), np.ones((1, 10), dtype=bool), draws=50)
    assert (nothing.p_values[0], nothing.scores[0]) == (1, 0)
    inside = np.arange(200) < 100
    found = compare_slices(np.where(inside, -1.0, 1.0), range(200), inside[None], draws=99)
    assert found.p_values[0] == 0.01


def test_the_result_does_not_depend_on_how_many_draws_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    deltas, inside = rng.normal(size=30), rng.random((3, 30)) < 0.4
    whole = compare_slices(deltas, range(30), inside, draws=500)
    monkeypatch.setattr(slices, "_BLOCK", 7 * 30)
    parts = compare_slices(deltas, range(30), inside, draws=500)
    assert parts.p_values.tolist() == whole.p_values.tolist()
    np.testing.assert_allclose(parts.scores, whole.scores)
    assert compare_slices(deltas, range(30), inside, seed=1, draws=500).p_values.tolist() != whole.p_values.tolist()


def test_four_thousand_draws_bound_the_p_value_from_below() -> None:
    inside = np.arange(60) < 30
    found = compare_slices(np.where(inside, -1.0, 1.0), range(60), inside[None])
    assert found.p_values[0] == 1 / 4001
