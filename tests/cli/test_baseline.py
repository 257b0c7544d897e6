"""`qbench baseline RUN`: a finished run becomes a baseline, unless it is worse or incomplete."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pytest_qbench.baseline.store import read_baseline
from pytest_qbench.cli import main
from pytest_qbench.gates.evaluate import Limits
from pytest_qbench.gates.judge_again import as_call
from tests.cli.test_compare import folder, made
from tests.official import OFFICIAL, needs_official


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


def test_a_drop_is_accepted_only_with_a_reason(tmp_path: Path, promote) -> None:
    promote(folder(tmp_path / "a", made({390})), "--name=vlm")
    worse = folder(tmp_path / "b", made(set(range(60))))
    for option in ("--accept-regression", "--new-anchor"):
        status, out = promote(worse, "--name=vlm", option)
        assert (status, f"{option} needs --reason" in out) == (4, True)
    assert promote(worse, "--name=vlm", "--accept-regression", "--reason= smaller   model ")[0] == 0
    note = read_baseline(tmp_path / "baselines" / "vlm").lineage.note
    assert (note.reason, note.accepted) == ("smaller model", ("perception.accuracy regressed",))


def test_a_run_is_judged_by_its_own_gates(tmp_path: Path, promote) -> None:
    promote(folder(tmp_path / "a", made({390})), "--name=vlm")
    path = folder(tmp_path / "b", made(set(range(20))))
    summary = json.loads(Path(path, "summary.json").read_text())
    call = as_call("perception.accuracy", Limits(), {"margin": 0.2})
    gate = {"name": "perception.accuracy", "verdict": "pass", "outcome": "pass", "reason": "", "rows": [], "lost": [],
            "gained": [], "lost_count": 0, "gained_count": 0, "call": call.to_json()}  # fmt: skip
    Path(path, "summary.json").write_text(json.dumps(summary | {"gates": [gate]}))
    assert promote(path, "--name=vlm")[0] == 0  # by the suites' margin of one point it would be refused
    strict = as_call("perception.accuracy", Limits(), {"minimum": 0.99})
    Path(path, "summary.json").write_text(json.dumps(summary | {"gates": [gate | {"call": strict.to_json()}]}))
    status, out = promote(path, "--name=other")  # a floor needs no old baseline
    assert (status, "perception.accuracy regressed" in out) == (1, True)


def test_the_log_of_a_baseline_that_is_not_there_is_one_line(
    tmp_path: Path, promote, capsys: pytest.CaptureFixture[str]
) -> None:
    promote(folder(tmp_path / "a", made({390})), "--name=vlm")
    where = f"--baseline-dir={tmp_path / 'baselines'}"
    assert main(["baseline", "log", "vlm", where]) == 0
    out = capsys.readouterr().out
    assert (out.count("\n"), "(anchor, current)" in out) == (1, True)
    for name in ("nothing", "../vlm", "."):
        assert main(["baseline", "log", name, where]) == 4
        assert "(baselines: tiny, vlm)" in capsys.readouterr().err
    assert main(["baseline", str(tmp_path / "a"), "vlm", where]) == 4


def recorded_outputs(tmp_path: Path, name: str) -> tuple[str, str]:
    """Recorded outputs of a model, on a database that has the published number of items."""
    data, outputs = tmp_path / "mos", tmp_path / "outputs"
    data.mkdir()
    outputs.mkdir()
    mos = [{"img_path": f"{i}.jpg", "gt_score": i % 97 / 10} for i in range(1169)]
    (data / "livec.json").write_text(json.dumps(mos))
    weight = 0.44 if name == "near" else 1.0
    noise = np.random.default_rng(0).normal(0, 2.8, len(mos))
    entries = [
        {
            "img_path": m["img_path"],
            "logit_good": weight * m["gt_score"] + (1 - (weight == 1)) * float(e),
            "logit_poor": 0.0,
        }
        for m, e in zip(mos, noise, strict=True)
    ]
    (outputs / "livec.json").write_text(json.dumps(entries))
    return str(outputs), f"--data={data}"


def test_outputs_that_are_not_those_of_the_published_model_are_refused(tmp_path: Path, promote) -> None:
    outputs, data = recorded_outputs(tmp_path, "perfect")
    status, out = promote(outputs, data, "--published=LLaVA-v1.5 (Vicuna-v1.5-13B)")
    assert status == 1, out
    assert "SRCC of livec: 1.0000, published 0.4450" in out
    assert "NOT RECORDED: SRCC of livec is 1.0000, but 0.4450 is published" in out
    assert not (tmp_path / "baselines").exists()


def test_outputs_become_a_baseline_without_a_published_model(tmp_path: Path, promote) -> None:
    outputs, data = recorded_outputs(tmp_path, "near")
    status, out = promote(outputs, data)
    assert status == 0, out
    assert len(read_baseline(tmp_path / "baselines" / "outputs@mos").records) == 1169
    assert promote(outputs)[0] == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("llava_v1.5", "only totals are published in its tables (accuracy of llvisionqa dev, accuracy of llvisionqa test)"),
        ("LLaVA-v1.5 (Vicuna-v1.5-13B)", "SRCC and PLCC of seven databases"),
        ("llava", "no published rows; there are llava_v1"),
    ],
)  # fmt: skip
def test_without_outputs_it_says_what_is_public(name: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", f"--published={name}"]) == 4
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@needs_official
def test_the_published_outputs_of_a_model_become_its_baseline(tmp_path: Path, promote) -> None:
    status, out = promote(
        str(OFFICIAL / "iqa_outputs" / "llava_v1.5"), "--published=LLaVA-v1.5 (Vicuna-v1.5-13B)",
        f"--data={OFFICIAL / 'mos'}", "--datasets=livec",
    )  # fmt: skip
    assert status == 0, out
    assert "SRCC of livec: 0.4448, published 0.4450" in out
