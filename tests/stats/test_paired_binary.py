"""Right/wrong answers: McNemar's mid-p test, its agreement with the interval, photos, and false passes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from pytest_qbench.stats.intervals import tango
from pytest_qbench.stats.paired import Paired
from pytest_qbench.stats.paired_binary import paired_binary

counts = st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 200))


def compared(lost: int, gained: int, n: int, alpha: float = 0.05, group: int = 1) -> Paired:
    """Items lost and gained, each in a group of its own as long as there are groups; `group` items a group."""
    order = np.arange(n).reshape(n // group, group).T.ravel()
    baseline = np.zeros(n, dtype=bool)
    baseline[order[:lost]] = True
    candidate = np.zeros(n, dtype=bool)
    candidate[order[lost : lost + gained]] = True
    return paired_binary(candidate, baseline, (np.arange(n) // group).tolist(), alpha)


def mid_p(lost: int, gained: int) -> float:
    pairs = lost + gained
    return float((binom.sf(lost - 1, pairs, 0.5) + binom.sf(lost, pairs, 0.5)) / 2) if pairs else 1.0


@given(counts, st.sampled_from([0.05, 0.05 / 3]))
@settings(max_examples=60, deadline=None)
def test_single_items_give_mcnemars_test_and_tangos_interval(table: tuple[int, int, int], alpha: float) -> None:
    lost, gained, rest = table
    n = lost + gained + rest + 1
    found = compared(lost, gained, n, alpha)
    assert found.delta == pytest.approx((gained - lost) / n)
    assert found.error == pytest.approx(math.sqrt(lost + gained) / n)
    assert found.p_value == pytest.approx(mid_p(lost, gained))
    assert (found.p_value < alpha) == (found.upper < 0)
    assert (found.p_gain < alpha) == (found.lower > 0)
    lower, upper = tango(lost, gained, n, alpha)
    if lost + gained and (upper < 0) == (found.p_value < alpha) and (lower > 0) == (found.p_gain < alpha):
        assert (found.lower, found.upper) == pytest.approx((lower, upper))


@pytest.mark.parametrize("n", [20, 60, 299, 1495])
def test_without_any_change_the_bound_is_exact(n: int) -> None:
    found = compared(0, 0, n)
    assert (1 + found.lower) ** n == pytest.approx(0.05)
    assert (found.p_value, found.p_gain) == (1.0, 1.0)


@pytest.mark.parametrize("n", [100, 450, 1495])
def test_fewer_changes_never_widen_the_interval(n: int) -> None:
    width = {(k, m): (found := compared(k, m, n)).upper - found.lower for k in range(12) for m in range(12)}
    for (lost, gained), wide in width.items():
        if lost and gained:
            assert wide >= width[lost - 1, gained - 1] - 1e-9


@pytest.mark.parametrize("groups, size", [(25, 18), (50, 9), (300, 5)])
def test_photos_do_not_shrink_the_number_of_items_where_nothing_clusters(groups: int, size: int) -> None:
    n = groups * size
    balanced = [compared(k, k, n, group=size) for k in range(0, 9)]
    widths = [found.upper - found.lower for found in balanced]
    assert widths == sorted(widths)
    whole = tango(0, 0, groups, 0.05)
    assert balanced[0].upper < 0.5 * whole[1]
    assert compared(40, 40, n, group=size).effect < 1.5


def test_items_that_change_with_their_photo_widen_the_interval() -> None:
    """Each photo has four items with equal answers: the p-value is that of the photos, the interval nearly so."""
    photos = compared(16, 8, 300)
    lost = [i < 16 for i in range(300) for _ in range(4)]
    gained = [16 <= i < 24 for i in range(300) for _ in range(4)]
    asked = paired_binary(gained, lost, [i for i in range(300) for _ in range(4)], 0.05)
    assert asked.p_value == pytest.approx(photos.p_value)
    assert asked.upper == pytest.approx(photos.upper, abs=0.003)
    assert asked.effect > 3


def test_one_group_has_the_widest_interval() -> None:
    found = paired_binary([False] * 9, [True] * 9, ["photo"] * 9, 0.05)
    assert (found.delta, found.lower, found.upper, found.p_value) == (-1, -1, 1, 0.25)


@pytest.mark.parametrize("discordance", [0.02, 0.06, 0.2])
@pytest.mark.parametrize("n, size", [(60, 1), (60, 3), (400, 8), (1495, 1)])
def test_false_alarms_of_answers(n: int, size: int, discordance: float) -> None:
    """A/A with answers that change; the items of one group change together and in the same direction."""
    rng = np.random.default_rng(int(1000 * discordance) + n)
    groups = np.arange(n) // size
    p_values = []
    for _ in range(150):
        flips = (rng.random(n) < discordance)[groups] & (rng.random(n) < 0.9)
        worse = (rng.random(n) < 0.5)[groups]
        baseline = np.where(flips, worse, rng.random(n) < 0.6)
        p_values.append(paired_binary(baseline ^ flips, baseline, groups.tolist(), 0.05).p_value)
    for alpha in (0.05, 0.05 / 3):
        false = sum(p < alpha for p in p_values)
        assert binomtest(false, len(p_values), alpha, alternative="greater").pvalue > 0.005


def test_two_hundred_thousand_items_keep_their_far_tail() -> None:
    deltas = np.zeros(200_000)
    deltas[:30_000], deltas[30_000:55_000] = -1, 1
    found = paired_binary(deltas > 0, deltas < 0, range(200_000), 0.05)
    assert math.log(found.p_value) == pytest.approx(binom.logsf(30_000, 55_000, 0.5), rel=1e-3)


def test_tens_of_thousands_of_changes_by_photo_keep_their_far_tail() -> None:
    old, new = np.zeros(120_000, dtype=bool), np.zeros(120_000, dtype=bool)
    old[:30_000], new[30_000:55_000] = True, True
    found = paired_binary(new, old, np.repeat(range(60_000), 2).tolist(), 0.05 / 3)
    assert math.log(found.p_value) == pytest.approx(binom.logsf(15_000, 27_500, 0.5), rel=1e-2)


def test_three_photos_have_the_widest_interval_and_four_a_narrower_one() -> None:
    right, some = np.ones(120, dtype=bool), np.arange(120) % 2 == 0
    for photos in (2, 3):
        found = paired_binary(some, right, (np.arange(120) % photos).tolist(), 0.05)
        assert (found.lower, found.upper, found.possible_loss) == (-1, 1, 1)
    four = paired_binary(right, right, (np.arange(120) % 4).tolist(), 0.05)
    assert -0.2 < four.lower < 0 < four.upper < 0.2
    for n in (1, 2, 3):  # single items need no photos
        assert paired_binary([True] * n, [True] * n, range(n), 0.05).upper == pytest.approx(1 - 0.05 ** (1 / n))


def test_without_a_change_there_is_no_evidence_either_way() -> None:
    found = paired_binary([True] * 30, [True] * 30, range(30), 0.05)
    assert (found.p_value, found.p_gain, found.discordance, found.error) == (1, 1, 0, 0)


def test_photos_that_are_lost_as_wholes_count_as_single_items_beside_zero() -> None:
    """Ten of thirty photos with four questions each: the bound on the side of the test is that of ten of thirty items."""
    right, some, photos = np.ones(120, dtype=bool), np.arange(120) >= 40, (np.arange(120) // 4).tolist()
    lost, gained = paired_binary(some, right, photos, 0.05), paired_binary(right, some, photos, 0.05)
    assert lost.upper == pytest.approx(tango(10, 0, 30, 0.05)[1])
    assert gained.lower == pytest.approx(tango(0, 10, 30, 0.05)[0])
