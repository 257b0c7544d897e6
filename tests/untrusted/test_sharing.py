"""Sharing of equal texts: the values stay as they are, and equal texts of two runs are one object."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.records import RECORDS, Record, read_records
from pytest_qbench.runs.items_file import read_items, write_items
from pytest_qbench.untrusted.sharing import share_mapping, share_texts
from tests.builders import question

ANY = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text() | st.integers(), max_size=3)
FIELDS = st.dictionaries(st.sampled_from("abc"), ANY | st.dictionaries(st.text(), ANY, max_size=3))


@given(FIELDS)
def test_values_and_their_order_stay(fields: dict[str, Any]) -> None:
    before = deepcopy(fields)
    share_texts(fields, "ab")
    share_mapping(fields, "c")
    assert json.dumps(fields) == json.dumps(before)


def test_equal_texts_of_two_runs_are_one_object(tmp_path: Path) -> None:
    items = [question(n) for n in range(3)]
    texts: list[list[object]] = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        write_items(folder, items)
        reply = {"response": "B. I think", "choice": items[0].answer, "logprobs": {"very sharp": -0.5}}
        lines = [Record.of(items[0], "correct", **reply).to_json()]
        (folder / RECORDS).write_text("\n".join(lines) + "\n")
        (record,), found = read_records(folder / RECORDS), read_items(folder)
        assert record == Record.of(items[0], "correct", **reply)
        assert record.item is found[0].id
        texts.append([record.item, record.slices, record.choice, record.response, *(record.logprobs or {})])
        texts[-1] += [found[0].slices, found[1].question, *found[1].options]
    assert all(one is other for one, other in zip(*texts, strict=True))
