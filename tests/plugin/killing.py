"""Runs that are killed: a model without weights whose answers depend on its batch, and what watches and kills it."""

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

# Answers depend on every item of the batch, so records are equal to the last bit only where batches are. It kills its
# process at the item named in KILLER, takes PAUSE seconds a batch, and does not look at its batch with ALIKE.
CONFTEST = """
import hashlib, os, signal, sys, time
import pytest
from pytest_qbench.models.random import RandomModel

class Sensitive(RandomModel):
    def __init__(self):
        super().__init__(0)
        self.salt = ""
    def _meet(self, prompts):
        time.sleep(float(os.environ.get("PAUSE", "0")))
        if os.environ.get("KILLER") in {p.key for p in prompts}:
            os.kill(os.getpid(), signal.SIGKILL)
        if not os.environ.get("ALIKE"):
            self.salt = hashlib.sha256("".join(p.key for p in prompts).encode()).hexdigest()
    def generate(self, prompts, max_new_tokens):
        self._meet(prompts)
        return super().generate(prompts, max_new_tokens)
    def next_token_logprobs(self, prompts, words):
        self._meet(prompts)
        return super().next_token_logprobs(prompts, words)
    def _uniform(self, *parts):
        return super()._uniform(self.salt, *parts)

@pytest.fixture(scope="session")
def qbench_model():
    return Sensitive()
"""


def project(folder: Path) -> Path:
    """A folder with the suites and the model."""
    folder.mkdir(parents=True, exist_ok=True)
    for suite in SUITES.glob("test_*.py"):
        (folder / suite.name).write_text(suite.read_text())
    (folder / "conftest.py").write_text(CONFTEST)
    return folder


class Run:
    """A pytest process in a session of its own, so that it can be killed with its workers."""

    def __init__(self, folder: Path, *args: str, **environment: str) -> None:
        command = [sys.executable, "-m", "pytest", "-q", "--qbench-model=random:0", "--qbench-run-dir=run"]
        command += ["--qbench-no-gates", "-p", "no:cacheprovider", *args]
        self.records = folder / "run" / "records.jsonl"
        self.output = folder / "output.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
                # A shell's background jobs ignore it, and so would everything that they start.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip

    def wait(self) -> int:
        return self.process.wait(240)

    @property
    def text(self) -> str:
        return self.output.read_text()

    def lines(self) -> int:
        return self.records.read_bytes().count(b"\n") if self.records.exists() else 0

    def until(self, met: Callable[[], bool]) -> bool:
        """Wait for something; False when the run ended before."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if met():
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.01)
        raise AssertionError(f"nothing happened: {self.text[-2000:]}")

    def kill_all(self) -> None:
        """Kill the process and its workers; nothing where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def kill(self) -> None:
        """Kill the process alone."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def workers(self) -> list[int]:
        """Ids of the workers that live, as /proc tells."""
        found = []
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:  # it is gone
                continue
            if int(fields[1]) == self.process.pid and fields[0] != "Z":
                found.append(int(path.parent.name))
        return found


def records(folder: Path) -> list[str]:
    """The sorted lines of the records of a run; each item once."""
    lines = (folder / "run" / "records.jsonl").read_text().splitlines()
    items = [(data["task"], data["item"]) for data in map(json.loads, lines)]
    assert len(set(items)) == len(items)
    return sorted(lines)


def begun(folder: Path) -> list[list[tuple[str, str]]]:
    """The batches that were begun, in order."""
    lines = map(json.loads, (folder / "run" / "journal.jsonl").read_text().splitlines())
    return [[tuple(key) for key in line["batch"]] for line in lines if line.get("batch")]


def counts(folder: Path) -> dict[str, int]:
    found: dict[str, int] = json.loads((folder / "run" / "summary.json").read_text())["items"]
    return found
