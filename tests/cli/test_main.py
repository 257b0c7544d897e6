"""The console command on finished runs and data folders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.cli import main
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.records import Record
from tests.builders import picture


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    records = [
        Record.of(picture(i, float(i % 4)), "measured", score=0.5, logprobs={"good": float(-(i % 5)), "poor": -2.0})
        for i in range(20)
    ]
    (folder / "records.jsonl").write_text("".join(record.to_json() + "\n" for record in records))
    metric = asdict(Metric("assessment.srcc", "mini_a", None, None, 0.25, 20))
    summary: dict[str, Any] = {
        "schema": 1, "verdict": "PASS: 1 of 1 gates hold", "metrics": [metric, {**metric, "value": None, "dataset": None}],
        "gates": [{"name": "assessment.srcc", "verdict": "pass", "outcome": "pass", "reason": "identical", "rows": [], "lost": [], "gained": [], "lost_count": 0, "gained_count": 0}], "left_out": [],
        "fingerprint": {"scoring": {"words": ["good", "poor"], "temperature": 100.0}},
        "began": "2026-01-01T00:00:00+00:00", "items": {"total": 20, "scored": 20, "unparsed": 0, "errors": 0}, "notes": [],
        "baseline": {"name": "b", "missing": "none"}, "model": None,
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def test_report(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run_folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines]
    assert ["SRCC", "mini_a", "0.250", "20"] in rows
    assert ["SRCC", "mean", "of", "datasets", "undefined", "20"] in rows
    assert lines[-1] == "PASS: 1 of 1 gates hold"


def test_report_of_every_scoring(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(run_folder), "--scoring=all"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1].startswith("  softmax:good/poor@100 (chosen)  mini_a  0.")
    assert "argmax:high/low: not recorded: high, low" in out


@pytest.mark.parametrize("change, message", [
    (lambda folder: (folder / "summary.json").unlink(), "has no summary.json"),
    (lambda folder: (folder / "summary.json").write_text("{"), "is not valid JSON"),
    (lambda folder: (folder / "summary.json").write_text("[]"), "no summary of this version"),
    (lambda folder: (folder / "records.jsonl").write_text(""), "no log-probabilities of quality words"),
    (lambda folder: (folder / "records.jsonl").unlink(), "no such file"),
])  # fmt: skip
def test_a_folder_without_a_run_is_a_usage_error(run_folder: Path, capsys: pytest.CaptureFixture[str], change: Any, message: str) -> None:  # fmt: skip
    change(run_folder)
    assert main(["report", str(run_folder), "--scoring=all"]) == 4
    error = capsys.readouterr().err
    assert error.startswith("qbench: ")
    assert message in error
    assert error.count("\n") == 1


def test_datasets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets"]) == 0
    out = capsys.readouterr().out
    first_words = [line.split()[0] for line in out.splitlines()]
    assert first_words == ["dataset", "mini", "mini", "mini_a", "mini_b", "mini_a:", "mini_b:", "for"]
    assert "CREDITS.md" in out
    (tmp_path / "iqa").mkdir()
    rows = [{"img_path": f"{i}.jpg", "gt_score": i} for i in range(3)]
    (tmp_path / "iqa" / "koniq.json").write_text(json.dumps([*rows, rows[0]]))
    (tmp_path / "iqa" / "spaq.json").write_text("[")

    def listed() -> dict[str, str]:
        assert main(["datasets", f"--data={tmp_path}"]) == 1  # spaq.json is broken
        return {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}

    first = listed()
    name, task, items, hash_, left_out, *_ = first["koniq"].split()
    assert (name, task, items, left_out) == ("koniq", "assessment", "3", "1")
    assert "koniq-10k" in first["koniq"]
    assert "broken or truncated JSON" in first["spaq"]
    # The hash is of the content, not of the file: order and format do not matter, a changed score does.
    (tmp_path / "iqa" / "koniq.json").unlink()
    (tmp_path / "iqa" / "koniq.csv").write_text("img_path,gt_score\n" + "".join(f"{i}.jpg,{i}\n" for i in (2, 0, 1)))
    assert listed()["koniq"].split()[3] == hash_
    (tmp_path / "iqa" / "koniq.csv").write_text(
        "img_path,gt_score\n" + "".join(f"{i}.jpg,{i + 1}\n" for i in (2, 0, 1))
    )
    assert listed()["koniq"].split()[3] != hash_


def test_a_folder_without_a_dataset_is_an_error_that_names_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mos.csv").write_text("name,mos\na.png,3\nb.png,4\n")
    assert main(["datasets", f"--data={tmp_path}"]) == 1
    out = capsys.readouterr().out
    assert "no dataset found" in out
    assert "not read: mos.csv: " in out
    assert "mini" not in out


def test_missing_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets", "--data=nowhere"]) == 4
    assert "nowhere" in capsys.readouterr().err


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_output_gives_no_traceback_and_no_success(unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-c", "import sys; from pytest_qbench.cli import main; sys.exit(main())", "models"]
    done = subprocess.run(
        command, stdout=writing, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": unbuffered}
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")
