"""A resumed run ends with the same records, and measures at most one batch per worker twice."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.plugin.killing import Run, counts, project, records, started_batches
from tests.plugin.test_runs import BOTH, BOTH_IN_CAMPAIGN

SMALL = ("--qbench-limit=40", "--qbench-batch-size=4")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = project(tmp_path_factory.mktemp("undisturbed"))
    run = Run(folder, *SMALL)
    assert run.wait() == 0, run.text
    return records(folder)


@BOTH
def test_a_killed_run_can_be_resumed(tmp_path: Path, undisturbed: list[str], workers: tuple[str, ...]) -> None:
    folder = project(tmp_path / "p")
    run = Run(folder, *SMALL, *workers, PAUSE="0.1")
    assert run.wait_until(lambda: run.lines() >= 20)
    run.kill_all()
    done = run.lines()
    assert done < 160
    again = Run(folder, *SMALL, "--qbench-resume", *workers)
    assert again.wait() == 0, again.text
    assert "items are recorded already" in again.text
    assert records(folder) == undisturbed
    assert counts(folder) == {"total": 160, "scored": 160, "unparsed": 0, "errors": 0, "cut": 0}
    twice = sum(times - 1 for times in Counter(key for batch in started_batches(folder) for key in batch).values())
    assert twice <= 4 * max(1, 2 * len(workers))
    third = Run(folder, *SMALL, "--qbench-resume", *workers)  # nothing is left to measure
    batches = len(started_batches(folder))
    assert third.wait() == 0, third.text
    assert len(started_batches(folder)) == batches
    assert counts(folder)["scored"] == 160


def test_no_item_is_lost_when_workers_die(tmp_path: Path, undisturbed: list[str]) -> None:
    folder = project(tmp_path / "p")
    run = Run(folder, *SMALL, "-n2", PAUSE="0.1")
    for least in (10, 60):
        assert run.wait_until(lambda least=least: run.lines() >= least and bool(run.workers()))
        os.kill(run.workers()[0], signal.SIGKILL)
    assert run.wait() == 0, run.text
    assert records(folder) == undisturbed


@BOTH
def test_an_item_that_kills_its_process_is_isolated_and_named(
    tmp_path: Path, undisturbed: list[str], workers: tuple[str, ...]
) -> None:
    folder = project(tmp_path / "p")
    killer = "mini_a/koala-02.webp"
    args = (*SMALL, "--qbench-datasets=mini_a", "--qbench-limit=150", *workers)
    for starts in range(1, 10):
        run = Run(folder, *args, *(("--qbench-resume",) if starts > 1 else ()), KILLER=killer)
        if run.wait() >= 0:
            break
    assert run.process.returncode == 1, run.text
    assert starts == (1 if workers else 5)
    assert counts(folder) == {"total": 150, "scored": 149, "unparsed": 0, "errors": 1, "cut": 0}
    assert f"{killer}: WorkerDied: the process died 4 times while it measured {killer}, the last time alone" in run.text
    sizes = [len(batch) for batch in started_batches(folder) if ("assessment", killer) in batch]
    assert sizes == [4, 4, 2, 1]
    again = Run(folder, *args, "--qbench-resume", KILLER=killer)
    assert again.wait() == 1
    assert [
        len(batch) for batch in started_batches(folder) if ("assessment", killer) in batch
    ] == sizes  # the item is not retried


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    run = Run(folder, *SMALL, PAUSE="0.2")
    assert run.wait_until(lambda: run.lines() > 0)
    other = Run(folder, *SMALL, "--qbench-resume")
    assert other.wait() == 4
    assert "another run is using it" in other.text
    run.kill_all()  # the kernel then releases the lock of the folder
    assert Run(folder, *SMALL, "--qbench-resume").wait() == 0


@pytest.mark.parametrize("change, named", [
    (("--qbench-model=random:1",), "model: random:0 -> random:1"),
    (("--qbench-protocol=paper",), "scoring.temperature: 1.0 -> 100.0"),
    (("--qbench-limit=41",), "selection.limit: 40 -> 41"),
    (("--qbench-batch-size=5",), "batch_size: 4 -> 5"),
    (("--qbench-shard=1/2",), "selection.shard: None -> [1, 2]"),
])  # fmt: skip
@BOTH_IN_CAMPAIGN
def test_a_run_with_other_settings_is_not_resumed(tmp_path: Path, undisturbed: list[str], change: tuple[str, ...], named: str, workers: tuple[str, ...]) -> None:  # fmt: skip
    folder = project(tmp_path / "p")
    (folder / "run").mkdir()
    (folder / "run" / "records.jsonl").write_text("\n".join(undisturbed[:50]) + "\n")
    donor = {
        "model": "random:0", "model_args": [], "answer": "generate", "scoring": {"words": ["good", "poor"], "temperature": 1.0},
        "blind": False, "judge": None, "judge_rounds": 5, "batch_size": 4,
        "selection": {"datasets": None, "split": "dev", "limit": 40, "seed": 0},
    }  # fmt: skip
    (folder / "run" / "journal.jsonl").write_text(json.dumps({"schema": 1, "conditions": donor}) + "\n")
    run = Run(folder, *SMALL, *change, "--qbench-resume", *workers)
    assert run.wait() == 4
    (error,) = [line for line in run.text.splitlines() if line.startswith("ERROR: ")]
    assert named in error
    assert (folder / "run" / "records.jsonl").read_text().count("\n") == 50


def test_a_run_of_another_model_with_the_same_name_is_not_resumed(tmp_path: Path) -> None:
    folder = project(tmp_path / "p")
    assert Run(folder, *SMALL, "-k", "aitzgorri").wait() == 0
    conftest = folder / "conftest.py"
    other = 'super().__init__(7)\n        self.name = "random-0"'
    conftest.write_text(conftest.read_text().replace("super().__init__(0)", other))
    run = Run(folder, *SMALL, "--qbench-resume")
    assert run.wait() == 4
    assert "model.seed: 0 -> 7" in run.text


@BOTH
def test_a_full_disk_ends_the_run_with_one_line_and_loses_no_record(
    tmp_path: Path, undisturbed: list[str], workers: tuple[str, ...]
) -> None:
    folder = project(tmp_path / "p")
    limited = folder / "test_0_limit.py"  # writing fails once a file has 12 kB
    limited.write_text("import resource, pathlib\nresource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))\n")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p test_0_limit\npythonpath = .\n")
    # Bytecode of our modules would exceed the limit. Buffered output must not share a line with the error.
    run = Run(folder, *SMALL, *workers, PYTHONDONTWRITEBYTECODE="1", PYTHONUNBUFFERED="")
    assert run.wait() == 4, run.text
    (error,) = [line for line in run.text.splitlines() if line.startswith("ERROR: ")]
    assert "cannot be written: File too large; records so far are kept" in error
    assert "Traceback" not in run.text
    (folder / "pytest.ini").unlink()
    limited.unlink()
    again = Run(folder, *SMALL, "--qbench-resume", *workers)
    assert again.wait() == 0, again.text
    assert records(folder) == undisturbed


@BOTH
def test_an_interrupted_run_can_be_resumed(tmp_path: Path, undisturbed: list[str], workers: tuple[str, ...]) -> None:
    folder = project(tmp_path / "p")
    run = Run(folder, *SMALL, *workers, PAUSE="0.2")
    assert run.wait_until(lambda: run.lines() >= 8)
    os.killpg(run.process.pid, signal.SIGINT)
    assert run.wait() == 2, run.text
    assert "resume with --qbench-resume --qbench-run-dir=" in run.text
    again = Run(folder, *SMALL, "--qbench-resume", *workers)
    assert again.wait() == 0, again.text
    assert records(folder) == undisturbed


def test_a_resumed_run_measures_items_in_error_again(tmp_path: Path, undisturbed: list[str]) -> None:
    folder = project(tmp_path / "p")
    assert Run(folder, *SMALL).wait() == 0
    path = folder / "run" / "records.jsonl"
    lines = path.read_text().splitlines()
    batch = {key for b in started_batches(folder)[:1] for key in b}
    broken = [{**data, "status": "error", "error": "melted"} if (data["task"], data["item"]) in batch else data for data in map(json.loads, lines)]  # fmt: skip
    path.write_text("".join(json.dumps(data, ensure_ascii=False) + "\n" for data in broken) + '{"schema": 1, "ite')
    again = Run(folder, *SMALL, "--qbench-resume")
    assert again.wait() == 0, again.text
    assert records(folder) == undisturbed
