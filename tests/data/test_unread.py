"""Check that every file of a data folder is read, or listed with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_qbench.cli import main
from pytest_qbench.data.load import unread

from .files import YES_NO, mos, png, write

MOS = [{"img_path": "1.png", "gt_score": 3}, {"img_path": "2.png", "gt_score": 4}]


def listed(root: Path) -> dict[str, str]:
    return {entry.entry: entry.reason for entry in unread(str(root), root)}


def test_read_files_and_their_images_are_not_listed(tmp_path: Path) -> None:
    write(tmp_path / "llvisionqa" / "llvisionqa_dev.json", [YES_NO])
    write(tmp_path / "llvisionqa" / "images" / "757.JPG", png())
    mos(tmp_path, MOS, "mine.json")
    write(tmp_path / "iqa" / "mine" / "1.png", png())
    write(tmp_path / "iqa" / "spaq.txt", "1.png 3\n2.png 4\n")
    write(tmp_path / ".DS_Store", b"hidden")
    assert listed(tmp_path) == {}


def test_each_other_file_is_listed_with_its_reason(tmp_path: Path) -> None:
    mos(tmp_path, MOS, "mine.json")
    for name in (
        "iqa/scores.mat",
        "README.md",
        "spare.csv",
        "iqa/notes.txt",
        "old/a.json",
        "old/deep/b.json",
        "iqa/x.png",
        "iqa/y.png",
    ):
        write(tmp_path / name, "what this is about\n")
    found = listed(tmp_path)
    assert list(found) == ["README.md", "iqa/notes.txt", "iqa/scores.mat", "iqa/x.png", "old", "spare.csv"]
    assert found["iqa/scores.mat"].startswith("not read: a dataset is a file of .json, ")
    assert "first line has no image name and number" in found["iqa/notes.txt"]
    assert found["old"] == "a folder of 2 files that is not searched for datasets"
    assert "and 1 more images" in found["iqa/x.png"]
    assert "state it as file: in datasets.yaml" in found["spare.csv"]


def test_qbench_datasets_lists_them_and_fails_only_where_a_dataset_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mos(tmp_path, MOS, "mine.json")
    write(tmp_path / "iqa" / "scores.mat", b"\0")
    assert main(["datasets", "--data", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "not read: iqa/scores.mat: " in out
    assert "mine: gt_score from 3 to 4, higher is better (by default)" in out
    mos(tmp_path, "broken", "koniq.json")
    assert main(["datasets", "--data", str(tmp_path)]) == 1
