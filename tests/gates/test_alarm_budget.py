"""Check that a gate with few changes leaves its alpha to others, and that false alarms stay within 5 %."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm, t

from pytest_qbench.gates.alarm_budget import Spending, spend
from pytest_qbench.gates.verdict import decide
from pytest_qbench.stats.paired import Paired, paired_mean
from pytest_qbench.stats.paired_binary import paired_binary


def test_a_gate_with_few_changes_tests_at_nearly_all_of_alpha_and_leaves_the_rest() -> None:
    assert spend(0.01, 0.0, [0.0]) == Spending(0.045, False, 0.01)
    assert spend(0.01, 0.02, [0.004, 0.006]) == pytest.approx(Spending(0.045, False, 0.02))
    assert spend(0.01, 0.0, [0.01]) == pytest.approx(Spending(0.045, False, 0.0))


def test_a_noisy_gate_has_its_share_and_the_alpha_left_over() -> None:
    assert spend(0.01, 0.0, [0.3]) == Spending(0.01, True, 0.0)
    assert spend(0.01, 0.02, [0.001, 0.3]) == Spending(0.03, True, 0.0)
    # A single gate has all of alpha. Several gates use a little less, even with alpha left over.
    assert spend(0.05, 0.0, [0.5]) == Spending(0.05, False, 0.0)
    assert spend(0.05, 0.05, [0.04, 0.04]) == Spending(0.05, True, 0.0)
    assert spend(0.025, 0.025, [0.04, 0.04]) == Spending(0.045, True, 0.0)
    assert spend(0.025, 0.025, [0.5]) == Spending(0.045, False, 0.0)


def test_the_chance_of_an_alarm_comes_from_the_sign_flips() -> None:
    old = np.zeros(200, dtype=bool)
    new = np.arange(200) < 21
    found = paired_binary(new, old, range(200), 0.05)
    # A drop beyond 5 of 200 among 21 changed: gained - lost < -5.
    assert found.alarm_chance(0.025) == pytest.approx(binom.cdf(7, 21, 0.5) + binom.pmf(8, 21, 0.5) / 2)
    assert found.alarm_chance(0.2) == 0.0
    changes = np.random.default_rng(0).normal(0, 0.4, 499)
    mean = paired_mean(3 + changes, np.full(499, 3.0), range(499), 0.05, 0.0, 6.0)
    assert mean.alarm_chance(0.02) == pytest.approx(norm.cdf(-0.02 * 499 / np.sqrt((changes**2).sum())), rel=0.03)


def test_the_chance_of_an_alarm_without_sign_flips_comes_from_the_standard_error() -> None:
    found = Paired(0.0, -0.1, 0.1, 0.5, 0.5, 0.02, 100, 9)
    assert found.alarm_chance(0.03) == pytest.approx(t.cdf(-1.5, 9))
    assert Paired(0.0, -0.1, 0.1, 0.5, 0.5, 0.02, 100).alarm_chance(0.03) == pytest.approx(norm.cdf(-1.5))
    assert Paired(0.0, -0.1, 0.1, 1.0, 1.0, 0.0, 100).alarm_chance(0.03) == 0.0


def test_three_noisy_gates_raise_a_false_alarm_in_at_most_a_twentieth_of_the_runs() -> None:
    rng = np.random.default_rng(3)
    red = 0
    for _ in range(400):
        leftover, alarm = 0.0, False
        for deviation in (0.4, 0.25, 0.8):
            old = rng.integers(0, 21, 60) / 5
            new = old + np.round(5 * deviation * rng.normal(size=60)) / 5
            found = paired_mean(new, old, range(60), 0.05, 0.0, 6.0)
            level, _, leftover = spend(0.05 / 3, leftover, [found.alarm_chance(0.06)])
            alarm |= decide(found, 0.06, found.p_value < level, False) == "regressed"
        red += alarm
    assert binomtest(red, 400, 0.05, alternative="greater").pvalue > 0.01
