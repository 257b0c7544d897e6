"""Samples with unequal probabilities: their size, their probabilities, and that they depend on the seed alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.data.unequal_sampling import EVEN, draw, inclusion_probabilities
from pytest_qbench.items import Dataset
from tests.builders import question

SIZES = st.lists(st.floats(0, 0.5), min_size=1, max_size=60)


def dataset(count: int) -> Dataset:
    return Dataset("mini", "perception", None, tuple(question(i) for i in range(count)), "test")


@given(SIZES, st.integers(1, 60))
def test_the_probabilities_sum_to_the_limit_and_have_a_floor(sizes: list[float], limit: int) -> None:
    found = inclusion_probabilities(sizes, limit)
    limit = min(limit, len(sizes))
    assert sum(found) == pytest.approx(limit)
    assert all(0 < each <= 1 for each in found)
    assert min(found) >= min(1.0, EVEN * limit / len(sizes)) - 1e-9
    ordered = sorted(zip(sizes, found, strict=True))
    assert all(a[1] <= b[1] + 1e-9 for a, b in pairwise(ordered))


@given(SIZES, st.integers(1, 60), st.integers(0, 5))
def test_a_sample_has_the_stated_number_of_items_in_their_order(sizes: list[float], limit: int, seed: int) -> None:
    whole = dataset(len(sizes))
    by_id = {item.id: size for item, size in zip(whole.items, sizes, strict=True)}
    found = draw(whole, by_id, limit, seed)
    assert len(found.items) == min(limit, len(sizes))
    positions = [whole.items.index(replace(item, probability=None)) for item in found.items]
    assert positions == sorted(positions)
    assert draw(whole, by_id, limit, seed) == found


def test_items_are_drawn_as_often_as_their_probability_says() -> None:
    whole, seeds = dataset(12), 3000
    sizes = {item.id: i / 24 for i, item in enumerate(whole.items)}
    expected = inclusion_probabilities(list(sizes.values()), 4)
    counts = Counter(item.id for seed in range(seeds) for item in draw(whole, sizes, 4, seed).items)
    for item, chance in zip(whole.items, expected, strict=True):
        assert counts[item.id] / seeds == pytest.approx(chance, abs=4 * (chance * (1 - chance) / seeds) ** 0.5)
        drawn = next(one for seed in range(99) for one in draw(whole, sizes, 4, seed).items if one.id == item.id)
        assert drawn.probability == pytest.approx(chance)
