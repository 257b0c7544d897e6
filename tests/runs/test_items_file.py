"""`items.jsonl`: items are read exactly as they were written."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.errors import UsageError
from pytest_qbench.items import Item
from pytest_qbench.runs.items_file import ITEMS, read_items, write_items

text = st.text(st.characters(codec="utf-8"), max_size=20)
items = st.builds(
    Item,
    id=text,
    task=st.sampled_from(["perception", "description", "assessment"]),
    dataset=text,
    split=st.none() | text,
    group=text,
    images=st.just(()),
    question=st.none() | text,
    options=st.lists(text, max_size=4).map(tuple),
    answer=st.none() | text,
    slices=st.dictionaries(text, text, max_size=2),
    target=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    golden=st.lists(text, max_size=2).map(tuple),
    image_names=st.lists(text, max_size=2).map(tuple),
    aliases=st.lists(text, max_size=2).map(tuple),
)


@given(st.lists(items, max_size=5))
def test_items_survive_a_round_trip(tmp_path_factory, asked):
    folder = tmp_path_factory.mktemp("run")
    write_items(folder, asked)
    assert read_items(folder) == asked
    assert [item.digest() for item in read_items(folder)] == [item.digest() for item in asked]


@pytest.mark.parametrize("broken", ['{"schema": 2}', "not json", "[]"])
def test_a_broken_line_is_named(tmp_path, broken):
    one = Item("a", "perception", "d", None, "a", ())
    write_items(tmp_path, [one, replace(one, id="b")])
    with (tmp_path / ITEMS).open("a") as file:
        file.write(broken + "\n")
    with pytest.raises(UsageError, match=rf"{ITEMS}:3: not an item"):
        read_items(tmp_path)


def test_a_folder_without_items_is_not_a_finished_run(tmp_path):
    with pytest.raises(UsageError, match="has no items.jsonl; name the folder of a finished run"):
        read_items(tmp_path)
