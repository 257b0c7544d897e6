"""Check that `qbench datasets --check` names every image that is missing or damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from pytest_qbench.cli import main


def test_every_missing_or_damaged_image_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "iqa" / "lab"
    folder.mkdir(parents=True)
    for i in range(6):
        Image.new("RGB", (64, 64), (i, 9, 9)).save(folder / f"{i}.png")
    (folder / "1.png").unlink()
    (folder / "2.png").unlink()
    (folder / "3.png").write_bytes((folder / "3.png").read_bytes()[:60])
    (folder / "4.png").write_bytes(b"")
    rows = [{"img_path": f"{i}.png", "gt_score": i} for i in range(6)]
    (tmp_path / "iqa" / "lab.json").write_text(json.dumps(rows))
    assert main(["datasets", f"--data={tmp_path}"]) == 0
    capsys.readouterr()
    assert main(["datasets", f"--data={tmp_path}", "--check"]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("lab: ")]
    named = [line.split(": ")[1].rpartition("/")[2] for line in lines if ".png" in line]
    assert named == ["1.png", "2.png", "3.png", "4.png"]
    for i in (1, 2, 3, 4):
        Image.new("RGB", (64, 64), (i, 9, 9)).save(folder / f"{i}.png")
    assert main(["datasets", f"--data={tmp_path}", "--check"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "every image can be decoded"
    (tmp_path / "iqa" / "broken.json").write_text("[{]")
    assert main(["datasets", f"--data={tmp_path}", "--check"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "every image can be decoded; not checked: 1 dataset that cannot be read"


def test_the_check_needs_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets", "--check"]) == 4
    assert main(["datasets", "--data=nope"]) == 4
    assert "--data=nope: no such folder" in capsys.readouterr().err
