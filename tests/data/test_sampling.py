from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.data.sampling import select
from pytest_qbench.errors import UsageError
from pytest_qbench.items import Dataset, Item, Task


def dataset(task: Task, targets: list[float], kinds: list[str] | None = None) -> Dataset:
    items = tuple(
        Item(f"d/{i}", task, "d", None, f"d/{i}", (), target=target, slices={"type": kinds[i]} if kinds else {})
        for i, target in enumerate(targets)
    )
    return Dataset("d", task, None, items, "d.json")


def ids(one: Dataset) -> list[str]:
    return [item.id for item in one.items]


def test_no_limit_and_a_large_one_change_nothing() -> None:
    whole = dataset("assessment", [1.0, 2.0, 3.0])
    assert select([whole], limit=None, seed=1) == [whole]
    assert select([whole], limit=3, seed=1) == [whole]
    assert select([], limit=3, seed=1) == []


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    with pytest.raises(UsageError, match="--qbench-limit="):
        select([dataset("assessment", [1.0])], limit=limit, seed=1)


SIZES = st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 30), min_size=1)


@given(sizes=SIZES, limit=st.integers(1, 120), seed=st.integers(0, 5))
def test_each_stratum_gets_its_share_rounded(sizes: dict[str, int], limit: int, seed: int) -> None:
    kinds = [kind for kind, size in sizes.items() for _ in range(size)]
    whole = dataset("perception", [0.0] * len(kinds), kinds)
    (sample,) = select([whole], limit=limit, seed=seed)
    assert len(sample.items) == min(limit, len(kinds))
    got = Counter(item.slices["type"] for item in sample.items)
    for kind, size in sizes.items():
        assert abs(got[kind] - min(limit, len(kinds)) * size / len(kinds)) < 1
    assert [item for item in whole.items if item in sample.items] == list(sample.items)


@given(targets=st.lists(st.floats(-5, 5), min_size=20, max_size=200), seed=st.integers(0, 5))
def test_a_sample_of_scores_covers_the_scale(targets: list[float], seed: int) -> None:
    whole = dataset("assessment", targets)
    (sample,) = select([whole], limit=10, seed=seed)
    ranked = sorted(whole.items, key=lambda item: (item.target or 0.0, item.id))
    tenths = {item.id: rank * 10 // len(ranked) for rank, item in enumerate(ranked)}
    assert sorted(tenths[item.id] for item in sample.items) == list(range(10)) or len(targets) % 10
    assert len({tenths[item.id] for item in sample.items}) >= 9


@given(seed=st.integers(0, 100), limit=st.integers(1, 30), order=st.permutations(range(30)))
def test_the_draw_depends_on_seed_and_ids_alone(seed: int, limit: int, order: list[int]) -> None:
    whole = dataset("assessment", [i * 37 % 11 for i in range(30)])
    shuffled = replace(whole, items=tuple(whole.items[i] for i in order))
    (one,), (other,) = select([whole], limit=limit, seed=seed), select([shuffled], limit=limit, seed=seed)
    assert sorted(ids(one)) == sorted(ids(other))
    assert select([whole], limit=limit, seed=seed) == [one]


def test_seeds_draw_different_samples_and_every_item_has_its_chance() -> None:
    whole = dataset("description", [0.0] * 40)
    drawn = [tuple(ids(select([whole], limit=10, seed=seed)[0])) for seed in range(60)]
    assert len(set(drawn)) > 50
    counts = Counter(one for sample in drawn for one in sample)
    assert set(counts) == set(ids(whole))
    assert max(counts.values()) < 35  # 15 expected, standard deviation 3.4


def test_each_dataset_has_its_own_sample() -> None:
    first, second = dataset("description", [0.0] * 40), dataset("assessment", [float(i) for i in range(40)])
    assert [len(one.items) for one in select([first, second], limit=7, seed=0)] == [7, 7]


def test_halves_are_strata_of_a_database_too() -> None:
    whole = dataset("assessment", [float(i) for i in range(200)], ["game"] * 100 + ["movie"] * 100)
    (sample,) = select([whole], limit=20, seed=3)
    assert Counter(item.slices["type"] for item in sample.items) == {"game": 10, "movie": 10}
