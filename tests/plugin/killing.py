"""Kill runs: a model without weights whose answers depend on their batch, and a pytest process to watch and kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

SUITES = Path(__file__).parents[2] / "suites"

# Answers depend on every item of their batch, so equal records show equal batches. Environment variables: the model kills
# its process at the item KILLER, takes PAUSE seconds per batch, and with ALIKE its answers do not depend on the batch.
CONFTEST = """
import hashlib, os, signal, sys, time
import pytest
from pytest_qbench.models.random import RandomModel

class Sensitive(RandomModel):
    def __init__(self):
        super().__init__(0)
        self.salt = ""
    def _start_batch(self, prompts):
        time.sleep(float(os.environ.get("PAUSE", "0")))
        if os.environ.get("KILLER") in {p.key for p in prompts}:
            os.kill(os.getpid(), signal.SIGKILL)
        if not os.environ.get("ALIKE"):
            self.salt = hashlib.sha256("".join(p.key for p in prompts).encode()).hexdigest()
    def generate(self, prompts, max_new_tokens):
        self._start_batch(prompts)
        return super().generate(prompts, max_new_tokens)
    def next_token_logprobs(self, prompts, words):
        self._start_batch(prompts)
        return super().next_token_logprobs(prompts, words)
    def _uniform(self, *parts):
        return super()._uniform(self.salt, *parts)

@pytest.fixture(scope="session")
def qbench_model():
    return Sensitive()
"""


def project(folder: Path) -> Path:
    """Write the suites and the model into a folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for suite in SUITES.glob("test_*.py"):
        (folder / suite.name).write_text(suite.read_text())
    (folder / "conftest.py").write_text(CONFTEST)
    return folder


class Run:
    """A pytest process in its own process group, so that it can be killed with its workers."""

    def __init__(self, folder: Path, *args: str, **environment: str) -> None:
        command = [sys.executable, "-m", "pytest", "-q", "--qbench-model=random:0", "--qbench-run-dir=run"]
        command += ["--qbench-no-gates", "-p", "no:cacheprovider", *args]
        self.records = folder / "run" / "records.jsonl"
        self.output = folder / "output.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
                # A shell's background jobs ignore SIGINT, and so would the processes that they start.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip

    def wait(self) -> int:
        return self.process.wait(240)

    @property
    def text(self) -> str:
        return self.output.read_text()

    def lines(self) -> int:
        return self.records.read_bytes().count(b"\n") if self.records.exists() else 0

    def wait_until(self, is_met: Callable[[], bool]) -> bool:
        """Wait for a condition and return True; return False if the run ends before."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if is_met():
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.01)
        raise AssertionError(f"not within 120 s: {self.text[-2000:]}")

    def kill_all(self) -> None:
        """Kill the process and its workers. Do nothing if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def kill(self) -> None:
        """Kill the process but not its workers."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def workers(self) -> list[int]:
        """Return the process ids of the running workers, from /proc."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:  # the process has ended
                continue
            if int(fields[1]) == self.process.pid and fields[0] != "Z":
                found.append(int(path.parent.name))
        return found


def records(folder: Path) -> list[str]:
    """Return the sorted lines of a run's records, and check that each item has one."""
    lines = (folder / "run" / "records.jsonl").read_text().splitlines()
    items = [(data["task"], data["item"]) for data in map(json.loads, lines)]
    assert len(set(items)) == len(items)
    return sorted(lines)


def started_batches(folder: Path) -> list[list[tuple[str, str]]]:
    """Return the batches that a run started, in order."""
    lines = map(json.loads, (folder / "run" / "journal.jsonl").read_text().splitlines())
    return [[tuple(key) for key in line["batch"]] for line in lines if line.get("batch")]


def counts(folder: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((folder / "run" / "summary.json").read_text())["items"]
    return found
