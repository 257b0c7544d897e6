"""Shuffled options: a uniform permutation that depends on the seed and the id of an item alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from pytest_qbench.data.option_order import shuffle_options, shuffled
from pytest_qbench.data.sharding import take_shard
from pytest_qbench.items import Dataset
from tests.builders import picture, question

OPTIONS = ("Noise", "Blur", "Rain", "None")


@given(st.text(min_size=1), st.integers(0, 99), st.lists(st.text(), unique=True, min_size=1, max_size=6))
def test_only_the_order_of_the_options_changes(id_: str, seed: int, options: list[str]) -> None:
    item = replace(question(0), id=id_, options=tuple(options), answer=options[0])
    after = shuffled(item, seed)
    assert sorted(after.options) == sorted(options)
    assert replace(after, options=item.options) == item
    assert shuffled(item, seed) == after


def test_each_order_is_equally_likely() -> None:
    orders = Counter(shuffled(replace(question(i), options=OPTIONS), 0).options for i in range(2400))
    assert len(orders) == 24
    assert chisquare(list(orders.values())).pvalue > 0.001


def test_another_seed_gives_other_orders() -> None:
    items = [replace(question(i), options=OPTIONS) for i in range(400)]
    same = sum(shuffled(item, 0).options == shuffled(item, 1).options for item in items)
    assert same < 40  # 1 of 24 by chance


def test_a_shard_has_the_orders_of_the_whole() -> None:
    whole = Dataset("mini", "perception", None, tuple(question(i) for i in range(50)), "mini")
    parts = [shuffle_options(take_shard([whole], part, 3), 4)[0].items for part in (1, 2, 3)]
    joined = {item.id: item for part in parts for item in part}
    assert joined == {item.id: item for item in shuffle_options([whole], 4)[0].items}


def test_items_without_options_stay() -> None:
    assert shuffled(picture(0, 1.0), 0) == picture(0, 1.0)
