"""Clean and degraded images: twins by id, by image and across datasets; severities; tables of any name."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.runs.items_file import read_items, write_items
from tests.data.files import png, read, read_one, refusal, write

ENTRY = {"question": "Is it sharp?", "candidates": ["Yes", "No"], "correct_ans": "Yes"}


def dataset(root: Path, *entries: dict[str, Any]) -> Path:
    write(root / "lab.json", [{**ENTRY, **entry} for entry in entries])
    write(root / "datasets.yaml", "datasets: [{name: lab, task: perception, file: lab.json}]")
    return root


def table(path: Path, rows: list[dict[str, str]]) -> None:
    header = list(rows[0])
    lines = ["\t".join(header), *("\t".join(row[name] for name in header) for row in rows)]
    write(path, "\n".join(lines) + "\n")


def row(index: int, colour: int, **more: str) -> dict[str, str]:
    picture = base64.b64encode(png((colour, index, 0))).decode()
    return {"index": str(index), "question": f"Q{index}?", "A": "Yes", "B": "No", "answer": "AB"[index % 2], **more,
            "image": picture}  # fmt: skip


def test_a_twin_is_named_by_its_id_or_its_image(tmp_path: Path) -> None:
    other = {"question": "Is it dark?"}
    items = read_one(
        dataset(
            tmp_path,
            {"img_path": "noisy.png", "clean": "one.png", "severity": 2},  # before its twin
            {"img_path": "one.png"},
            {"img_path": "one.png", **other},
            {"img_path": "blurred.png", "clean": "one.png", "severity": "low", **other},
            {"img_path": "worse.png", "clean": "one.png#2", "severity": 0.5, **other},
        )
    ).items
    assert [item.clean for item in items] == ["lab/one.png", None, None, "lab/one.png#2", "lab/one.png#2"]
    assert {item.group for item in items} == {"lab/one.png"}  # resampled together
    assert [item.slices.get("severity") for item in items] == ["2", None, None, "low", "0.5"]
    write_items(tmp_path, items)
    assert [item.clean for item in read_items(tmp_path)] == [item.clean for item in items]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"clean": "two.png"}, "1 of 2 items have no clean twin in lab, first lab/noisy.png (clean is 'two.png')"),
        ({"clean": "one.png", "correct_ans": "No"}, "lab/noisy.png has answer 'No', its clean twin lab/one.png 'Yes'"),
        ({"clean": "one.png", "question": "Is it dark?"}, "lab/noisy.png has question 'Is it dark?'"),
    ],
)
def test_twins_differ_in_the_image_alone(tmp_path: Path, entry: dict[str, Any], words: str) -> None:
    assert words in refusal(dataset(tmp_path, {"img_path": "noisy.png", **entry}, {"img_path": "one.png"}))


def test_a_table_of_vlmevalkit_in_the_folder_is_a_dataset_of_its_name(tmp_path: Path) -> None:
    names = ("hint", "C", "category", "degradation_severity")
    more = [("An MRI slice.", "None", "noise", "L1"), ("nan", "", "noise", "L0")]
    table(
        tmp_path / "MedQ_dev.tsv", [row(i, 0, **dict(zip(names, cells, strict=True))) for i, cells in enumerate(more)]
    )
    table(tmp_path / "model_MedQ_dev.tsv", [{**row(0, 0), "prediction": "A"}])  # the outputs of a model
    first, second = read_one(tmp_path).items
    assert (first.id, first.options, first.answer) == ("MedQ_dev/0", ("Yes", "No", "None"), "Yes")
    assert (first.slices, first.context) == ({"category": "noise", "severity": "L1"}, "An MRI slice.")
    assert (second.options, second.answer, second.context) == (("Yes", "No"), "No", None)
    assert first.images[0].read() == png((0, 0, 0))


def test_options_of_a_table_may_go_beyond_the_tenth_letter(tmp_path: Path) -> None:
    letters = "ABCDEFGHIJKL"
    options = {letter: f"option {letter}" for letter in letters}
    table(tmp_path / "many.tsv", [{**row(0, 0), **options, "answer": "L"}])
    (item,) = read_one(tmp_path).items
    assert (len(item.options), item.answer) == (12, "option L")


def test_a_table_may_name_its_images(tmp_path: Path) -> None:
    table(tmp_path / "paths.tsv", [{**row(7, 0), "image_path": "a.png", "image": ""}])
    cells = {name: cell for name, cell in row(8, 0).items() if name != "image"}
    table(tmp_path / "alone.tsv", [{**cells, "image_path": "a.png"}])
    assert [(one.items[0].id, one.items[0].image_names) for one in read(tmp_path)] == [
        ("alone/8", ("a.png",)), ("paths/7", ("a.png",)),
    ]  # fmt: skip


def test_twins_across_datasets_have_the_same_id(tmp_path: Path) -> None:
    for name, colour in (("R-Bench-Ref", 0), ("R-Bench-Dis", 99)):
        table(tmp_path / f"{name}.tsv", [row(i, colour) for i in range(3)])
    write(tmp_path / "datasets.yaml", "datasets: [{name: R-Bench-Dis, clean: R-Bench-Ref}]")
    degraded, clean = read(tmp_path)
    assert [item.clean for item in degraded.items] == [item.id for item in clean.items]
    assert [item.group for item in degraded.items] == [item.group for item in clean.items]
    assert [item.clean for item in clean.items] == [None] * 3
    assert [item.clean for item in read_one(tmp_path, names=["R-Bench-Dis"]).items] == [None] * 3
    table(tmp_path / "R-Bench-Ref.tsv", [row(i, 0) for i in range(2)])
    assert "1 of 3 items have no clean twin in R-Bench-Ref, first R-Bench-Dis/2" in refusal(tmp_path)
    write(tmp_path / "datasets.yaml", "datasets: [{name: R-Bench-Dis, clean: R-Bench}]")
    assert "R-Bench-Dis: clean: R-Bench is not in" in refusal(tmp_path)
