"""Test sums of random signs against brute force and SciPy, and their bound against its own p-value."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, permutation_test

from pytest_qbench.stats import sign_flips
from pytest_qbench.stats.sign_flips import flip_bound, flip_p_value


def by_hand(sums: list[float], own: float | None = None) -> float:
    totals = [
        sum(s * v for s, v in zip(signs, sums, strict=True)) for signs in itertools.product((1, -1), repeat=len(sums))
    ]
    own = sum(sums) if own is None else own
    return sum((t < own - 1e-9) + (abs(t - own) <= 1e-9) / 2 for t in totals) / len(totals)


@given(st.lists(st.floats(-5, 5).map(lambda v: round(v, 2)), min_size=1, max_size=9).filter(any))
@settings(deadline=None, max_examples=50)
def test_p_value_agrees_with_enumeration_of_all_patterns(sums: list[float]) -> None:
    assert flip_p_value(np.array(sums)) == pytest.approx(by_hand(sums))


@given(
    st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.3, 1.0, 2.0]), min_size=1, max_size=8),
    st.sampled_from([-7.0, -3.0, -2.5, -1.3, -1.0, 0.0, 1.0, 2.6, 20.0]),
)
@settings(deadline=None, max_examples=80)
def test_p_value_of_any_total_agrees_with_enumeration(sums: list[float], total: float) -> None:
    expected = by_hand(sums, total)
    assert flip_p_value(np.array(sums), total) == pytest.approx(expected)
    whole = np.abs([v for v in sums if v == round(v) != 0])
    if whole.size and abs(total) <= whole.sum():
        assert sign_flips._convolved(whole, total) == pytest.approx(by_hand(whole.tolist(), total))
        if np.ptp(whole) == 0:
            assert sign_flips._binomial(whole.size, total / whole[0]) == pytest.approx(by_hand(whole.tolist(), total))


@pytest.mark.parametrize("lost, gained", [(5, 0), (0, 4), (30, 12), (400, 350)])
def test_p_value_of_single_answers_is_binomial(lost: int, gained: int) -> None:
    sums = np.array([-1.0] * lost + [1.0] * gained)
    expected = binom.sf(lost, lost + gained, 0.5) + binom.pmf(lost, lost + gained, 0.5) / 2
    assert flip_p_value(sums) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_whole_numbers_are_convolved(seed: int) -> None:
    sums = np.random.default_rng(seed).integers(-4, 4, 12).astype(float)
    assert sign_flips._convolved(np.abs(sums[sums != 0]), sums.sum()) == pytest.approx(by_hand(sums.tolist()))


@pytest.mark.parametrize("shift, relative", [(0.0, 0.02), (-0.4, 0.05), (-0.9, 0.15)])
def test_the_saddlepoint_is_close_to_the_enumeration_also_in_the_tail(shift: float, relative: float) -> None:
    for seed in range(5):
        sums = np.random.default_rng(seed).normal(shift, 1, 16)
        sizes, total = np.abs(sums), float(sums.sum())
        exact = sign_flips._enumerated(sizes, total, 1e-9)
        assert sign_flips._saddlepoint(sizes, total) == pytest.approx(exact, rel=relative)


def test_many_changes_agree_with_scipys_permutations() -> None:
    rng = np.random.default_rng(0)
    sums = rng.normal(-0.15, 1, 200)
    oracle = permutation_test(
        (sums,), np.mean, permutation_type="samples", n_resamples=20_000, alternative="less", rng=1
    )
    assert flip_p_value(sums) == pytest.approx(oracle.pvalue, abs=0.005)


def test_a_total_loss_has_its_exact_p_value() -> None:
    rng = np.random.default_rng(0)
    sums = -rng.uniform(0.5, 1.5, 400)
    assert flip_p_value(sums) == pytest.approx(0.5**401)
    assert flip_p_value(-sums) == 1.0
    assert 0 < flip_p_value(rng.normal(-3, 1, 400)) < 1e-50


@given(st.integers(0, 1000), st.sampled_from([6, 14, 40]), st.sampled_from([0.05, 0.0167]))
@settings(deadline=None, max_examples=40)
def test_the_test_stops_rejecting_at_the_bound(seed: int, n: int, alpha: float) -> None:
    rng = np.random.default_rng(seed)
    members = rng.integers(1, 5, n).astype(float)
    sums = rng.normal(-0.3, 1, n) * members
    bound = flip_bound(sums, members, alpha)
    assert flip_p_value(sums - (bound + 1e-4) * members) <= alpha + 1e-9
    assert flip_p_value(sums - (bound - 1e-4) * members) >= alpha - 1e-2  # a step of the enumeration at most


def test_three_groups_have_an_infinite_bound() -> None:
    assert flip_bound(np.array([-1.0, -2.0, -3.0]), np.ones(3), 0.05) == np.inf


@pytest.mark.parametrize("seed", range(3))
def test_four_groups_reject_no_more_than_the_largest_change(seed: int) -> None:
    """Without the group that changes most, no pattern of the other three is rare enough: 2 ** -4 > 0.05 > 2 ** -5."""
    sums = np.random.default_rng(seed).normal(size=4)
    assert flip_bound(sums, np.ones(4), 0.05) == sums.max()
    assert flip_bound(sums, np.ones(4), 0.5**5) == np.inf


def test_methods_change_at_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The approximation is close to the exact value, and not equal to it."""
    whole = np.array([1.0, -2.0, 3.0, 1.0, -2.0, 5.0])
    exact = by_hand(whole.tolist())
    for limit in ("ENUMERATED", "CONVOLVED"):
        other = {"ENUMERATED": "CONVOLVED", "CONVOLVED": "ENUMERATED"}[limit]
        most = {"ENUMERATED": 6, "CONVOLVED": 14}[limit]  # six groups, whose sizes add up to 14
        monkeypatch.setattr(sign_flips, other, 0)
        monkeypatch.setattr(sign_flips, limit, most)
        assert flip_p_value(whole) == pytest.approx(exact, rel=1e-12)
        monkeypatch.setattr(sign_flips, limit, most - 1)
        assert flip_p_value(whole) != pytest.approx(exact, rel=1e-6)
        assert flip_p_value(whole) == pytest.approx(exact, rel=0.1)


def test_the_largest_total_of_many_changes_leaves_the_smallest_probability() -> None:
    sizes = np.random.default_rng(1).uniform(0.5, 1.5, 20)
    assert flip_p_value(sizes) == pytest.approx(1 - 0.5**21, abs=1e-12)
    assert flip_p_value(-sizes) == pytest.approx(0.5**21)
    assert flip_p_value(sizes, 0.0) == pytest.approx(0.5)
    assert flip_p_value(sizes, 2 * float(sizes.sum())) == 1
    assert flip_p_value(sizes, -2 * float(sizes.sum())) == 0
