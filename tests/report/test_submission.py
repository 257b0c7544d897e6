from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_qbench.data.load import open_datasets
from pytest_qbench.items import Item
from pytest_qbench.records import Record
from pytest_qbench.report.submission import write_submissions
from tests.builders import picture, question, results, scored

OFFICIAL_SHAPE: list[dict[str, Any]] = [
    {"type": 0, "concern": 2, "question": "Is the clock sharp?", "img_path": "1.jpg", "candidates": ["Yes", "No"]},
    {"type": 1, "concern": 0, "question": "What is wrong?", "img_path": "1.jpg", "candidates": ["Blur", "Noise", "None"]},
    {"type": 2, "concern": 3, "question": "How is the light?", "img_path": "b/2.png", "candidates": ["Bright", "Dark"]},
    {"type": 2, "concern": 1, "question": "How is it?", "img_path": "3.png", "candidates": ["Good", "Bad"]},
]  # fmt: skip


def hidden(tmp_path: Path) -> list[Item]:
    (tmp_path / "llvisionqa").mkdir()
    (tmp_path / "llvisionqa" / "llvisionqa_test.json").write_text(json.dumps(OFFICIAL_SHAPE))
    (dataset,) = open_datasets(str(tmp_path), rootdir=tmp_path, names=None, split="test")
    return list(dataset.items)


def test_a_submission_contains_the_questions_with_responses(tmp_path: Path) -> None:
    items = hidden(tmp_path)
    records = [
        Record.of(items[2], "unparsed", response="Hard to tell"),
        Record.of(items[0], "measured", response="A.", choice="Yes"),
        Record.of(items[1], "measured", choice="Noise", logprobs={"Blur": -2.0, "Noise": -1.0, "None": -3.0}),
        Record.of(items[3], "error", error="out of memory"),
    ]
    (line,) = write_submissions(tmp_path, results(items, records))
    written = json.loads((tmp_path / "llvisionqa_test.json").read_text())
    responses = ["A.", "Noise", "Hard to tell", ""]
    assert written == [{**one, "response": r} for one, r in zip(OFFICIAL_SHAPE, responses, strict=True)]
    assert "4 questions, 1 of them without a response" in line
    assert "nothing was gated" in line


def test_an_item_that_was_not_measured_is_not_dropped(tmp_path: Path) -> None:
    items = hidden(tmp_path)
    write_submissions(tmp_path, results(items, []))
    assert [one["response"] for one in json.loads((tmp_path / "llvisionqa_test.json").read_text())] == [""] * 4


def test_shuffled_options_give_no_submission(tmp_path: Path) -> None:
    shuffled = results(hidden(tmp_path), [], option_order="shuffled with seed 0")
    assert write_submissions(tmp_path / "none", shuffled) == []


def test_known_answers_give_no_submission(tmp_path: Path) -> None:
    items = [question(0), picture(0, 1.0)]
    assert write_submissions(tmp_path, results(items, [scored(items[1], 0.5)])) == []
    assert list(tmp_path.iterdir()) == []


def test_question_2_of_an_image_has_the_image(tmp_path: Path) -> None:
    item = replace(hidden(tmp_path)[1])
    assert item.id == "llvisionqa/test/1.jpg#2"


def test_a_bench_comes_back_in_its_own_shape(tmp_path: Path) -> None:
    shape = [
        {"img_path": "part1_0000.png", "question": "What color are the windows?", "answers": ["white", "yellow", "blue"],
         "category": "part1 -> basic_recognition -> major"},
        {"img_path": "part2_0001.png", "question": "Is it sharp?", "answers": ["Yes", "No"], "category": "part2 -> technical"},
    ]  # fmt: skip
    (tmp_path / "datasets.yaml").write_text(
        "datasets:\n- {name: abench, task: perception, split: test, file: Abench.json, images: imgs}\n"
    )
    (tmp_path / "Abench.json").write_text(json.dumps(shape))
    (dataset,) = open_datasets(str(tmp_path), rootdir=tmp_path, names=None, split="test")
    records = [Record.of(item, "measured", response=f"{i}") for i, item in enumerate(dataset.items)]
    write_submissions(tmp_path, results(list(dataset.items), records))
    assert json.loads((tmp_path / "abench_test.json").read_text()) == [
        {**one, "response": f"{i}"} for i, one in enumerate(shape)
    ]


def test_descriptions_without_golden_texts_are_written(tmp_path: Path) -> None:
    items = [Item(f"lldescribe/{i}.jpg", "description", "lldescribe", None, "g", ()) for i in range(2)]
    (line,) = write_submissions(tmp_path, results(items, [Record.of(items[0], "measured", response="It is dark.")]))
    assert json.loads((tmp_path / "lldescribe_hidden.json").read_text()) == [
        {"img_path": "0.jpg", "response": "It is dark."}, {"img_path": "1.jpg", "response": ""},
    ]  # fmt: skip
    assert "2 images, 1 of them without a response" in line
    assert line.endswith("nothing was gated: the golden texts are hidden")
