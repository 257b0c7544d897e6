"""Check that every input gives a named error or valid data, and never a crash."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pytest_qbench.data.image_paths import missing_images
from pytest_qbench.data.sampling import select
from pytest_qbench.errors import DataError
from pytest_qbench.items import Dataset

from .files import QUESTION, read, write

SETTINGS = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
FILES = {
    "perception": "llvisionqa/llvisionqa_dev.json",
    "pairs": "qbench2/qbench2_dev.json",
    "description": "lldescribe/lldescribe.json",
    "assessment": "iqa/kadid.json",
}
RECORDS: dict[str, dict[str, Any]] = {
    "perception": QUESTION,
    "pairs": {**QUESTION, "img_path": ["1.jpg", "2.jpg"]},
    "description": {"img_path": "1.jpg", "golden": ["Blurry.", "Dark."]},
    "assessment": {"img_path": "I01_01_01.png", "gt_score": "2.82 "},
}
KEYS = st.sampled_from(
    [
        "img_path",
        "image",
        "id",
        "group",
        "question",
        "candidates",
        "options",
        "answers",
        "option0",
        "option1",
        "A",
        "B",
        "answer",
        "correct_ans",
        "correct_choice",
        "type",
        "concern",
        "question_type",
        "category",
        "golden",
        "gt_score",
        "mos",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(
        ["../x", "/x", "a/b.png", "N/A", "A", "b.", "Low", "3.5 ", "nan", "1e999", "\ud800", "\0", ".", "x" * 300]
    )
)
VALUES = SCALARS | st.lists(SCALARS, max_size=4) | st.dictionaries(st.text(max_size=3), SCALARS, max_size=2)
CHANGES = st.lists(st.dictionaries(KEYS, VALUES, max_size=4), min_size=1, max_size=4)


def attempt(root: Path) -> list[Dataset]:
    """Read a folder; check that the data is valid, or that the error is one line."""
    try:
        datasets = read(root)
    except DataError as e:
        assert "\n" not in str(e)
        assert ": " in str(e)
        return []
    for dataset in datasets:
        assert dataset.items
        assert len({item.id for item in dataset.items}) == len(dataset.items)
        for item in dataset.items:
            json.dumps([item.id, item.group, item.digest()]).encode()
            item.id.encode()
            assert item.id.startswith(f"{dataset.name}/")
            assert item.images
            assert item.answer is None or item.answer in item.options
            assert (item.target is not None and math.isfinite(item.target)) == (item.task == "assessment")
            assert not item.golden or item.task == "description"
            for image in item.images:
                assert Path(image.name).resolve().is_relative_to(root.resolve())
        assert len(select([dataset], limit=1, seed=0)[0].items) == 1
    with pytest.raises(DataError, match="images missing under"):
        missing_images(datasets)
    return datasets


@pytest.mark.parametrize("task", FILES)
@SETTINGS
@given(changes=CHANGES)
def test_any_record_is_read_or_refused(tmp_path: Path, task: str, changes: list[dict[str, Any]]) -> None:
    write(tmp_path / FILES[task], [{**RECORDS[task], **change} for change in changes])
    for dataset in attempt(tmp_path):
        assert len(dataset.items) + len(dataset.left_out) == len(changes)


@pytest.mark.parametrize("task", FILES)
@SETTINGS
@given(records=st.lists(st.dictionaries(KEYS | st.text(max_size=3), VALUES), max_size=4))
def test_any_list_of_objects_is_read_or_refused(tmp_path: Path, task: str, records: list[dict[str, Any]]) -> None:
    write(tmp_path / FILES[task], records)
    attempt(tmp_path)


@SETTINGS
@given(
    entries=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 4), st.sampled_from(["Yes", "No"])), max_size=12)
)
def test_questions_about_one_image_are_numbered_and_repeats_left_out(
    tmp_path: Path, entries: list[tuple[str, int, str]]
) -> None:
    answers: dict[tuple[str, int], str] = {}
    ids: dict[str, list[int]] = {}
    repeats, contradicts = 0, False
    for image, question, answer in entries:
        if (image, question) not in answers:
            answers[image, question] = answer
            ids.setdefault(image, []).append(question)
        elif answers[image, question] == answer:
            repeats += 1
        else:
            contradicts = True
            break
    expected = {
        f"m/{image}.png" + (f"#{place}" if place > 1 else ""): f"Question {question}?"
        for image, questions in ids.items()
        for place, question in enumerate(questions, 1)
    }
    write(
        tmp_path / "m.json",
        [
            {"img_path": f"{image}.png", "question": f"Question {question}?", "candidates": ["Yes", "No"],
             "correct_ans": answer}
            for image, question, answer in entries
        ],
    )  # fmt: skip
    write(tmp_path / "datasets.yaml", "datasets: [{name: m, task: perception, file: m.json}]")
    if contradicts:
        with pytest.raises(DataError, match="with other content"):
            read(tmp_path)
    elif entries:
        (found,) = read(tmp_path)
        assert {item.id: item.question for item in found.items} == expected
        assert len(found.left_out) == repeats


TABLE = st.text(alphabet='",;\t\n\r ab1.-é\ufeff\0', max_size=60).map(str.encode) | st.binary(max_size=60)


@pytest.mark.parametrize("name", ["iqa/m.csv", "iqa/m.tsv", "llvisionqa/Q-Bench1_VAL.tsv"])
@SETTINGS
@given(content=TABLE, header=st.booleans())
@example(content=b'"' * 7, header=True)
def test_any_table_is_read_or_refused(tmp_path: Path, name: str, content: bytes, header: bool) -> None:
    delimiter = "\t" if name.endswith("tsv") else ","
    names = ["index", "image", "question", "A", "B", "answer"] if "VAL" in name else ["name", "mos"]
    write(tmp_path / name, delimiter.join(names).encode() + b"\n" + content if header else content)
    attempt(tmp_path)


CELLS = st.text(alphabet='ab1",;\t\n. é', max_size=5)


@SETTINGS
@given(rows=st.lists(st.tuples(CELLS, st.floats(-9, 9), CELLS), min_size=1, max_size=5), tab=st.booleans())
def test_tables_read_as_the_csv_module_writes_them(
    tmp_path: Path, rows: list[tuple[str, float, str]], tab: bool
) -> None:
    import csv

    from pytest_qbench.data.readers.csv import read_table

    path = tmp_path / ("m.tsv" if tab else "m.csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, "excel-tab" if tab else "excel")
        writer.writerows([("name", "mos", "note"), *rows])
    assert [tuple(row.fields.values()) for row in read_table(path, "m")] == [(a, str(b), c) for a, b, c in rows]


YAML_VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["koniq", "cgi", "a/*.json", "**"])
)
YAML_KEYS = st.sampled_from(
    [
        "name",
        "task",
        "split",
        "file",
        "images",
        "higher_is_better",
        "image_column",
        "target_column",
        "group_column",
        "group_pattern",
        "license",
        "x",
    ]
)


@SETTINGS
@given(
    entries=st.lists(st.dictionaries(YAML_KEYS, YAML_VALUES, max_size=6) | YAML_VALUES, max_size=3),
    task=st.sampled_from([None, "assessment", "perception"]),
    file=st.sampled_from([None, "iqa/koniq.json", "absent.json"]),
)
def test_any_manifest_is_read_or_refused(
    tmp_path: Path, entries: list[Any], task: str | None, file: str | None
) -> None:
    write(tmp_path / "iqa" / "koniq.json", [RECORDS["assessment"]])
    stated = {key: value for key, value in {"name": "m", "task": task, "file": file}.items() if value}
    merged = [{**stated, **entry} if isinstance(entry, dict) else entry for entry in entries]
    write(tmp_path / "datasets.yaml", json.dumps({"datasets": merged}))
    try:
        read(tmp_path)
    except DataError as e:
        assert "\n" not in str(e)


@SETTINGS
@given(text=st.text(alphabet="datses:[]{}-!&*?|>'\"#%@ \n0b1.", max_size=40) | st.binary(max_size=30))
def test_any_text_of_a_manifest_is_read_or_refused(tmp_path: Path, text: str | bytes) -> None:
    write(tmp_path / "iqa" / "koniq.json", [RECORDS["assessment"]])
    write(tmp_path / "datasets.yaml", text)
    try:
        read(tmp_path)
    except DataError as e:
        assert "\n" not in str(e)


@settings(SETTINGS, max_examples=40)
@given(position=st.floats(0, 1), byte=st.integers(0, 255), cut=st.booleans())
@example(position=0.4296875, byte=0, cut=False)
@example(position=0.40625, byte=128, cut=False)
def test_a_damaged_parquet_file(tmp_path: Path, position: float, byte: int, cut: bool) -> None:
    from .test_hub import published

    path = tmp_path / "Q-Bench-HF" / "data" / "dev-00000-of-00001.parquet"
    pristine = tmp_path / "pristine"
    if not pristine.exists():
        published(tmp_path)
        shutil.copy(path, pristine)
    content = bytearray(pristine.read_bytes())
    place = int(position * (len(content) - 1))
    content[place:] = b"" if cut else bytes([byte]) + content[place + 1 :]
    path.write_bytes(content)
    try:
        datasets = read(tmp_path)
        missing_images(datasets)
    except DataError as e:
        assert "\n" not in str(e)
