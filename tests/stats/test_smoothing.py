"""Accuracy smoothed over its likelihoods: what it estimates, its false alarms, its power."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from pytest_qbench.stats.paired_binary import paired_binary
from pytest_qbench.stats.smoothing import paired_smoothed


def runs(rng: np.random.Generator, n: int, noise: float, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    own = rng.normal(2, 3, n)
    return own - shift + noise * rng.normal(size=n), own + noise * rng.normal(size=n)


def test_it_estimates_the_change_of_accuracy_with_a_smaller_error() -> None:
    rng = np.random.default_rng(0)
    smooth, plain = [], []
    for _ in range(200):
        new, old = runs(rng, 1_000, 0.6, 0.3)
        found = paired_smoothed(new, old, range(1_000), 0.05)
        assert found is not None
        smooth.append(found.delta)
        plain.append(float((new > 0).mean() - (old > 0).mean()))
    assert np.mean(smooth) == pytest.approx(np.mean(plain), rel=0.1)
    assert np.std(smooth) < 0.75 * np.std(plain)


def test_false_alarms_and_power() -> None:
    rng = np.random.default_rng(1)
    false = found = plain = 0
    for _ in range(150):
        new, old = runs(rng, 600, 0.6)
        smoothed = paired_smoothed(new, old, range(600), 0.05)
        assert smoothed is not None
        false += smoothed.p_value < 0.05
        new, old = runs(rng, 600, 0.6, 0.12)
        smoothed = paired_smoothed(new, old, range(600), 0.05)
        assert smoothed is not None
        found += smoothed.p_value < 0.05
        plain += paired_binary(new > 0, old > 0, range(600), 0.05).p_value < 0.05
    assert binomtest(false, 150, 0.05, alternative="greater").pvalue > 0.01
    assert found > 1.1 * plain


def test_swapping_the_runs_mirrors_the_test() -> None:
    new, old = runs(np.random.default_rng(2), 300, 0.5)
    groups = [i // 3 for i in range(300)]
    one, other = paired_smoothed(new, old, groups, 0.05), paired_smoothed(old, new, groups, 0.05)
    assert one is not None
    assert other is not None
    assert one.delta == pytest.approx(-other.delta)
    assert one.p_value == pytest.approx(other.p_gain)


def test_margins_that_do_not_move_are_left_to_the_answers() -> None:
    _, old = runs(np.random.default_rng(3), 100, 0.5)
    assert paired_smoothed(old, old, range(100), 0.05) is None


def test_few_items_exclude_no_drop_however_quiet_they_are() -> None:
    rng = np.random.default_rng(4)
    old = rng.normal(3, 1, 60)
    found = paired_smoothed(old + 1e-6 * rng.normal(size=60), old, range(60), 0.05)
    assert found is not None
    assert found.lower < -0.04  # 60 unchanged answers exclude a drop of 1 - 0.05 ** (1 / 60)
