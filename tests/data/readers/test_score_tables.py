"""Check tables of quality databases in every format, with and without a header, and their columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_qbench.items import Dataset
from tests.data.files import read_one, refusal, write

ROWS = [("a.jpg", "1.5", "0.3"), ("b.png", "4", "0.25"), ("c.bmp", "2.75", "1e-1")]
HEADER = ("image", "mos", "std")


def text(rows: Sequence[tuple[str, ...]], separator: str) -> str:
    return "".join(separator.join(row) + "\n" for row in rows)


def scores(dataset: Dataset) -> dict[str, float | None]:
    return {item.id: item.target for item in dataset.items}


EXPECTED = {"mine/a.jpg": 1.5, "mine/b.png": 4.0, "mine/c.bmp": 2.75}


@pytest.mark.parametrize("separator", [" ", "   ", "\t", ",", ", ", ";"])
@pytest.mark.parametrize("header", [True, False])
def test_text_tables_are_read(tmp_path: Path, separator: str, header: bool) -> None:
    write(tmp_path / "iqa" / "mine.txt", text([HEADER] * header + ROWS, separator))
    assert scores(read_one(tmp_path)) == EXPECTED


def test_the_score_may_come_before_the_name(tmp_path: Path) -> None:
    write(tmp_path / "iqa" / "mine.txt", text([(mos, name) for name, mos, _ in ROWS], " "))
    assert scores(read_one(tmp_path)) == EXPECTED


def test_a_csv_file_without_a_header_is_read(tmp_path: Path) -> None:
    write(tmp_path / "iqa" / "mine.csv", text([row[:2] for row in ROWS], ","))
    assert scores(read_one(tmp_path)) == EXPECTED


def test_an_excel_sheet_is_read(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [HEADER, *((name, float(mos), float(std)) for name, mos, std in ROWS), (None, None, None)]:
        book.active.append(row)
    (tmp_path / "iqa").mkdir()
    book.save(tmp_path / "iqa" / "mine.xlsx")
    assert scores(read_one(tmp_path)) == EXPECTED


def test_a_broken_sheet_is_named(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    write(tmp_path / "iqa" / "mine.xlsx", b"PK not a workbook")
    assert "iqa/mine.xlsx: no readable workbook" in refusal(tmp_path)


def test_more_columns_without_a_header_need_their_numbers(tmp_path: Path) -> None:
    write(tmp_path / "iqa" / "mine.txt", "a.jpg 1 2 3\nb.jpg 4 5 6\n")
    assert "no column with the image's name (columns: 1, 2, 3, 4); name it as image_column" in refusal(tmp_path)
    write(
        tmp_path / "datasets.yaml",
        'datasets: [{name: mine, task: assessment, file: iqa/mine.txt, image_column: "1", target_column: "3"}]',
    )
    assert scores(read_one(tmp_path)) == {"mine/a.jpg": 2.0, "mine/b.jpg": 5.0}


def test_a_line_with_another_number_of_columns_is_named(tmp_path: Path) -> None:
    write(tmp_path / "iqa" / "mine.txt", "a.jpg 1\nmy photo.jpg 2\n")
    assert "mine.txt: entry 2 (line 2): 3 columns, 2 in the first line; save it as CSV" in refusal(tmp_path)


@pytest.mark.parametrize("column", ["ref", "ref_img", "ref_img_path", "Reference", "source", "ori_img", "Ref Image"])
def test_a_reference_column_defines_the_groups(tmp_path: Path, column: str) -> None:
    rows = [("image", column, "mos")] + [(f"{i}.bmp", f"ref{i // 3}.bmp", str(i)) for i in range(9)]
    write(tmp_path / "iqa" / "mine.csv", text([*rows, ("ref1.bmp", "", "9")], ","))
    dataset = read_one(tmp_path)
    assert [item.group for item in dataset.items] == [f"mine/ref{i // 3}.bmp" for i in range(9)] + ["mine/ref1.bmp"]
    assert (
        dataset.meaning
        == f"mine: mos from 0 to 9, higher is better (by default); 3 groups of images by column {column}"
    )


def test_a_source_column_without_images_defines_no_groups(tmp_path: Path) -> None:
    write(tmp_path / "iqa" / "mine.csv", "image,source,mos\n1.jpg,flickr,1\n2.jpg,flickr,2\n")
    assert [item.group for item in read_one(tmp_path).items] == ["mine/1.jpg", "mine/2.jpg"]


def test_the_line_on_the_scale_names_the_stated_direction(tmp_path: Path) -> None:
    write(tmp_path / "iqa" / "mine.csv", "image,score\n1.jpg,1\n2.jpg,2\n")
    assert not read_one(tmp_path).direction_stated
    write(
        tmp_path / "datasets.yaml",
        "datasets: [{name: mine, task: assessment, file: iqa/mine.csv, higher_is_better: false}]",
    )
    dataset = read_one(tmp_path)
    assert dataset.direction_stated
    assert dataset.meaning == "mine: score from 1 to 2, lower is better (as datasets.yaml states)"


def test_questions_about_one_image_share_a_group_also_with_ids(tmp_path: Path) -> None:
    entry = {"img_path": "x/1.jpg", "candidates": ["Yes", "No"], "correct_ans": "Yes", "type": 0, "concern": 0}
    entries = [{**entry, "id": str(i), "question": f"Question {i}?"} for i in range(2)]
    entries.append({**entry, "id": "2", "img_path": "x/2.jpg", "question": "Question 0?"})
    write(tmp_path / "llvisionqa" / "llvisionqa_dev.json", entries)
    first, second, third = (item.group for item in read_one(tmp_path).items)
    assert first == second != third
