"""Which output answers which item: what is matched, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.items import FileImage, Item
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.models.item_index import pair
from pytest_qbench.models.output_places import line_of
from pytest_qbench.records import Response
from tests.models.output_formats.harness import lines

LOGITS = {"logit_good": 1.0, "logit_poor": 2.0}


def model(path: Path, **arguments: str) -> Any:
    return load_model(parse_spec(f"replay:{path}"), arguments)


def about(file: str, asked: str, options: Sequence[str] = ("Yes", "No"), own: str | None = None) -> Item:
    ident = f"llvisionqa/dev/{own or file}"
    image = FileImage(Path("d"), "data/llvisionqa/images", file)
    return Item(ident, "perception", "llvisionqa", "dev", ident, (image,), asked, tuple(options), options[0])


def scored_item(file: str, dataset: str = "koniq") -> Item:
    image = FileImage(Path("d"), f"data/iqa/{dataset}", file)
    return Item(f"{dataset}/{file}", "assessment", dataset, None, f"{dataset}/{file}", (image,), target=1.0)


def table(path: Path, *rows: dict[str, Any]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_contradicting_entries_are_refused_with_file_and_line(tmp_path: Path) -> None:
    rows = [{"img_path": f"{i}.png", "response": "A"} for i in range(5)]
    path = lines(tmp_path / "llvisionqa_dev.jsonl", [*rows, {"img_path": "3.png", "response": "B"}])
    items = [about(f"{i}.png", "Sharp?") for i in range(5)]
    with pytest.raises(ModelError) as caught:
        model(path).recall(items)
    assert str(caught.value) == (
        "llvisionqa_dev.jsonl: entry 6 (line 6) contradicts llvisionqa_dev.jsonl: entry 4 (line 4): two outputs for "
        "llvisionqa/dev/3.png ('A' there, 'B' here); keep one, or choose with --qbench-model-arg=duplicates=first or =last"
    )
    assert [r.text for r in model(path, duplicates="first").recall(items)] == ["A"] * 5
    last = model(path, duplicates="last")
    assert [r.text for r in last.recall(items)] == ["A", "A", "A", "B", "A"]
    assert "with another answer; the last counts, as asked" in last.left_out[0].reason
    lines(path, [*rows, *rows])
    again = model(path)
    assert [r.text for r in again.recall(items)] == ["A"] * 5
    assert (
        again.left_out[0].reason
        == "5 entries repeat the item of an earlier one (first: entry 6); each item counts once"
    )


def test_contradicting_scores_are_refused(tmp_path: Path) -> None:
    lines(
        tmp_path / "koniq.json", [{"img_path": "1.jpg", **LOGITS}, {"img_path": "x/1.jpg", **LOGITS, "logit_good": 3}]
    )
    with pytest.raises(ModelError, match=r"entry 2 \(line 2\) contradicts .* two outputs for koniq/1.jpg"):
        model(tmp_path).recall([scored_item("1.jpg")])


def test_contradicting_files_are_refused(tmp_path: Path) -> None:
    for name, reply in (("a_llvisionqa_dev.json", "A"), ("b_llvisionqa_dev.json", "B")):
        lines(tmp_path / name, [{"img_path": "1.png", "response": reply}])
    with pytest.raises(ModelError, match=r"b_llv.*entry 1 \(line 1\) contradicts a_llv.*files=b_llvisionqa_dev.json"):
        model(tmp_path).recall([about("1.png", "Sharp?")])
    assert model(tmp_path, files="b_*").recall([about("1.png", "Sharp?")]) == [Response("B")]


def test_an_output_that_fits_several_items_is_refused(tmp_path: Path) -> None:
    items = [about("7.png", "Sharp?"), about("7.png", "Dark?", own="7.png#2")]
    lines(tmp_path / "llvisionqa_dev.json", [{"img_path": "7.png", "response": "A"}])
    with pytest.raises(
        ModelError, match=r"entry 1 \(line 1\) would answer 2 items, llvisionqa/dev/7.png and .*#2; add"
    ):
        model(tmp_path).recall(items)
    lines(tmp_path / "llvisionqa_dev.json", [{"img_path": "7.png", "question": "Dark?", "response": "A"}])
    assert model(tmp_path).recall(items[1:]) == [Response("A")]


def test_a_question_asked_of_several_images_names_none_of_them(tmp_path: Path) -> None:
    row = {"index": 40, "question": "Sharp?", "A": "Yes", "B": "No", "C": "", "D": "", "answer": "A", "prediction": "A"}
    table(tmp_path / "m_Q-Bench1_VAL.csv", row)
    assert model(tmp_path).recall([about("1.png", "Sharp?"), about("2.png", "Dark?")][:1]) == [Response("A")]
    with pytest.raises(ModelError, match=r"entry 1 \(line 2\) would answer 2 items, .*1.png and .*2.png"):
        model(tmp_path).recall([about("1.png", "Sharp?"), about("2.png", "Sharp?")])
    assert model(tmp_path).recall([about("1.png", "Sharp?"), about("2.png", "Sharp?", ["No", "Yes"])][:1])


def test_a_letter_for_other_options_is_no_answer(tmp_path: Path) -> None:
    """The same id and question, but A means something else."""
    row = {"index": 0, "question": "Sharp?", "A": "No", "B": "Yes", "prediction": "A"}
    table(tmp_path / "m_Q-Bench1_VAL.csv", row)
    with pytest.raises(ItemError, match=r"answers another question \('Sharp\?'\)"):
        model(tmp_path).recall([about("1.png", "Sharp?", own="0")])


def test_ids_of_another_benchmark_are_not_taken_for_those_of_this_one(tmp_path: Path) -> None:
    items = [about(f"{i}.png", f"Sharp {i}?", own=str(i)) for i in range(3)]
    rows = [{"index": i, "question": f"What is {i}?", "A": "Yes", "B": "No", "prediction": "B"} for i in range(3)]
    table(tmp_path / "m_MMBench_DEV_EN.csv", *rows)
    mine = [{**row, "question": f"Sharp {i}?", "prediction": "A"} for i, row in enumerate(rows)]
    table(tmp_path / "m_Q-Bench1_VAL.csv", *mine)
    replayed = model(tmp_path)
    assert replayed.recall(items) == [Response("A")] * 3
    assert [(e.entry, e.reason) for e in replayed.left_out] == [
        ("m_MMBench_DEV_EN.csv", "not used: none of its 3 entries is of an item of this run")
    ]


def test_two_models_of_vlmevalkit_are_refused_also_where_their_items_differ(tmp_path: Path) -> None:
    for i, name in enumerate(("m7", "m7-int4")):
        table(tmp_path / f"{name}_Q-Bench1_VAL.csv", {"index": i, "question": f"Sharp {i}?", "prediction": "A"})
    with pytest.raises(ModelError, match=r"2 models, m7-int4 .* and m7 .*; choose one with --qbench-model-arg=files="):
        model(tmp_path)
    assert model(tmp_path, files="m7_[QA]-*").recall([about("0.png", "Sharp 0?", own="0")]) == [Response("A")]


@pytest.mark.parametrize("names", [
    ("20260801_101500_samples_qbench_dev.jsonl", "20260802_101500_samples_qbench_dev.jsonl"),
    ("samples_qbench_dev_2026-08-01T10-15-00.1.jsonl", "samples_qbench_dev_2026-08-02T10-15-00.1.jsonl"),
])  # fmt: skip
def test_two_runs_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        lines(tmp_path / name, [{"doc_id": 0, "doc": {"id": 0, "question": "q"}, "filtered_resps": ["A"]}])
    with pytest.raises(ModelError, match=f"two runs on the same data, {names[0]} and {names[1]}; .*files={names[1]}"):
        model(tmp_path)
    # The same run's logs of two tasks are no two runs.
    (tmp_path / names[1]).rename(tmp_path / names[1].replace("qbench_dev", "abench_dev"))
    model(tmp_path)


def test_folders_before_a_name_count_where_names_repeat(tmp_path: Path) -> None:
    items = [scored_item("a/1.jpg"), scored_item("b/1.jpg"), scored_item("c/2.jpg")]
    rows = [{"image": f"/x/{path}", "score": i} for i, path in enumerate(("a/1.jpg", "b/1.jpg", "z/2.jpg"))]
    lines(tmp_path / "koniq.json", rows)
    assert [r.score for r in model(tmp_path).recall(items)] == [0.0, 1.0, 2.0]
    lines(tmp_path / "koniq.json", [{"image": "1.jpg", "score": 1}])
    with pytest.raises(ModelError, match="would answer 2 items, koniq/a/1.jpg and koniq/b/1.jpg"):
        model(tmp_path).recall(items)


def test_one_file_of_several_databases_goes_by_their_folders(tmp_path: Path) -> None:
    items = [scored_item("1.jpg", "koniq"), scored_item("1.jpg", "spaq")]
    lines(tmp_path / "all.json", [{"image": "spaq/1.jpg", "score": 2}, {"image": "koniq/1.jpg", "score": 1}])
    assert [r.score for r in model(tmp_path).recall(items)] == [1.0, 2.0]
    lines(tmp_path / "all.json", [{"image": "1.jpg", "score": 2}])
    with pytest.raises(ModelError, match="would answer 2 items, koniq/1.jpg and spaq/1.jpg; .*name the file after"):
        model(tmp_path).recall(items)


def test_a_further_database_stands_in_nobodys_way(tmp_path: Path) -> None:
    lines(tmp_path / "koniq.json", [{"img_path": "1.jpg", **LOGITS}])
    lines(tmp_path / "livemd.json", [{"img_path": "1.jpg", **LOGITS, "logit_good": 9}])
    lines(tmp_path / "spaq.json", [{"img_path": "1.jpg", **LOGITS}])
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "more").mkdir()
    lines(tmp_path / "more" / "koniq.json", [{"img_path": "2.jpg", **LOGITS}])
    replayed = model(tmp_path)
    assert replayed.recall([scored_item("1.jpg")]) == [Response(logprobs={"good": 1.0, "poor": 2.0})]
    reasons = {entry.entry: entry.reason for entry in replayed.left_out}
    assert reasons.keys() == {"livemd.json", "spaq.json", "notes.txt", "more/koniq.json"}
    assert reasons["spaq.json"] == "not used: spaq is not measured in this run"
    assert reasons["livemd.json"] == "not used: none of its 1 entry is of an item of this run"
    assert reasons["notes.txt"].startswith("not read: no format of outputs")
    assert reasons["more/koniq.json"] == f"not read: it lies in a folder below; name that as replay:{tmp_path / 'more'}"


def test_an_answer_file_of_any_name_goes_by_image_and_question(tmp_path: Path) -> None:
    lines(tmp_path / "koniq.json", [{"img_path": "1.jpg", **LOGITS}])
    lines(tmp_path / "july.jsonl", [{"img_path": "images/1.jpg", "question": "Sharp?", "response": "B"}])
    assert model(tmp_path).recall([scored_item("1.jpg"), about("1.jpg", "Sharp?")])[1] == Response("B")


def test_pairs_of_images(tmp_path: Path) -> None:
    assert pair("d\\a.jpg_cat_b.jpg.jpg") == ("a.jpg", "b.jpg")
    assert pair("a_cat.jpg") == ("a_cat.jpg",)
    images = tuple(FileImage(Path("d"), "data/images", name) for name in ("a.jpg", "b.jpg"))
    item = Item("qbench2/dev/a.jpg_cat_b.jpg", "perception", "qbench2", "dev", "g", images, "Which?", ("A", "B"), "A")
    for name in ("x\\a.jpg_cat_b.jpg.jpg", "x/a.jpg_cat_b.jpg", ["x/a.jpg", "y/b.jpg"]):
        lines(tmp_path / "qbench2_dev.json", [{"img_path": name, "response": "A"}])
        assert model(tmp_path).recall([item]) == [Response("A")]


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(6)), st.data())
def test_the_order_of_entries_does_not_matter(tmp_path: Path, order: list[int], data: st.DataObject) -> None:
    """Whatever names the items: id, image, or question and options."""
    by = data.draw(st.sampled_from(["id", "img_path", "question"]))
    items = [about(f"{i}.png", f"Sharp {i}?") for i in range(6)]
    names = {"id": [f"{i}.png" for i in range(6)], "img_path": [f"x/{i}.png" for i in range(6)], "question": [f"Sharp {i}?" for i in range(6)]}[by]  # fmt: skip
    rows = [{"index": 99 - i, by: names[i], "candidates": ["Yes", "No"], "response": str(i)} for i in order]
    lines(tmp_path / "llvisionqa_dev.jsonl", rows)
    assert [r.text for r in model(tmp_path).recall(items)] == [str(i) for i in range(6)]


@pytest.mark.parametrize("name, content, expected", [
    ("a.json", '{"a": 1}{"a": 2}\n{"a":\n 3}\n\n{"a": 4}', [1, 1, 2, 5]),
    ("a.json", '[\n{"a": 1},\n{"a": "[{"},\n\n{"a": 3}]', [2, 3, 5]),
    ("a.csv", 'a,b\n1,"x\ny"\n\n2,z\n', [2, 5]),
    ("a.xlsx", "", [2, 3]), ("a.eval", "", []), ("a.json", '{"a": 1', []),
])  # fmt: skip
def test_lines_of_entries(tmp_path: Path, name: str, content: str, expected: list[int]) -> None:
    path = tmp_path / name
    path.write_text(content)
    found = [line_of(path, number) for number in range(1, 9)]
    assert [line for line in found if line is not None][: len(expected) or None] == expected
    assert line_of(path, 0) is None or name.endswith("xlsx")


def test_an_item_is_recalled_from_what_was_matched_with_all_items(tmp_path: Path) -> None:
    """A batch alone would hide that an output fits two items of the run."""
    path = tmp_path / "llvisionqa_dev.json"
    path.write_text(json.dumps([{"img_path": "7.png", "response": "A"}]))
    items = [about("7.png", "Sharp?"), about("7.png", "Dark?", own="7.png#2")]
    assert model(path).recall(items[:1]) == [Response("A")]
    replayed = model(path)
    with pytest.raises(ModelError, match="would answer 2 items"):
        replayed.expect(items)
