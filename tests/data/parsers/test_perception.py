from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.data.files import QUESTION, YES_NO, read_one, refusal, write


def questions(root: Path, *records: dict[str, Any], split: str = "dev") -> Path:
    write(root / "llvisionqa" / f"llvisionqa_{split}.json", list(records))
    return root


def test_an_official_record_becomes_a_question(tmp_path: Path) -> None:
    dataset = read_one(questions(tmp_path, QUESTION, YES_NO))
    first, second = dataset.items
    assert (dataset.name, dataset.task, dataset.split, dataset.left_out) == ("llvisionqa", "perception", "dev", ())
    assert first.id == first.group == "llvisionqa/dev/00653.jpg"
    assert (first.question, first.options, first.answer) == (
        "How is the lighting of this building?",
        ("High", "Low", "Medium"),
        "Low",
    )
    assert first.slices == {"type": "how", "concern": "in_context_other"}
    assert second.slices == {"type": "yes_or_no", "concern": "distortion"}
    assert first.images[0].name.endswith("/llvisionqa/images/00653.jpg")
    assert dataset.license is not None
    assert "non-commercial" in dataset.license


def test_types_and_concerns_have_names(tmp_path: Path) -> None:
    records = [{**YES_NO, "img_path": f"{t}{c}.jpg", "type": t, "concern": c} for t in range(3) for c in range(4)]
    items = read_one(questions(tmp_path, *records)).items
    assert [item.slices["type"] for item in items[::4]] == ["yes_or_no", "what", "how"]
    assert [item.slices["concern"] for item in items[:4]] == [
        "distortion",
        "other",
        "in_context_distortion",
        "in_context_other",
    ]


@pytest.mark.parametrize(
    ("written", "concern"),
    [("2", "in_context_distortion"), ("In-context Distortion", "in_context_distortion"), ("others", "other")],
)
def test_codes_may_be_written_as_text(tmp_path: Path, written: str, concern: str) -> None:
    dataset = read_one(questions(tmp_path, {**QUESTION, "type": "Yes-or-No", "concern": written}))
    assert dataset.items[0].slices == {"type": "yes_or_no", "concern": concern}


def test_the_test_split_has_no_answers(tmp_path: Path) -> None:
    hidden = {key: value for key, value in QUESTION.items() if key != "correct_ans"}
    dataset = read_one(questions(tmp_path, hidden, split="test"), split="test")
    assert dataset.items[0].answer is None
    assert dataset.items[0].id == "llvisionqa/test/00653.jpg"


def test_a_submission_file_reads_like_its_questions(tmp_path: Path) -> None:
    dataset = read_one(questions(tmp_path, {**QUESTION, "response": "B. Low"}))
    assert dataset.items[0].answer == "Low"


@pytest.mark.parametrize(
    "options",
    [
        {"candidates": ["High", "Low"], "correct_ans": "Low"},
        {"candidates": [" High", "Low "], "correct_ans": " Low"},
        {"candidates": ["High", "Low"], "correct_choice": "B"},
        {"candidates": ["High", "Low"], "correct_choice": "b."},
        {"candidates": ["High", "Low"], "correct_ans": "Low", "correct_choice": "B"},
        {"option0": "High", "option1": "Low", "option2": "N/A", "option3": "N/A", "correct_choice": "B"},
        {"option0": "High", "option1": "Low", "option2": None, "correct_choice": "B"},
        {"A": "High", "B": "Low", "C": "", "D": "", "answer": "B"},
        {"A": "High", "B": "Low", "answer": "Low"},
        {"answers": ["High", "Low"], "correct_ans": "Low"},
    ],
)
def test_shapes_of_the_same_options(tmp_path: Path, options: dict[str, object]) -> None:
    item = read_one(questions(tmp_path, {"question": "How?", "img_path": "1.jpg", **options})).items[0]
    assert (item.options, item.answer) == (("High", "Low"), "Low")


def test_a_letter_that_is_itself_an_option_is_that_option(tmp_path: Path) -> None:
    record = {"question": "Which?", "img_path": "1.jpg", "candidates": ["B", "A"], "answer": "B"}
    assert read_one(questions(tmp_path, record)).items[0].answer == "B"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"correct_ans": "low"}, "answer 'low' is not among the options ['High', 'Low', 'Medium']"),
        ({"correct_ans": None, "correct_choice": "E"}, "answer 'E' is neither one of the options"),
        ({"correct_ans": None, "correct_choice": "AB"}, "answer 'AB' is neither"),
        ({"correct_ans": None, "correct_choice": "?"}, "answer '?' is neither"),
        ({"correct_choice": "A"}, "correct_ans 'Low' and correct_choice 'A' differ"),
        ({"correct_ans": ["Low"]}, "correct_ans is ['Low'], not text"),
        ({"correct_ans": None}, "no answer, though other entries have one"),
        ({"question": "  "}, "no question"),
        ({"question": 7.5}, "question is 7.5, not text"),
        ({"question": "\ud800"}, "not valid Unicode"),
        ({"candidates": ["Low"]}, "1 options"),
        ({"candidates": []}, "0 options"),
        ({"candidates": None}, "0 options"),
        ({"candidates": ["Low", "Low"]}, "blank or repeated"),
        ({"candidates": ["Low", ""]}, "blank or repeated"),
        ({"candidates": ["Low", 3]}, "not a list of texts"),
        ({"candidates": {"A": "Low"}}, "not text"),
        ({"candidates": None, "option0": "Low", "option1": None, "option2": "High"}, "have a gap"),
        ({"type": 3}, "type 3 is not a code; use one of 0 yes_or_no, 1 what, 2 how"),
        ({"type": "why"}, "type 'why' is not a code"),
        ({"type": 0.5}, "type 0.5 is not a code"),
        ({"type": True}, "type True is not a finite number"),
        ({"concern": -1}, "concern -1 is not a code"),
        ({"img_path": None}, "no image (img_path is absent or blank)"),
        ({"img_path": ["a.jpg", 3]}, "not a list of texts"),
        ({"id": ["x"]}, "id is ['x'], not text"),
        ({"id": "a\u2028b"}, "cannot be printed"),
        ({"group": 1.5}, "group is 1.5, not text"),
    ],
)
def test_the_error_for_an_invalid_record_names_it(tmp_path: Path, change: dict[str, object], message: str) -> None:
    error = refusal(questions(tmp_path, YES_NO, {**QUESTION, **change}))
    assert message in error
    assert "llvisionqa/llvisionqa_dev.json: entry 2: " in error


def test_a_dev_file_without_any_answer_is_the_wrong_file(tmp_path: Path) -> None:
    error = refusal(questions(tmp_path, {**QUESTION, "correct_ans": None}))
    assert "no answer, and no other entry has one; take the dev file, or --qbench-split=test" in error


def test_repeated_records_are_reported_and_counted_once(tmp_path: Path) -> None:
    dataset = read_one(questions(tmp_path, QUESTION, YES_NO, QUESTION))
    assert len(dataset.items) == 2
    (left,) = dataset.left_out
    assert (left.dataset, left.entry, left.reason) == (
        "llvisionqa",
        "llvisionqa/dev/00653.jpg",
        "entry 3 repeats entry 1",
    )


def test_the_same_question_with_another_key_is_an_error(tmp_path: Path) -> None:
    error = refusal(questions(tmp_path, QUESTION, {**QUESTION, "correct_ans": "High"}))
    assert "entry 2: llvisionqa/dev/00653.jpg is entry 1 too, with other content" in error


def test_further_questions_about_an_image_are_items_of_their_own(tmp_path: Path) -> None:
    other, third = {**YES_NO, "img_path": "00653.jpg"}, {**YES_NO, "img_path": "00653.jpg", "question": "Is it dark?"}
    dataset = read_one(questions(tmp_path, QUESTION, other, third, other))
    assert [item.id for item in dataset.items] == [
        "llvisionqa/dev/00653.jpg",
        "llvisionqa/dev/00653.jpg#2",
        "llvisionqa/dev/00653.jpg#3",
    ]
    assert {item.group for item in dataset.items} == {"llvisionqa/dev/00653.jpg"}
    assert [left.entry for left in dataset.left_out] == ["llvisionqa/dev/00653.jpg#2"]


def test_own_ids_and_groups(tmp_path: Path) -> None:
    records = [{**QUESTION, "id": 1, "group": "a"}, {**YES_NO, "id": "x", "group": "mini/a"}]
    first, second = read_one(questions(tmp_path, *records)).items
    assert (first.id, first.group) == ("llvisionqa/dev/1", "llvisionqa/a")
    assert (second.id, second.group) == ("llvisionqa/dev/x", "mini/a")
    error = refusal(questions(tmp_path, {**QUESTION, "id": 1}, {**YES_NO, "id": 1}))
    assert "llvisionqa/dev/1 is entry 1 too, with other content (question " in error
    error = refusal(questions(tmp_path, {**QUESTION, "id": 1}, {**QUESTION, "id": 1, "img_path": "2.jpg"}))
    assert "with other content (images " in error


def test_pairs_of_q_bench_2(tmp_path: Path) -> None:
    pair = {**QUESTION, "img_path": "llvisionqa_compare_dev\\00079.jpg_cat_09769.jpg.jpg", "correct_choice": "B"}
    records = [{**pair, "concern": 0}, {**pair, "img_path": ["a/1.jpg", "b.jpg"], "concern": 3}]
    write(tmp_path / "qbench2" / "q-bench2-a1-dev.jsonl", records)
    (tmp_path / "qbench2" / "all_single_images").mkdir()
    dataset = read_one(tmp_path)
    first, second = dataset.items
    assert dataset.name == "qbench2"
    assert first.id == "qbench2/dev/00079.jpg_cat_09769.jpg"
    assert [image.name.split("qbench2/")[1] for image in first.images] == [
        "all_single_images/00079.jpg",
        "all_single_images/09769.jpg",
    ]
    assert first.slices == {"type": "how", "concern": "distortion", "pair": "compare"}
    assert second.slices == {"type": "how", "concern": "other", "pair": "joint"}
    write(tmp_path / "qbench2" / "q-bench2-a1-dev.jsonl", [{**pair, "img_path": "one.jpg"}])
    assert "1 image instead of a pair" in refusal(tmp_path)


def test_a_bench_as_published_has_categories_and_no_answers(tmp_path: Path) -> None:
    record = {
        "img_path": "part1_0000.png",
        "question": "What is the color of the windows?",
        "answers": ["white", "yellow", "blue"],
        "category": "part1 -> basic_recognition -> major",
    }
    write(tmp_path / "A-Bench" / "Abench.json", [record, {**record, "img_path": "2.png", "category": "technical"}])
    for split in ("dev", "test"):
        dataset = read_one(tmp_path, split=split)
        assert (dataset.name, dataset.split, dataset.items[0].answer) == ("abench", None, None)
        assert dataset.items[0].id == "abench/part1_0000.png"
        assert dataset.items[0].slices == {"part": "part1", "category": "basic_recognition/major"}
        assert dataset.items[1].slices == {"category": "technical"}
