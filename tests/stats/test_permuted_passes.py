"""Test the permutation of passes against enumeration, SciPy's hypergeometric distribution and McNemar's test."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from pytest_qbench.stats import permuted_passes
from pytest_qbench.stats.permuted_passes import log_mgf, permuted_p_value
from pytest_qbench.stats.sign_flips import flip_p_value


def by_hand(passes: np.ndarray, drawn: int, total: float) -> float:
    """Count every choice of `drawn` passes in every group."""
    each = [[sum(chosen) for chosen in itertools.combinations(row, drawn)] for row in passes.tolist()]
    sums = [sum(chosen) for chosen in itertools.product(*each)]
    return sum((s < total - 1e-9) + (abs(s - total) <= 1e-9) / 2 for s in sums) / len(sums)


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    n = draw(st.integers(2, 4))
    values = st.sampled_from([0.0, 1.0, 2.0]) if draw(st.booleans()) else st.floats(-2, 2).map(lambda v: round(v, 2))
    rows = draw(st.lists(st.lists(values, min_size=n, max_size=n), min_size=1, max_size=4))
    return np.array(rows), draw(st.integers(1, n - 1))


@given(outcomes())
def test_p_value_agrees_with_enumeration(given: tuple[np.ndarray, int]) -> None:
    passes, drawn = given
    own = float(passes[:, :drawn].sum())
    for total in (own, own - 1, own + 0.5, -100.0, 100.0):
        assert permuted_p_value(passes, drawn, total) == pytest.approx(by_hand(passes, drawn, total))


@given(outcomes(), st.sampled_from([-3.0, -0.4, 0.0, 0.7, 2.0]))
def test_the_generating_function_and_its_moments_agree_with_enumeration(
    given: tuple[np.ndarray, int], tilt: float
) -> None:
    passes, drawn = given
    found = log_mgf(passes, drawn, tilt)
    for g, row in enumerate(passes.tolist()):
        sums = np.array([sum(chosen) for chosen in itertools.combinations(row, drawn)])
        weights = np.exp(tilt * sums)
        assert found.value[g] == pytest.approx(math.log(weights.mean()), abs=1e-9)
        mean = float((weights * sums).sum() / weights.sum())
        assert found.mean[g] == pytest.approx(mean, abs=1e-9)
        square = float((weights * sums**2).sum() / weights.sum())
        assert found.variance[g] == pytest.approx(square - mean**2, abs=1e-8)


def test_a_large_tilt_does_not_overflow() -> None:
    found = log_mgf(np.array([[0.0, 3.0, 5.0]]), 2, 1e4)
    assert found.value[0] == pytest.approx(8e4 - math.log(3))
    assert found.mean[0] == pytest.approx(8)


@pytest.mark.parametrize("passes, drawn", [(6, 1), (6, 5), (10, 5), (3, 2)])
def test_single_answers_are_a_sum_of_hypergeometric_numbers(passes: int, drawn: int) -> None:
    rng = np.random.default_rng(passes)
    right = (rng.random((200, passes)) < rng.random((200, 1))).astype(float)
    pmf = np.ones(1)
    for row in right:
        pmf = np.convolve(pmf, hypergeom(passes, int(row.sum()), drawn).pmf(np.arange(drawn + 1)))
    for below in (0, 4, 12, 20):
        total = int(right[:, :drawn].sum()) - below
        expected = pmf[:total].sum() + pmf[total] / 2
        assert permuted_p_value(right, drawn, total) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_one_pass_each_is_the_sign_flip_test(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for passes in (rng.integers(0, 3, (80, 2)).astype(float), rng.normal(size=(80, 2)), rng.normal(size=(9, 2))):
        expected = flip_p_value(passes[:, 0] - passes[:, 1])
        assert permuted_p_value(passes, 1, float(passes[:, 0].sum())) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("drawn", [1, 2, 5])
def test_the_saddlepoint_is_close_to_the_convolution_also_in_the_tail(drawn: int) -> None:
    rows = np.random.default_rng(drawn).integers(0, 4, (120, 6)).astype(float)
    deviation = math.sqrt(float(log_mgf(rows, drawn, 0.0).variance.sum()))
    rows -= rows.min(axis=1, keepdims=True)
    rows = rows[np.ptp(rows, axis=1) > 0]
    for units in (-5, -3, -1, 0, 2):
        s = round(drawn * float(rows.mean(axis=1).sum()) + units * deviation)
        exact = permuted_passes._convolved(rows, drawn, s)
        assert permuted_passes._saddlepoint(rows, drawn, s) == pytest.approx(exact, rel=0.03)


@pytest.mark.parametrize("drawn", [1, 2])
def test_the_most_extreme_totals_have_half_the_probability_of_one_choice(drawn: int) -> None:
    rows = np.random.default_rng(0).normal(size=(30, 4))
    ordered, smallest = np.sort(rows, axis=1), math.comb(4, drawn) ** -30.0
    least, most = float(ordered[:, :drawn].sum()), float(ordered[:, -drawn:].sum())
    assert permuted_p_value(rows, drawn, least) == pytest.approx(smallest / 2, rel=1e-6)
    assert permuted_p_value(rows, drawn, most) == pytest.approx(1 - smallest / 2)
    assert permuted_p_value(rows, drawn, least - 1e-3) == 0
    assert permuted_p_value(rows, drawn, most + 1e-3) == 1
    near = permuted_p_value(rows, drawn, least + 1e-3)
    assert smallest / 2 <= near < 1e-9


def test_groups_without_a_change_decide_nothing() -> None:
    same = np.full((5, 3), 0.1)
    assert [permuted_p_value(same, 1, total) for total in (0.4, 0.5, 0.6)] == [0, 0.5, 1]
    rows = np.vstack([same, [[0.0, 1.0, 2.0]]])
    assert permuted_p_value(rows, 1, 0.5 + 1) == pytest.approx(0.5)


def test_methods_change_at_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The approximation is close to the exact value, and not equal to it."""
    rows = np.array([[0.0, 1, 2, 4], [1, 0, 0, 2], [3, 0, 1, 0], [0, 2, 5, 1]])
    total = float(rows[:, :2].sum())
    exact = by_hand(rows, 2, total)
    largest = float(np.sort(rows, axis=1)[:, -2:].sum())
    monkeypatch.setattr(permuted_passes, "CONVOLVED", 0)
    for limit, most in (("ENUMERATED", 4 * math.log2(6)), ("CONVOLVED", largest)):
        monkeypatch.setattr(permuted_passes, limit, most)
        assert permuted_p_value(rows, 2, total) == pytest.approx(exact, rel=1e-12)
        monkeypatch.setattr(permuted_passes, limit, most - 1)
        assert permuted_p_value(rows, 2, total) != pytest.approx(exact, rel=1e-6)
        assert permuted_p_value(rows, 2, total) == pytest.approx(exact, rel=0.2)
