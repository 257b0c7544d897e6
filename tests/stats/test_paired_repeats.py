"""Test the comparison of items that were asked several times: agreement with one pass, size, and its use of passes."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_qbench.stats.paired import paired_mean
from pytest_qbench.stats.paired_binary import paired_binary
from pytest_qbench.stats.paired_repeats import paired_repeats, passes_by_group
from pytest_qbench.stats.permuted_passes import permuted_p_value
from pytest_qbench.stats.resampling import Undefined

Floats = np.ndarray


def drawn(rng: np.random.Generator, chances: Floats, passes: int) -> Floats:
    return (rng.random((chances.size, passes)) < chances[:, None]).astype(float)


@pytest.mark.parametrize("items_per_group", [1, 5])
def test_one_pass_each_has_the_p_values_of_mcnemar(items_per_group: int) -> None:
    rng = np.random.default_rng(2)
    new, old = drawn(rng, np.full(200, 0.6), 1), drawn(rng, np.full(200, 0.7), 1)
    groups = [i // items_per_group for i in range(200)]
    found = paired_repeats(new, old, groups, 0.05, 0, 1)
    plain = paired_binary(new[:, 0] == 1, old[:, 0] == 1, groups, 0.05)
    assert found.p_value == pytest.approx(plain.p_value)
    assert found.p_gain == pytest.approx(1 - plain.p_value)
    assert found.delta == pytest.approx(plain.delta)
    assert found.alarm_chance(0.01) == pytest.approx(plain.alarm_chance(0.01), rel=1e-6)
    scores = paired_mean(new[:, 0], old[:, 0], groups, 0.05, 0, 1)
    assert (found.lower, found.upper) == pytest.approx((scores.lower, scores.upper), abs=1e-6)


def test_the_values_are_means_over_the_passes() -> None:
    new, old = np.array([[1.0, 0.0], [1.0, 1.0], [0, 0], [1, 0]]), np.array([[1.0], [1.0], [1.0], [0.0]])
    found = paired_repeats(new, old, range(4), 0.05, 0, 1)
    assert found.delta == pytest.approx(0.5 - 0.75)
    assert found.test == "generalised McNemar, mid-p"
    assert paired_repeats(new, old, [0, 0, 1, 1], 0.05, 0, 1).test == "permuted passes by group"


def test_false_alarms_stay_at_the_level_for_any_numbers_of_passes() -> None:
    """800 runs a scene: a share of .05 has a standard error of .008."""
    rng = np.random.default_rng(3)
    for k, m in ((1, 1), (5, 1), (1, 3), (3, 3)):
        hits = 0
        for _ in range(800):
            chances = rng.beta(0.4, 0.2, 120)
            passes = drawn(rng, chances, k + m)
            hits += permuted_p_value(passes, m, float(passes[:, :m].sum())) < 0.05
        assert hits / 800 < 0.05 + 3 * 0.008, (k, m)


def test_passes_that_share_their_noise_within_a_photo_cause_no_false_alarms() -> None:
    """Single items would be rejected far too often: the items of a photo change together."""
    rng = np.random.default_rng(4)
    groups = [i // 10 for i in range(300)]
    by_group = by_item = 0
    for _ in range(400):
        shared = np.repeat(rng.random((30, 4)) < 0.5, 10, axis=0).astype(float)
        passes = passes_by_group(shared[:, :1], shared[:, 1:], groups)
        by_group += permuted_p_value(passes, 1, float(passes[:, 0].sum())) < 0.05
        by_item += permuted_p_value(shared, 1, float(shared[:, 0].sum())) < 0.05
    assert by_group / 400 < 0.05 + 3 * 0.011
    assert by_item / 400 > 0.15


def test_more_passes_of_the_baseline_find_more() -> None:
    rng = np.random.default_rng(5)
    hits = {}
    for k in (1, 5):
        hits[k] = 0
        for _ in range(150):
            chances = rng.beta(0.7, 0.4, 300)
            new, old = drawn(rng, np.clip(chances - 0.07, 0, 1), 1), drawn(rng, chances, k)
            hits[k] += permuted_p_value(np.hstack([new, old]), 1, float(new.sum())) < 0.05
    assert hits[5] > hits[1] + 10


@pytest.mark.parametrize("new, old, error", [
    (np.ones((3, 1)), np.ones((2, 1)), ValueError),
    (np.ones(3), np.ones((3, 1)), ValueError),
    (np.ones((0, 1)), np.ones((0, 1)), ValueError),
    (np.ones((3, 1)), np.ones(3), ValueError),
    (np.ones((3, 0)), np.ones((3, 1)), ValueError),
    (np.ones((3, 1)), np.ones((3, 0)), ValueError),
    (np.full((3, 1), np.nan), np.ones((3, 1)), Undefined),
    (np.ones((3, 1)), np.full((3, 1), np.inf), Undefined),
])  # fmt: skip
def test_wrong_outcomes_are_refused(new: Floats, old: Floats, error: type[Exception]) -> None:
    with pytest.raises(error):
        paired_repeats(new, old, range(len(old)), 0.05, 0, 1)
