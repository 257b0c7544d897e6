"""Smoothed accuracy: the change that it estimates, its false alarms, its power."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import binomtest

from pytest_qbench.stats import smoothing
from pytest_qbench.stats.paired import paired_mean
from pytest_qbench.stats.paired_binary import paired_binary
from pytest_qbench.stats.smoothing import paired_smoothed


def runs(rng: np.random.Generator, n: int, noise: float, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    own = rng.normal(2, 3, n)
    return own - shift + noise * rng.normal(size=n), own + noise * rng.normal(size=n)


def test_smoothing_estimates_the_change_of_accuracy_with_a_smaller_error() -> None:
    rng = np.random.default_rng(0)
    smooth, plain = [], []
    for _ in range(200):
        new, old = runs(rng, 1_000, 0.6, 0.3)
        found = paired_smoothed(new, old, range(1_000), 0.05)
        assert found is not None
        smooth.append(found.delta)
        plain.append(float((new > 0).mean() - (old > 0).mean()))
    assert np.mean(smooth) == pytest.approx(np.mean(plain), rel=0.12)
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


@pytest.mark.parametrize("shape", ["normal", "laplace", "t"])
@pytest.mark.parametrize("kind", ["shifted", "scrambled", "broken"])
def test_a_drop_is_understated_by_little_more_than_the_bound_allows(shape: str, kind: str) -> None:
    """The ratio of the change of accuracy to that of its smoothed form, without an error of sampling to speak of."""
    rng, n = np.random.default_rng(6), 200_000
    own = {"normal": rng.normal(2, 3, n), "laplace": rng.laplace(2, 2, n), "t": 2 + 2 * rng.standard_t(3, n)}[shape]
    noise = rng.normal(size=(2, n))
    worse = {
        "shifted": own - 0.25, "scrambled": own + 2.0 * rng.normal(size=n),
        "broken": np.where(rng.random(n) < 0.03, -np.abs(own), own),
    }[kind]  # fmt: skip
    new, old = worse + 0.7 * noise[0], own + 0.7 * noise[1]
    changes = np.abs(new - old)
    width = min(
        smoothing.WIDTH * np.median(changes) / 0.954,
        np.quantile(np.abs(np.concatenate([new, old])), smoothing.BLURRED),
    )
    plain = (new > 0).mean() - (old > 0).mean()
    assert plain < -0.01
    assert plain / (ndtr(new / width) - ndtr(old / width)).mean() < smoothing.ATTENUATION + 0.05


def test_the_attenuation_widens_the_lower_bound() -> None:
    new, old = runs(np.random.default_rng(7), 900, 0.6)
    found = paired_smoothed(new, old, range(900), 0.05)
    assert found is not None
    width = min(
        smoothing.WIDTH * np.median(np.abs(new - old)) / 0.954, np.quantile(np.abs(np.concatenate([new, old])), 0.12)
    )
    mean = paired_mean(ndtr(new / width), ndtr(old / width), range(900), 0.05, 0.0, 1.0)
    assert mean.p_gain > 0.05
    assert found.lower == pytest.approx(1.1 * mean.lower)
    assert (found.delta, found.p_value, found.upper) == (mean.delta, mean.p_value, mean.upper)


def test_swapping_the_runs_mirrors_the_test() -> None:
    new, old = runs(np.random.default_rng(2), 300, 0.5)
    groups = [i // 3 for i in range(300)]
    one, other = paired_smoothed(new, old, groups, 0.05), paired_smoothed(old, new, groups, 0.05)
    assert one is not None
    assert other is not None
    assert one.delta == pytest.approx(-other.delta)
    assert one.p_value == pytest.approx(other.p_gain)


def test_margins_without_change_are_not_smoothed() -> None:
    _, old = runs(np.random.default_rng(3), 100, 0.5)
    assert paired_smoothed(old, old, range(100), 0.05) is None


def test_few_items_exclude_no_small_drop_even_without_noise() -> None:
    rng = np.random.default_rng(4)
    old = rng.normal(3, 1, 60)
    found = paired_smoothed(old + 1e-6 * rng.normal(size=60), old, range(60), 0.05)
    assert found is not None
    assert found.lower < -0.04  # 60 unchanged answers exclude a drop of 1 - 0.05 ** (1 / 60)


def test_questions_about_one_photo_do_not_break_together() -> None:
    """A broken photo loses all texts about it, but not all answers: 450 questions of 25 photos tell more than 25."""
    rng = np.random.default_rng(5)
    old = rng.normal(3, 1, 450)
    found = paired_smoothed(old + 0.01 * rng.normal(size=450), old, [i // 18 for i in range(450)], 0.05)
    assert found is not None
    assert -0.03 < found.lower < found.upper < 0.03


@pytest.mark.parametrize("noise", [0.05, 0.6])
def test_the_change_is_that_of_the_stated_formula(noise: float) -> None:
    """h is 1.5 times the median change over 0.954, at most the 12 % quantile of the margins: both cases."""
    new, old = runs(np.random.default_rng(8), 900, noise, 0.1)
    wide = 1.5 * np.median(np.abs(new - old)) / 0.954
    h = min(wide, np.quantile(np.abs(np.concatenate([new, old])), 0.12))
    assert (h == wide) == (noise < 0.1)
    found = paired_smoothed(new, old, range(900), 0.05)
    assert found is not None
    assert found.delta == pytest.approx((ndtr(new / h) - ndtr(old / h)).mean(), rel=1e-9)


def test_margins_that_do_not_move_are_not_smoothed() -> None:
    margins = np.random.default_rng(9).normal(2, 3, 100)
    assert paired_smoothed(margins, margins, range(100), 0.05) is None


def test_quiet_answers_can_lose_what_so_few_items_would_not_have_shown() -> None:
    """All answers are as good as right, so an item can lose 1: no fewer than 1 - 0.05 ** (1 / 60) of the items."""
    old = np.full(60, 30.0)
    old[:30] = 40.0
    found = paired_smoothed(old + np.where(np.arange(60) % 2, 1e-3, -1e-3), old, range(60), 0.05)
    assert found is not None
    assert found.possible_loss == pytest.approx(1)
    assert found.lower == pytest.approx(-1.1 * (1 - 0.05 ** (1 / 60)))
    assert found.upper == pytest.approx(0, abs=1e-9)


def test_a_sure_gain_has_the_bound_of_the_plain_mean() -> None:
    new, old = runs(np.random.default_rng(1), 900, 0.6, -0.5)
    found = paired_smoothed(new, old, range(900), 0.05)
    assert found is not None
    wide = smoothing.WIDTH * np.median(np.abs(new - old)) / 0.954
    h = min(wide, np.quantile(np.abs(np.concatenate([new, old])), 0.12))
    mean = paired_mean(ndtr(new / h), ndtr(old / h), range(900), 0.05, 0.0, 1.0, whole_groups_break=False)
    assert mean.p_gain < 0.05
    assert (found.lower, found.upper) == pytest.approx((mean.lower, mean.upper))
