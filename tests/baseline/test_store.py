"""Baselines detect or survive damaged files: edits, truncation, killed updates, several writers at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_qbench.baseline import folder_files
from pytest_qbench.baseline import store as baselines
from pytest_qbench.baseline.baseline import as_baseline, as_results
from pytest_qbench.baseline.baseline import changes as baselines_changes
from pytest_qbench.baseline.store import find_baseline, read_baseline, write_baseline
from pytest_qbench.errors import UsageError
from pytest_qbench.gates.comparison import drifts
from pytest_qbench.gates.evaluate import Limits, evaluate
from pytest_qbench.metrics.noise_floor import NoiseFloor
from pytest_qbench.metrics.results import Results
from tests.builders import answered, picture, question, results, scored


def run(n: int = 20, wrong: int = 3) -> Results:
    questions = [question(i) for i in range(n)]
    pictures = [picture(i, i / n) for i in range(n)]
    records = [answered(q, "No" if i < wrong else "Yes") for i, q in enumerate(questions)]
    return results([*questions, *pictures], [*records, *(scored(p, i / n) for i, p in enumerate(pictures))])


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda p: edit(p / "perception.mini.jsonl", '"wrong"', '"correct"'), "perception.mini.jsonl: was changed since"),
        (lambda p: edit(p / "baseline.yaml", "value: 0.85", "value: 0.95"), "baseline.yaml: was changed since"),
        (lambda p: edit(p / "baseline.yaml", "blind: false", "blind: true"), "baseline.yaml: was changed since"),
        (lambda p: edit(p / "baseline.yaml", "noise: null", ""), "baseline.yaml: was changed since"),
        (lambda p: edit(p / "baseline.yaml", "schema: 1", "schema: 2"), "schema 2 is not 1; record the baseline again"),
        (lambda p: edit(p / "perception.mini.jsonl", "\n", ""), "19 of 20 items; restore the file"),
        (lambda p: (p / "perception.mini.jsonl").unlink(), "no such file"),
        (lambda p: (p / "baseline.yaml").write_bytes(b"\xff\xfe\x00"), "byte 1 is not UTF-8"),
        (lambda p: (p / "baseline.yaml").unlink(), "not a baseline"),
    ],
)  # fmt: skip
def test_a_damaged_baseline_is_refused_in_one_line(tmp_path: Path, damage: Any, message: str) -> None:
    path = write_baseline(tmp_path, "x", run())
    damage(path)
    with pytest.raises(UsageError, match=message) as error:
        read_baseline(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_a_mixture_of_two_baselines_is_refused(tmp_path: Path) -> None:
    one, other = write_baseline(tmp_path, "one", run()), write_baseline(tmp_path, "other", run(wrong=9))
    shutil.copy(one / "perception.mini.jsonl", other / "perception.mini.jsonl")
    with pytest.raises(UsageError, match="was changed since it was recorded"):
        read_baseline(other)


def test_noise_floor_and_fingerprint_survive_a_round_trip(tmp_path: Path) -> None:
    noise = NoiseFloor("batch size 8, bfloat16", {"assessment.drift": {"mini_a": {"mini_a/1": 1e-5, "mini_a/2": 0.3}}})
    back = read_baseline(write_baseline(tmp_path, "x", run(), noise))
    assert back.noise == noise
    assert back.fingerprint == run().fingerprint
    assert read_baseline(write_baseline(tmp_path, "x", run())).noise is None


def test_renamed_items_are_listed(tmp_path: Path) -> None:
    stored = read_baseline(write_baseline(tmp_path, "x", run()))
    new = run()
    items = [replace(item, id=item.id + ".png") for item in new.expected.values()]
    renamed = results(items, [replace(r, item=r.item + ".png") for r in new.records])
    found = evaluate("perception.accuracy", renamed, stored, Limits(), margin=0.01)
    assert found.verdict == "invalid"
    assert "20 of the 20 perception items of baseline x are not in this data (first: mini/0)" in found.reason


STEPS = ("mkdir", "write", "rename", "replace", "rmtree")


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_update_loses_nothing(tmp_path: Path, step: str) -> None:
    write_baseline(tmp_path, "x", run(wrong=1))
    process = os.fork()
    if process == 0:  # dies at this step of the update, as after `kill -9`
        calls = {"mkdir": (Path, "mkdir"), "write": (folder_files, "write_text"), "rename": (Path, "rename"),
                 "replace": (Path, "replace"), "rmtree": (baselines.shutil, "rmtree")}  # fmt: skip
        owner, name = calls[step]
        before = getattr(owner, name)

        def die(*args: Any, **kwargs: Any) -> Any:
            if step == "rmtree" and not str(args[0]).endswith(".old"):
                return before(*args, **kwargs)
            if step in ("mkdir", "replace") and not str(args[0]).endswith(".new"):
                return before(*args, **kwargs)
            os._exit(9)

        setattr(owner, name, die)
        write_baseline(tmp_path, "x", run(wrong=2))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9
    path = find_baseline(tmp_path, "x")
    assert path == tmp_path / "x"
    survived = read_baseline(path).value("perception.accuracy", "mini", None)
    assert survived == (18 / 20 if step == "rmtree" else 19 / 20)
    write_baseline(tmp_path, "x", run(wrong=5))
    assert read_baseline(path).value("perception.accuracy", "mini", None) == 15 / 20
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


WRITER = """
import sys
from pathlib import Path
from tests.baseline.test_store import run
from pytest_qbench.baseline.store import find_baseline, read_baseline, write_baseline
folder, wrong = Path(sys.argv[1]), int(sys.argv[2])
for _ in range(15):
    write_baseline(folder, "x", run(wrong=wrong))
    found = read_baseline(find_baseline(folder, "x"))
    right = sum(r.status == "correct" for r in found.records.values())
    assert right / 20 == found.value("perception.accuracy", "mini", None), right
"""


def test_concurrent_updates_and_readers_see_whole_baselines(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(i)], cwd=root, stderr=subprocess.PIPE)
        for i in range(3)
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=300)
        assert writer.returncode == 0, errors.decode()
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert read_baseline(tmp_path / "x").value("perception.accuracy", "mini", None) in (1.0, 0.95, 0.9)


def test_a_failed_update_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_baseline(tmp_path, "x", run(wrong=1))

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_files, "write_text", full)
    with pytest.raises(UsageError, match="x cannot be written: No space left on device"):
        write_baseline(tmp_path, "x", run(wrong=2))
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert read_baseline(tmp_path / "x").value("perception.accuracy", "mini", None) == 0.95


def test_a_baseline_reads_as_a_run_and_a_run_as_a_baseline(tmp_path: Path) -> None:
    new = run(wrong=5)
    stored = read_baseline(write_baseline(tmp_path, "x", run(wrong=1)))
    for old in (stored, as_baseline(tmp_path, run(wrong=1))):
        for judged in (new, as_results(read_baseline(write_baseline(tmp_path, "y", new)))):
            found = evaluate("perception.accuracy", judged, old, Limits(), margin=0.01)
            (row,) = found.rows
            assert (row.value, row.baseline, len(found.lost)) == (0.75, 0.95, 4)


def test_the_head_is_plain_yaml_for_a_reviewer(tmp_path: Path) -> None:
    head = yaml.safe_load((write_baseline(tmp_path, "x", run()) / "baseline.yaml").read_text())
    assert list(head) == ["schema", "name", "recorded", "files", "metrics", "noise", "fingerprint", "seal"]


def test_a_date_that_is_no_date_is_refused_also_under_a_valid_seal(tmp_path: Path) -> None:
    path = write_baseline(tmp_path, "x", run()) / "baseline.yaml"
    head = yaml.safe_load(path.read_text()) | {"recorded": "yesterday"}
    path.write_text(yaml.safe_dump(head | {"seal": folder_files.seal(head)}, sort_keys=False))
    with pytest.raises(UsageError, match="not a whole baseline"):
        read_baseline(path.parent)


def test_a_writer_also_recovers_from_a_killed_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_baseline(tmp_path, "x", run(wrong=1)).rename(tmp_path / ".x.old")  # killed between the two renames

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_files, "write_text", full)
    with pytest.raises(UsageError, match="No space left"):
        write_baseline(tmp_path, "x", run(wrong=2))
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_files_that_people_add_to_a_baseline_stay(tmp_path: Path) -> None:
    path = write_baseline(tmp_path, "x", run())
    (path / "NOTES.md").write_text("why")
    (path / "plots").mkdir()
    (path / "plots" / "a.txt").write_text("plot")
    (tmp_path / "precious").write_text("kept")
    (path / "LICENSE").symlink_to("../precious")
    (path / "baseline.yaml").rename(tmp_path / "moved.yaml")
    (path / "baseline.yaml").symlink_to("../moved.yaml")
    write_baseline(tmp_path, "x", run(wrong=4))
    assert (path / "NOTES.md").read_text() == "why"
    assert (path / "plots" / "a.txt").read_text() == "plot"
    assert (path / "LICENSE").is_symlink()
    assert not (path / "baseline.yaml").is_symlink()
    assert "value: 0.85" in (tmp_path / "moved.yaml").read_text()


def test_a_baseline_that_is_a_link_is_not_replaced(tmp_path: Path) -> None:
    write_baseline(tmp_path / "real", "x", run())
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "x").symlink_to("../real/x")
    with pytest.raises(UsageError, match="x cannot be written: is a link; put a folder in its place"):
        write_baseline(tmp_path / "linked", "x", run(wrong=4))
    assert read_baseline(tmp_path / "linked" / "x").value("perception.accuracy", "mini", None) == 0.85


def test_a_baseline_holds_the_words_of_the_score_alone_and_compares_with_more(tmp_path: Path) -> None:
    made = run()
    words = {"good": -1.0, "poor": -2.0, "high": -3.0}
    rated = [replace(r, logprobs=words) if r.task == "assessment" else r for r in made.records]
    likely = [replace(r, logprobs={"Yes": -1.0, "No": -2.0}) if r.task == "perception" else r for r in rated]
    path = write_baseline(tmp_path, "x", replace(made, records=likely))
    baseline = read_baseline(path)
    stored = {record.task: record.logprobs for record in baseline.records.values()}
    assert stored == {"assessment": {"good": -1.0, "poor": -2.0}, "perception": {"Yes": -1.0, "No": -2.0}}
    gate = evaluate("assessment.srcc", replace(made, records=likely), baseline, Limits(), margin=0.5)
    assert gate.verdict == "pass"
    assert "identical" in gate.reason
    assert all(row.value == 0 for row, _ in drifts(replace(made, records=likely), baseline))
    assert baselines_changes(baseline, replace(made, records=likely))[-1] == "0 of 40 items changed or are new"
