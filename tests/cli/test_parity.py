"""`qbench parity` on models and finished runs: its output and its exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_qbench.cli import main
from pytest_qbench.records import Record, read_records
from pytest_qbench.runs.read import read_summary
from tests.builders import question, results
from tests.cli.test_compare import folder

ITEMS = [question(i) for i in range(400)]


def made(path: Path, wrong: int = 0, first: int = 0, **conditions: object) -> str:
    lost = range(first, first + wrong)
    records = [
        Record.of(q, "wrong" if i in lost else "correct", choice="No" if i in lost else "Yes")
        for i, q in enumerate(ITEMS)
    ]
    return folder(path, results(ITEMS, records, **conditions))


@pytest.fixture
def parity(capsys: pytest.CaptureFixture[str]):
    def run(*args: object) -> tuple[int, str]:
        status = main(["parity", *map(str, args)])
        out, err = capsys.readouterr()
        return status, out + err

    return run


def test_two_equal_runs_are_equal_and_the_margin_and_the_noise_floor_are_stated(tmp_path: Path, parity) -> None:
    a, b, again = made(tmp_path / "a"), made(tmp_path / "b"), made(tmp_path / "again", wrong=4)
    status, out = parity(a, b, "--again", again)
    assert status == 0
    assert f"noise floor: A measured again: {again}" in out
    (row,) = [line.split() for line in out.splitlines() if line.startswith("  perception.flips")]
    assert row == ["perception.flips", "mini", "400", "0", "1.0", "%", "3.0", "%", "0.0", "%", "[0.0", "%,", "0.7",
                   "%]", "equal"]  # fmt: skip
    assert out.splitlines()[-1] == "EQUAL within the margins: perception.flips mini at most 0.7 % (margin 3.0 %)"


def test_a_difference_exits_with_1_and_says_where_and_how_large(tmp_path: Path, parity) -> None:
    a, b, again = made(tmp_path / "a"), made(tmp_path / "b", wrong=60), made(tmp_path / "again")
    status, out = parity(a, b, "--again", again, "--moves=2")
    assert status == 1
    assert "DIFFERENT: perception.flips mini 15.0 % (at least 12." in out
    assert "perception.accuracy mini -0.1500 (p = " in out
    assert "  mini/0: 'Yes' -> 'No'\n  mini/1: 'Yes' -> 'No'\n" in out
    assert "mini/2:" not in out


def test_what_cannot_be_told_exits_with_11_if_strict(tmp_path: Path, parity) -> None:
    a, b = made(tmp_path / "a", wrong=6), made(tmp_path / "b", wrong=7, first=6)
    status, out = parity(a, b)
    assert (status, out.splitlines()[0].startswith("noise floor: not known (no side is a model; n")) == (0, True)
    assert "CANNOT TELL: perception.flips mini between 2." in out
    assert parity(a, b, "--strict")[0] == 11
    assert parity(a, b, "--strict", "--margin=perception.flips=0.06")[0] == 0
    assert parity(a, b, "--margin=perception.flips=0.01")[0] == 1


def test_incomplete_failed_and_incomparable_sides_exit_with_10(tmp_path: Path, parity) -> None:
    a = made(tmp_path / "a")
    records = [Record.of(q, "correct", choice="Yes") for q in ITEMS]
    failed = replace(records[7], status="error", choice=None, error="HTTP 500")
    for name, kept, reason in (
        ("missing", records[1:], "1 perception items were not measured (first: mini/0)"),
        ("failed", [*records[:7], failed, *records[8:]], "0.2% of the perception items are error"),
    ):
        side = folder(tmp_path / name, results(ITEMS, kept))
        for sides in ((a, side), (side, a), (side, side)):
            status, out = parity(*sides)
            assert (status, reason in out) == (10, True), out
    other = made(tmp_path / "other", prompts="another")
    assert parity(a, other)[0] == 10
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "records.jsonl").write_text("")
    assert parity(a, unfinished) == (
        10, f"NOT COMPARABLE: B: {unfinished} holds an unfinished run (no summary.json); end it with --qbench-resume\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (["nosuch", "tiny"], "no model 'nosuch'"),
        (["tiny", "tiny", "--b-arg=dtype=int3"], "model argument dtype=int3: must be"),
        (["A", "A", "--a-arg=dtype=float32"], "--a-arg=dtype=float32: A is a finished run"),
        (["A", "A", "--margin=perception.flips=0"], "--margin=perception.flips=0: MEASURE=VALUE above 0"),
        (["A", "A", "--margin=speed=1"], "measures: perception.drift, perception.flips"),
        (["A", "A", "--max-errors=2"], "numbers from 0 to 1"),
        (["A", "random:0", "--dir=A"], "--dir=A: is not an empty folder"),
        (["A", "random:0", "--dir=A/summary.json"], "--dir=A/summary.json: is not an empty folder"),
        (["A", "A", "--limit=3"], "--limit: both sides are finished runs, so nothing is measured"),
        (["random:0", "random:0", "--limit=none"], "A: --qbench-limit=none: not a whole number"),
    ],
)
def test_wrong_arguments_exit_with_4(
    tmp_path: Path, parity, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    made(tmp_path / "A")
    status, out = parity(*arguments)
    assert (status, reason in out) == (4, True), out


def test_models_are_measured_with_the_same_options_and_then_as_the_finished_run_was(tmp_path: Path) -> None:
    """`random` needs no weights. Another seed is another model; a finished run is asked for again as it was."""
    command = [sys.executable, "-c", "import sys; from pytest_qbench.cli import main; sys.exit(main())", "parity"]

    def run(*args: str) -> tuple[int, str]:
        done = subprocess.run(
            [*command, *args], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTEST_ADDOPTS": "--nosuch"},
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    status, out = run("random:0", "random:1", "--tasks=perception,assessment", "--answer=likelihood", "--seed=3",
                      "--limit=300", "--dir=first")  # fmt: skip
    assert status == 1, out
    assert "measuring A: random:0 (log: first/a.log)" in out
    assert "noise floor: A measured again: the same requests once more" in out
    a, b = (read_summary(tmp_path / "first" / side).fingerprint for side in "ab")
    assert (a.selection, a.answer) == (b.selection, b.answer)
    assert (a.selection.limit, a.selection.seed, a.selection.tasks) == (300, 3, ("perception", "assessment"))
    assert {r.task for r in read_records(tmp_path / "first" / "b" / "records.jsonl")} == {"perception", "assessment"}
    status, out = run("first/a", "random:0")
    assert (status, "EQUAL within the margins" in out) == (0, True), out
    assert "noise floor: B measured again" in out
    assert (tmp_path / ".qbench" / ".gitignore").read_text() == "*\n"
    assert not (tmp_path / "first" / "pytest.ini").read_text().replace("[pytest]\n", "")
