"""The run folder: several processes append to it, crashes cut lines short, and only one run uses it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.engine.crash_isolation import next_batch_size
from pytest_qbench.errors import UsageError
from pytest_qbench.records import Record, read_records
from pytest_qbench.runs.append_log import AppendLog
from pytest_qbench.runs.journal import Journal
from pytest_qbench.runs.run_folder import RunFolder
from tests.builders import question

RECORDS = [Record.of(question(i), "correct", choice="Yes") for i in range(6)]
ASKED = {"model": "m", "selection": {"limit": 3}}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    begun = RunFolder.begin(tmp_path / "run", ASKED, resume=False)
    yield begun
    begun.close()


def test_new_records_are_read_once(folder: RunFolder) -> None:
    folder.append(RECORDS[:2])
    assert read_records(folder.path / "records.jsonl") == folder.read_new() == RECORDS[:2]
    folder.append(RECORDS[2:4])
    assert folder.read_new() == RECORDS[2:4]
    assert folder.read_new() == []


def test_a_worker_finds_records_by_their_position(folder: RunFolder) -> None:
    folder.append(RECORDS[:2])
    worker = RunFolder.join(folder.path)
    assert worker.find(("perception", "mini/1")) == RECORDS[1]
    worker.append(RECORDS[2:4])
    assert worker.find(("perception", "mini/3")) is None
    worker.index()
    assert worker.find(("perception", "mini/3")) == RECORDS[3]
    assert folder.read_new() == RECORDS[:4]
    worker.close()


def test_an_incomplete_line_of_a_killed_process_is_cut_off(folder: RunFolder) -> None:
    folder.append(RECORDS[:1])
    with (folder.path / "records.jsonl").open("a") as file:
        file.write(RECORDS[1].to_json()[:30])
    assert folder.read_new() == RECORDS[:1]
    folder.append(RECORDS[2:3])
    assert folder.read_new() == RECORDS[2:3]
    assert read_records(folder.path / "records.jsonl") == [RECORDS[0], RECORDS[2]]


APPEND = """
import pathlib, sys
from pytest_qbench.runs.append_log import AppendLog
lines = AppendLog(pathlib.Path(sys.argv[1]))
for i in range(200):
    lines.append(f"{sys.argv[2]} {i} {'x' * (i % 7 * 1000)}\\n{sys.argv[2]} {i} second\\n")
"""


def test_processes_append_whole_lines_and_a_killed_one_does_not_harm_others(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    processes = [subprocess.Popen([sys.executable, "-c", APPEND, str(path), name]) for name in "abc"]
    reader = AppendLog(path)
    end = time.monotonic() + 30
    while sum(1 for _ in reader.read_new()) == 0 and time.monotonic() < end:
        time.sleep(0.001)
    processes[0].kill()
    assert [process.wait(30) for process in processes][1:] == [0, 0]
    reader.close()
    found = [line.split() for line in path.read_text().splitlines()]
    for name in "bc":
        assert [int(line[1]) for line in found if line[0] == name] == [i for i in range(200) for _ in range(2)]


def test_a_folder_with_a_run_is_refused_or_resumed(tmp_path: Path) -> None:
    begun = RunFolder.begin(tmp_path / "run", ASKED, resume=False)
    with pytest.raises(UsageError, match="holds records.jsonl already"):
        RunFolder.begin(tmp_path / "run", ASKED, resume=False)
    with pytest.raises(UsageError, match="another run is using it"):
        RunFolder.begin(tmp_path / "run", ASKED, resume=True)
    begun.append(RECORDS[:2])
    begun.close()
    with pytest.raises(UsageError, match="selection.limit: 3 -> 4"):
        RunFolder.begin(tmp_path / "run", {**ASKED, "selection": {"limit": 4}}, resume=True).close()
    again = RunFolder.begin(tmp_path / "run", ASKED, resume=True)
    assert again.read_new() == RECORDS[:2]
    again.close()
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="not a folder"):
        RunFolder.begin(tmp_path / "file", ASKED, resume=False)


def test_model_and_judge_must_stay_the_same(folder: RunFolder) -> None:
    folder.check_made_with({"model": {"name": "m", "hash": "a"}})
    folder.check_made_with({"model": {"name": "m", "hash": "a"}, "judge": {"name": "j"}})
    with pytest.raises(UsageError, match="model.hash: a -> b"):
        folder.check_made_with({"model": {"name": "m", "hash": "b"}})
    with pytest.raises(UsageError, match="judge.name: j -> k"):
        folder.check_made_with({"judge": {"name": "k"}})


def test_discard_removes_all_files_of_the_run(tmp_path: Path) -> None:
    RunFolder.begin(tmp_path / "new", ASKED, resume=False).discard()
    assert not (tmp_path / "new").exists()


def test_the_journal_knows_the_batches_of_dead_processes(tmp_path: Path) -> None:
    one, two, mine = (Journal(tmp_path) for _ in range(3))
    items = [question(i) for i in range(4)]
    one.begin(items)
    two.begin(items[:2])
    two.begin(items[2:])
    mine.begin(items[3:])
    mine.refresh()
    keys = [("perception", f"mini/{i}") for i in range(4)]
    assert mine.in_flight_elsewhere(keys) == {keys[0]: [4], keys[1]: [4], keys[2]: [4, 2], keys[3]: [4, 2]}
    one.end()
    mine.refresh()
    assert mine.in_flight_elsewhere(keys) == {keys[2]: [2], keys[3]: [2]}


@given(st.integers(1, 512))
def test_isolating_an_item_ends(size: int) -> None:
    died: list[int] = []
    while (following := next_batch_size(died)) != 0:
        died.append(size if following is None else following)
    assert died[:2] == [size, size]  # a first crash may be the machine's fault, so the same batch runs again
    assert died[-1] == 1
    assert len(died) <= 2 + size.bit_length()
    assert all(b == max(1, a // 2) for a, b in pairwise(died[1:]))
