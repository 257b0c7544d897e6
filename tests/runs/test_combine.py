"""Several finished runs of one model become results whose items hold the outcomes of all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_qbench.baseline.store import read_baseline
from pytest_qbench.cli import main
from pytest_qbench.errors import UsageError
from pytest_qbench.metrics.results import Results
from pytest_qbench.runs.combine import combine_runs
from tests.cli.test_compare import folder as write_folder
from tests.cli.test_compare import made


def folder(path: Path, run: Results) -> Path:
    return Path(write_folder(path, run))


def test_the_outcomes_follow_the_order_of_the_runs(tmp_path: Path) -> None:
    a, b, c = (folder(tmp_path / name, made(wrong)) for name, wrong in (("a", {1}), ("b", {1, 2}), ("c", set())))
    found = combine_runs([a, b, c])
    questions = {r.item: r for r in found.records if r.task == "perception"}
    by_number = {int(item.split("/")[1]): [one.status for one in r.outcomes] for item, r in questions.items()}
    assert by_number[1] == ["wrong", "wrong", "correct"]
    assert by_number[2] == ["correct", "wrong", "correct"]
    assert by_number[3] == ["correct"] * 3
    assert found.fingerprint.repeats == 3
    assert combine_runs([a]).fingerprint.repeats is None
    again = combine_runs([c, b])
    assert {len(r.outcomes) for r in again.records} == {2}


def test_the_command_records_a_baseline_of_several_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [folder(tmp_path / name, made(wrong)) for name, wrong in (("a", {1}), ("b", {2}))]
    assert main(["baseline", *map(str, runs), "--name=v", f"--baseline-dir={tmp_path / 'baselines'}"]) == 0
    assert "BASELINE RECORDED" in capsys.readouterr().out
    stored = read_baseline(tmp_path / "baselines" / "v")
    assert stored.fingerprint.repeats == 2
    assert {len(record.outcomes) for record in stored.records.values()} == {2}
    values = [m.value for m in combine_runs(runs).metrics if m.name == "perception.accuracy" and m.slice is None]
    assert stored.value("perception.accuracy", "mini", None) == values[0]


def test_runs_that_are_no_repeats_of_one_another_are_refused(tmp_path: Path) -> None:
    a, b = folder(tmp_path / "a", made({1})), folder(tmp_path / "b", made({2}))
    with pytest.raises(UsageError, match="named twice"):
        combine_runs([a, tmp_path / "b" / ".." / "a"])
    path = b / "summary.json"
    whole = json.loads(path.read_text())
    whole["fingerprint"]["model"] = {"name": "another"}
    path.write_text(json.dumps(whole))
    with pytest.raises(UsageError, match=r"no repeats of one run.*model"):
        combine_runs([a, b])
