"""Chains of baselines in real runs: reasons, anchors, budgets, the distance in every report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_qbench.baseline.store import read_anchor, read_baseline
from pytest_qbench.cli import main
from tests.plugin.test_runs import BOTH_IN_CAMPAIGN

SUITE = """
import pytest

@pytest.mark.qbench(task="perception")
def test_perception(qbench_item, qbench_record): ...

def test_accuracy(qbench_gate):
    qbench_gate("perception.accuracy", margin=0.3, budget=BUDGET)
"""
ARGS = ("--qbench-tasks=perception", "--qbench-limit=120", "-p", "no:cacheprovider")
UPDATE = ("--qbench-update-baseline", "--qbench-baseline=b")


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyfile(test_suite=SUITE.replace("BUDGET", "0.3"))
    return pytester


def record(project: pytest.Pytester, seed: int, *args: str) -> pytest.RunResult:
    return project.runpytest_subprocess(*ARGS, *UPDATE, f"--qbench-model=random:{seed}", *args)


@BOTH_IN_CAMPAIGN
def test_every_report_shows_the_distance_from_baseline_and_anchor(
    project: pytest.Pytester, workers: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3):
        assert record(project, seed, f"--qbench-reason=release {seed}", *workers).ret == 0
    result = project.runpytest_subprocess(
        *ARGS, *workers, "--qbench-baseline=b", "--qbench-model=random:3", "--qbench-run-dir=run", "--qbench-html=r.html",
        "--qbench-md=r.md", "--qbench-json=s.json",
    )  # fmt: skip
    assert result.ret == 0
    found = json.loads((project.path / "s.json").read_text())
    stored = read_baseline(project.path / "baselines" / "b")
    anchor = read_anchor(stored)
    now = next(m["value"] for m in found["metrics"] if m["name"] == "perception.accuracy" and m["slice"] is None)
    was, base = (each.value("perception.accuracy", "mini", None) for each in (anchor, stored))
    (row,) = found["anchor"]["rows"]
    assert (found["anchor"]["updates"], row["baseline"], row["value"]) == (2, was, now)
    assert was is not None
    assert base is not None
    change, step = (f"{100 * (now - old):+.1f} pt" for old in (was, base))
    line = f"since the anchor (*, 2 updates ago): accuracy mini {change} ({step} since the baseline)"
    result.stdout.fnmatch_lines([line])
    assert "2 updates ago" in (project.path / "r.html").read_text()
    assert "2 updates ago" in (project.path / "r.md").read_text()
    assert main(["report", "--history", str(project.path), f"--csv={project.path / 'h.csv'}"]) == 0
    history = capsys.readouterr().out
    assert f"accuracy {change}" in history
    assert "anchor_delta" in (project.path / "h.csv").read_text()
    assert main(["baseline", "log", "b", f"--baseline-dir={project.path / 'baselines'}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[3] for line in lines] == ["release 0", "release 1", "release 2"]
    assert [line.rpartition("  ")[2] for line in lines] == ["(anchor)", "release 1", "(current)"]
    assert f"perception.accuracy mini {was:.4f}" in lines[0]


def test_a_loss_beyond_the_budget_is_red_and_recorded_only_with_a_reason(project: pytest.Pytester) -> None:
    assert record(project, 0, "--qbench-run-dir=first").ret == 0
    lines = Path(project.path, "first", "records.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]

    def outputs(name: str, right: int) -> str:
        replies = [entry["target"] if number < right else "?" for number, entry in enumerate(records)]
        entries = [json.dumps({"id": e["item"], "response": reply}) for e, reply in zip(records, replies, strict=True)]
        path = project.path / f"{name}.jsonl"
        path.write_text("\n".join(entries) + "\n")
        return f"--qbench-model=replay:{path}"

    project.makepyfile(test_suite=SUITE.replace("margin=0.3", "margin=0.15").replace("BUDGET", "0.2"))
    args = (*ARGS, "--qbench-baseline=c", "--qbench-max-unparsed=1")
    for name, right, status in (("a", 120, 0), ("b", 104, 0), ("c", 90, 1)):
        result = project.runpytest_subprocess(*args, "--qbench-update-baseline", outputs(name, right))
        assert result.ret == status, result.stdout.str()
    result.stdout.fnmatch_lines(
        ["*perception.accuracy regressed (accept with --qbench-accept-regression and --qbench-reason)*"]
    )
    result.stdout.fnmatch_lines(["*against the anchor of *: mini: REGRESSED: 25.0 points lost*"])
    accept = (*args, "--qbench-update-baseline", "--qbench-accept-regression", outputs("c", 90))
    assert project.runpytest_subprocess(*accept).ret == 4
    assert project.runpytest_subprocess(*accept, "--qbench-reason=smaller model").ret == 0
    note = read_baseline(project.path / "baselines" / "c").lineage.note
    assert (note.reason, note.accepted) == ("smaller model", ("perception.accuracy regressed",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--qbench-new-anchor", "--qbench-update-baseline"), "--qbench-new-anchor needs --qbench-reason"),
        (("--qbench-accept-regression", "--qbench-update-baseline", "--qbench-reason= "), "--qbench-accept-regression needs --qbench-reason"),
        (("--qbench-reason=why",), "--qbench-reason needs --qbench-update-baseline"),
        (("--qbench-new-anchor",), "--qbench-new-anchor needs --qbench-update-baseline"),
    ],
)  # fmt: skip
def test_a_reason_is_asked_before_anything_is_measured(
    project: pytest.Pytester, options: tuple[str, ...], message: str
) -> None:
    result = project.runpytest_subprocess(*ARGS, "--qbench-model=random:0", *options)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"*{message}*"])


def test_a_damaged_anchor_is_an_error_before_the_first_item(project: pytest.Pytester) -> None:
    for seed in range(2):
        record(project, seed)
    path = project.path / "baselines" / "b" / "anchor" / "perception.mini.jsonl"
    path.write_text(path.read_text().replace("wrong", "right"))
    result = project.runpytest_subprocess(*ARGS, "--qbench-model=random:0", "--qbench-baseline=b")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*anchor/perception.mini.jsonl: was changed since it was recorded*"])


def test_a_baseline_at_an_address_serves_a_run(project: pytest.Pytester, tmp_path: Path) -> None:
    store = f"--qbench-baseline-dir=file://{tmp_path}/store"
    assert record(project, 0, store).ret == 0
    folder = project.path / "baselines" / "b"
    assert {p.name for p in folder.iterdir()} == {"baseline.yaml", "store.yaml"}
    for workers in ((), ("-n2",)):
        result = project.runpytest_subprocess(*ARGS, *workers, "--qbench-model=random:0", "--qbench-baseline=b")
        assert result.ret == 0, result.stdout.str()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    result = project.runpytest_subprocess(*ARGS, store, "--qbench-model=random:0", "--qbench-baseline=b")
    assert result.ret == 0, result.stdout.str()
