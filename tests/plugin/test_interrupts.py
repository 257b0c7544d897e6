"""Signals at any moment: no traceback, a status that is not 0, and a folder from which the run is resumed."""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from pytest_qbench.plugin.interrupts import Interrupts
from tests.plugin.killing import Run, counts, project, records

SMALL = ("--qbench-limit=24", "--qbench-batch-size=4")
CONFIGURED = """
@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        open("configured", "w").close()
"""
KINDS = {"INT": [signal.SIGINT], "TERM": [signal.SIGTERM], "twice": [signal.SIGINT, signal.SIGINT]}
NOISE = ("Traceback", "INTERNALERROR", "Warning", "Error:", "Exception ignored")


def interrupt(folder: Path, kind: str, workers: tuple[str, ...], delay: float) -> None:
    """Send signals to a run `delay` seconds after pytest is configured, and check how it ends."""
    (folder / "configured").unlink(missing_ok=True)
    run = Run(folder, *SMALL, "--qbench-resume", *workers, PAUSE="0.1")
    assert run.wait_until((folder / "configured").exists), run.text
    time.sleep(delay)
    for number in KINDS[kind]:
        if run.process.poll() is None:
            os.kill(run.process.pid, number)
            time.sleep(0.02)
    status = run.wait()
    assert not [word for word in NOISE if word in run.text], f"{kind} {workers} {delay}\n{run.text}"
    if status == 0:  # the signal came after the end
        assert counts(folder)["scored"] == counts(folder)["total"]
    for line in (folder / "run" / "records.jsonl").read_text().splitlines() if run.records.exists() else ():
        json.loads(line)
    while run.workers():
        time.sleep(0.05)


def interrupt_many(folder: Path, seed: int, times: int, workers: tuple[str, ...]) -> None:
    rng = random.Random(seed)
    project(folder)
    conftest = folder / "conftest.py"
    conftest.write_text(conftest.read_text() + CONFIGURED)
    for kind in KINDS:
        for _ in range(times):
            interrupt(folder, kind, workers, rng.uniform(0, 2.5))
    last = Run(folder, *SMALL, "--qbench-resume", *workers)
    assert last.wait() == 0, last.text
    assert counts(folder)["scored"] == len(records(folder)) == 24 * 4


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "-n2"])
def test_a_signal_at_any_moment(tmp_path: Path, workers: tuple[str, ...]) -> None:
    interrupt_many(tmp_path / "p", seed=1, times=1, workers=workers)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(2, 6))
@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "-n2"])
def test_signals_at_many_moments(tmp_path: Path, workers: tuple[str, ...], seed: int) -> None:
    interrupt_many(tmp_path / "p", seed=seed, times=6, workers=workers)


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore the signal
    found = Interrupts()
    yield found
    found.restore()
    assert signal.signal(signal.SIGINT, inherited) is signal.default_int_handler


def import_and_wait(name: str) -> None:
    importlib.import_module(name)
    time.sleep(5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_import_is_finished_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupts: Interrupts, number: int
) -> None:
    (tmp_path / "imported_slowly.py").write_text(
        f"import os, time\nos.kill(os.getpid(), {int(number)})\ntime.sleep(0.2)\nis_whole = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "imported_slowly", raising=False)
    with pytest.raises(KeyboardInterrupt):
        import_and_wait("imported_slowly")
    assert sys.modules["imported_slowly"].is_whole


def test_an_instruction_without_a_line_is_finished_first(interrupts: Interrupts) -> None:
    """CPython has such instructions; pytest fails where it shows one as the place of an interrupt."""
    without_line = types.SimpleNamespace(f_lineno=None, f_back=None, f_code=interrupt.__code__)
    interrupts._handle(signal.SIGINT, cast("types.FrameType", without_line))
    with pytest.raises(KeyboardInterrupt):
        time.sleep(5)


def test_a_summary_is_written_first(interrupts: Interrupts) -> None:
    interrupts.begin_finish()
    assert not interrupts.came_late
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)
    assert interrupts.came_late
