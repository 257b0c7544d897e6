"""The context of an item, in every format and for every task."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_qbench.data.load import open_datasets
from pytest_qbench.errors import DataError
from pytest_qbench.items import Item
from pytest_qbench.runs.items_file import read_items, write_items
from tests.data.files import QUESTION, png, read_one, write

NIGHT = "Taken at night."


@pytest.mark.parametrize("key", ["context", "hint"])
def test_json_of_each_task(tmp_path: Path, key: str) -> None:
    write(tmp_path / "llvisionqa" / "llvisionqa_dev.json", [{**QUESTION, key: f" {NIGHT} "}])
    write(tmp_path / "lldescribe" / "lldescribe.json", [{"img_path": "a.png", "golden": "dark", key: NIGHT}])
    write(
        tmp_path / "iqa" / "lab.json",
        [{"img_path": "a.png", "gt_score": 1, key: NIGHT}, {"img_path": "b.png", "gt_score": 2, key: ""}],
    )
    datasets = open_datasets(str(tmp_path), rootdir=tmp_path, names=None, split="dev")
    assert {d.task: [item.context for item in d.items] for d in datasets} == {
        "perception": [NIGHT], "description": [NIGHT], "assessment": [NIGHT, None],
    }  # fmt: skip


def test_tables(tmp_path: Path) -> None:
    write(tmp_path / "iqa" / "lab.csv", f"img_path,gt_score,context\na.png,1,{NIGHT}\nb.png,2,\n")
    assert [item.context for item in read_one(tmp_path).items] == [NIGHT, None]


def test_vlmevalkit_calls_it_a_hint(tmp_path: Path) -> None:
    from base64 import b64encode

    image = b64encode(png()).decode()
    table = f"index\timage\thint\tquestion\tA\tB\tanswer\n1\t{image}\t{NIGHT}\tIs it dark?\tYes\tNo\tA\n"
    write(tmp_path / "llvisionqa" / "Q-Bench1_VAL.tsv", table)
    assert [item.context for item in read_one(tmp_path).items] == [NIGHT]


def test_context_and_hint_that_differ_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "llvisionqa" / "llvisionqa_dev.json", [{**QUESTION, "context": "a", "hint": "b"}])
    with pytest.raises(DataError, match="entry 1: context 'a' and hint 'b' differ; keep one of them"):
        read_one(tmp_path)


def test_one_id_with_two_contexts_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "llvisionqa" / "llvisionqa_dev.json", [QUESTION, {**QUESTION, "context": "a"}])
    with pytest.raises(DataError, match="is entry 1 too, with other content \\(context None there, 'a' here\\)"):
        read_one(tmp_path)


def test_a_context_changes_the_digest_and_comes_back_from_a_run_folder(tmp_path: Path) -> None:
    plain = Item("d/1", "perception", "d", None, "g", (), "Q?", ("x", "y"), "x")
    asked = Item("d/1", "perception", "d", None, "g", (), "Q?", ("x", "y"), "x", context=NIGHT)
    assert plain.digest() == "1fc31f1fae141739"  # as before items had a context
    assert asked.digest() != plain.digest()
    write_items(tmp_path, [asked])
    assert read_items(tmp_path) == [asked]
