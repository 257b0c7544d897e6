"""`qbench baseline RUN`: a finished run becomes a baseline, unless it is worse or incomplete."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_qbench.baseline.store import read_baseline
from pytest_qbench.cli import main
from tests.cli.test_compare import folder, made


@pytest.fixture
def promote(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def run(path: str, *args: str) -> tuple[int, str]:
        status = main(["baseline", path, f"--baseline-dir={tmp_path / 'baselines'}", *args])
        out, err = capsys.readouterr()
        return status, out + err

    return run


def test_a_finished_run_becomes_a_baseline(tmp_path: Path, promote) -> None:
    a = folder(tmp_path / "a", made({390}))
    status, out = promote(a, "--name=vlm")
    assert status == 0, out
    assert "BASELINE RECORDED: " in out
    stored = read_baseline(tmp_path / "baselines" / "vlm")
    assert len(stored.records) == 800
    assert stored.value("perception.accuracy", "mini", None) == 399 / 400
    assert promote(a)[0] == 0  # the name that the run was compared with
    assert (tmp_path / "baselines" / "b").is_dir()
    assert promote(a, "--name=../b")[0] == 4


def test_a_worse_run_needs_an_option(tmp_path: Path, promote) -> None:
    promote(folder(tmp_path / "a", made({390})), "--name=vlm")
    worse = folder(tmp_path / "b", made(set(range(60))))
    status, out = promote(worse, "--name=vlm")
    assert status == 1
    assert "NOT RECORDED: perception.accuracy regressed" in out
    assert read_baseline(tmp_path / "baselines" / "vlm").value("perception.accuracy", "mini", None) == 399 / 400
    status, out = promote(worse, "--name=vlm", "--accept-regression", "--reason=less memory")
    assert status == 0
    assert "perception.accuracy mini: 0.9975 -> 0.8500" in out


def test_lost_items_need_an_option(tmp_path: Path, promote) -> None:
    whole = made({390})
    promote(folder(tmp_path / "a", whole), "--name=vlm")
    kept = {key: item for key, item in whole.expected.items() if key[0] == "perception"}
    half = type(whole)([r for r in whole.records if r.task == "perception"], kept, whole.fingerprint)
    part = folder(tmp_path / "b", half)
    status, out = promote(part, "--name=vlm")
    assert status == 1
    assert "it also holds assessment mini_a" in out
    assert promote(part, "--name=vlm", "--accept-lost-items")[0] == 0


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"selection": {"shard": [1, 2]}}, "qbench merge"),
        ({"blind": True}, "a control (blind)"),
        ({"option_order": "shuffled with seed 0"}, "a control (shuffled options)"),
    ],
)
def test_a_shard_and_a_control_do_not_become_a_baseline(
    tmp_path: Path, promote, changed: dict[str, object], reason: str
) -> None:
    path = folder(tmp_path / "a", made({390}))
    summary = json.loads(Path(path, "summary.json").read_text())
    summary["fingerprint"] |= changed
    Path(path, "summary.json").write_text(json.dumps(summary))
    status, out = promote(path, "--name=vlm")
    assert status == 1
    assert reason in out
    assert not (tmp_path / "baselines").exists()


def test_a_run_with_missing_items_does_not_become_a_baseline(tmp_path: Path, promote) -> None:
    path = folder(tmp_path / "a", made({390}))
    lines = Path(path, "records.jsonl").read_text().splitlines(keepends=True)
    Path(path, "records.jsonl").write_text("".join(lines[1:]))
    status, out = promote(path, "--name=vlm")
    assert status == 1
    assert "1 perception items were not measured" in out
