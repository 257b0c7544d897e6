"""Estimates from samples with unequal probabilities: against closed forms, exhaustive designs and simulations."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qbench.data.unequal_sampling import inclusion_probabilities
from pytest_qbench.stats.paired import paired_mean
from pytest_qbench.stats.sign_flips import flip_p_value
from pytest_qbench.stats.weighted import paired_weighted, weighted_mean

ALPHA = 0.05


def test_the_weighted_mean_of_all_poisson_samples_has_the_closed_form_variance() -> None:
    """Enumerated: the Horvitz-Thompson total is unbiased, with the variance sum y^2 (1 - p) / p; so is its estimate."""
    values, chances = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 1.0]), np.array([0.2, 0.5, 0.4, 0.9, 0.3, 0.6])
    total = square = estimated = 0.0
    for drawn in itertools.product((0, 1), repeat=6):
        picked = np.array(drawn)
        chance = float(np.prod(np.where(picked == 1, chances, 1 - chances)))
        found = float((picked * values / chances).sum())
        total, square = total + chance * found, square + chance * found**2
        # what `paired_weighted` sums: squares of weighted values, without a correction for a finite number of items
        estimated += chance * float((picked * (values / chances) ** 2).sum())
    assert total == pytest.approx(values.sum())
    closed = float((values**2 * (1 - chances) / chances).sum())
    assert square - total**2 == pytest.approx(closed)
    assert estimated == pytest.approx(closed + float((values**2).sum()))  # the variance of the items on top


def test_the_error_is_that_of_hajeks_estimate() -> None:
    """By hand: sqrt(G / (G - 1) sum (w (d - mean))^2) / sum w, for items of their own groups."""
    new, old, weights = np.array([0.0, 1, 1, 0, 1, 1]), np.array([1.0, 1, 0, 1, 1, 1]), np.array([1.0, 2, 4, 1, 3, 2])
    d = new - old
    mean = float((weights * d).sum() / weights.sum())
    error = math.sqrt(6 / 5 * float(((weights * (d - mean)) ** 2).sum())) / weights.sum()
    found = paired_weighted(new, old, weights, range(6), ALPHA, 0, 1)
    assert (found.delta, found.error) == (pytest.approx(mean), pytest.approx(error))
    assert found.p_value == pytest.approx(flip_p_value(weights * d))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 9)), min_size=8, max_size=40), st.floats(0.1, 9))
def test_equal_weights_count_as_none(rows: list[tuple[bool, bool, int]], weight: float) -> None:
    new, old, groups = (list(column) for column in zip(*rows, strict=True))
    if len(set(groups)) < 4:
        return
    plain = paired_mean(new, old, groups, ALPHA, 0, 1, whole_groups_break=False)
    found = paired_weighted(new, old, [weight] * len(new), groups, ALPHA, 0, 1)
    assert (found.delta, found.lower, found.upper, found.p_value, found.error) == pytest.approx(
        (plain.delta, plain.lower, plain.upper, plain.p_value, plain.error)
    )


def test_items_of_one_photo_count_together() -> None:
    new, old = [0.0] * 8, [1.0] * 4 + [0.0] * 4
    alone = paired_weighted(new, old, [1.0] * 8, range(8), ALPHA, 0, 1)
    grouped = paired_weighted(new, old, [1.0] * 8, [0, 0, 1, 1, 2, 2, 3, 3], ALPHA, 0, 1)
    assert (alone.p_value, grouped.p_value) == (2**-5, 2**-3)
    assert grouped.lower < alone.lower


def test_a_sample_without_a_change_excludes_no_more_than_its_least_likely_items_allow() -> None:
    """As many items as would show nothing with probability 5 % if all had the smallest probability: 1 - 0.05^(1/n)."""
    weights = np.array([1.0] * 50 + [3.0] * 50)
    found = paired_weighted([1.0] * 100, [1.0] * 100, weights, range(100), ALPHA, 0, 1)
    assert -found.lower == pytest.approx(1 - 0.05 ** (1 / (100 * 2 / 3)))


@pytest.mark.parametrize("weights", [[1.0, 0.0], [1.0, float("nan")], [1.0]])
def test_impossible_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weight"):
        weighted_mean([0.0, 1.0], weights, [0, 1], ALPHA, 0, 1)


class Population:
    """1,500 questions whose likelihoods vary from run to run, and a candidate that may have lost something."""

    def __init__(self, rng: np.random.Generator, noise: float, lost: float = 0.0, items: int = 1500) -> None:
        ability = rng.normal(1.0, 3.0, items)
        self.old = ability + noise * rng.normal(size=items)
        new = ability - lost + noise * rng.normal(size=items)
        self.change = (new > 0) * 1.0 - (self.old > 0)
        chance = 1 / (1 + np.exp(-self.old))
        self.size = np.sqrt(chance * (1 - chance))

    def sample(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the items of a systematic sample and their weights, as `unequal_sampling.draw` draws them."""
        chances = np.array(inclusion_probabilities(self.size.tolist(), n))
        order = rng.permutation(chances.size)
        steps = np.floor(np.concatenate([[0], np.cumsum(chances[order])]) + rng.random())
        picked = order[np.diff(steps) > 0]
        return picked, 1 / chances[picked]


def judged(found_change: np.ndarray, weights: np.ndarray) -> tuple[float, float, float]:
    found = paired_weighted(found_change, np.zeros_like(found_change), weights, range(weights.size), ALPHA, -1, 1)
    return found.p_value, found.lower, found.upper


@pytest.mark.campaign
@pytest.mark.parametrize("noise", [0.25, 1.0])
def test_false_alarms_are_at_most_five_per_cent_and_the_interval_covers(noise: float) -> None:
    """Candidate and baseline are two runs of one model, so the true change over all such items is zero."""
    rng, runs = np.random.default_rng(1), 2000
    found = []
    for _ in range(runs):
        population = Population(rng, noise)
        picked, weights = population.sample(rng, 300)
        found.append(judged(population.change[picked], weights))
    p, lower, upper = np.array(found).T
    slack = 2.6 * math.sqrt(0.05 * 0.95 / runs)
    assert (p < 0.05).mean() <= 0.05 + slack
    assert (p > 0.95).mean() <= 0.05 + slack
    assert ((lower <= 0) & (upper >= 0)).mean() >= 0.90 - slack


@pytest.mark.campaign
def test_the_interval_covers_the_change_of_all_items() -> None:
    rng, runs = np.random.default_rng(2), 1000
    inside = 0
    for _ in range(runs):
        population = Population(rng, 0.25, lost=0.5)
        picked, weights = population.sample(rng, 300)
        _, lower, upper = judged(population.change[picked], weights)
        inside += bool(lower <= population.change.mean() <= upper)
    assert inside / runs >= 0.90 - 2.6 * math.sqrt(0.09 / runs)


@pytest.mark.campaign
def test_equal_power_needs_fewer_items() -> None:
    """A drop of about 3 points: 300 drawn items find it at least as often as 400 of an even sample."""
    rng, runs = np.random.default_rng(3), 1000
    drawn = even = 0
    for _ in range(runs):
        population = Population(rng, 0.25, lost=0.3)
        picked, weights = population.sample(rng, 300)
        drawn += judged(population.change[picked], weights)[0] < 0.05
        plain = rng.choice(1500, 400, replace=False)
        even += flip_p_value(population.change[plain]) < 0.05
    assert drawn >= even
