"""Processes are killed at random (seeded) moments: a resumed run ends with the records of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.plugin.killing import Run, counts, project, records

pytestmark = pytest.mark.campaign
ARGS = ("--qbench-limit=150", "--qbench-batch-size=4", "--max-worker-restart=1000")
ITEMS = 150 + 60 + 300  # the limit shortens perception to 150; descriptions and both databases are complete
PAUSE = "0.1"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Records of a model whose answers do not depend on the batch, as a batch that dies twice is then halved."""
    folder = project(tmp_path_factory.mktemp("undisturbed"))
    run = Run(folder, *ARGS, ALIKE="1")
    assert run.wait() == 0, run.text
    return records(folder)


def assert_complete(folder: Path, undisturbed: list[str]) -> None:
    assert records(folder) == undisturbed
    found = counts(folder)
    assert found["scored"] + found["unparsed"] + found["errors"] == found["total"] == ITEMS
    assert found["errors"] == 0


@pytest.mark.parametrize("workers, kills, with_workers", [((), 20, True), (("-n2",), 8, True), (("-n2",), 4, False)])
def test_a_run_killed_many_times_can_be_resumed(
    tmp_path: Path, undisturbed: list[str], workers: tuple[str, ...], kills: int, with_workers: bool
) -> None:
    """A kill ends all processes, or only the controller: its workers then end by themselves, and the test waits."""
    rng = random.Random(f"{workers} {with_workers}")
    folder, killed = project(tmp_path / "p"), 0
    for _ in range(kills):
        run = Run(folder, *ARGS, "--qbench-resume", *workers, PAUSE=PAUSE, ALIKE="1")
        before, more = run.lines(), rng.randrange(0, ITEMS // kills)
        run.wait_until(lambda run=run, least=before + more: run.lines() >= least)
        time.sleep(rng.random() * (2.0 if more < 3 else 0.1))  # sometimes before the first item is measured
        if with_workers:
            run.kill_all()
        else:
            workers_left = run.workers()
            run.kill()
            while any(Path(f"/proc/{pid}").exists() for pid in workers_left):
                time.sleep(0.05)
        killed += run.process.returncode == -signal.SIGKILL
    assert killed == kills  # no run ended before its kill
    last = Run(folder, *ARGS, "--qbench-resume", *workers, ALIKE="1")
    assert last.wait() == 0, last.text
    assert_complete(folder, undisturbed)


def test_a_run_survives_the_death_of_many_workers(tmp_path: Path, undisturbed: list[str]) -> None:
    rng = random.Random(6)
    folder = project(tmp_path / "p")
    run, killed = Run(folder, *ARGS, "-n2", PAUSE="0.1", ALIKE="1"), 0
    while killed < 20:
        least = run.lines() + rng.randrange(1, 16)
        if not run.wait_until(lambda least=least: run.lines() >= least and len(run.workers()) == 2):
            break
        time.sleep(rng.random() * 0.1)
        if alive := run.workers():
            os.kill(rng.choice(alive), signal.SIGKILL)
            killed += 1
    assert run.wait() == 0, run.text
    assert killed >= 18  # the run may end before the last kills
    assert_complete(folder, undisturbed)


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_a_resumed_run_of_a_real_model_has_identical_records(tmp_path: Path, workers: tuple[str, ...]) -> None:
    """The rounding of the embedded model depends on the other items of a batch and on shared image features."""
    args = ("--qbench-model=tiny", "--qbench-limit=32", *workers)
    whole, killed = project(tmp_path / "whole"), project(tmp_path / "killed")
    for folder in (whole, killed):
        (folder / "conftest.py").unlink()
    run = Run(whole, *args)
    assert run.wait() == 0, run.text
    expected = records(whole)
    for least in (20, 70):
        run = Run(killed, *args, "--qbench-resume")
        assert run.wait_until(lambda run=run, least=least: run.lines() >= least), run.text
        run.kill_all()
    run = Run(killed, *args, "--qbench-resume")
    assert run.wait() == 0, run.text
    assert records(killed) == expected
