"""Start a Ray cluster of two nodes with one CPU each on this machine, and run pytest on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.killing import SUITES, Run

# Code for the cluster's processes. Files in a folder tell them how long to pause and at which image to kill themselves.
SITE = """
import os, pathlib, signal, time
if "QBENCH_TEST_FOLDER" in os.environ:
    from pytest_qbench.models.images import LazyImage
    folder, decode = pathlib.Path(os.environ["QBENCH_TEST_FOLDER"]), LazyImage.decode
    def watched(self):
        if (folder / "killer").exists() and self._source.name == (folder / "killer").read_text():
            os.kill(os.getpid(), signal.SIGKILL)
        if (folder / "pause").exists():
            time.sleep(float((folder / "pause").read_text()))
        return decode(self)
    LazyImage.decode = watched
"""
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0", "RAY_ADDRESS": ""}
QUICK = ("--qbench-batch-size=4", "--qbench-answer=likelihood")


class TwoNodes:
    """The cluster. A test may stop the node `second`. The processes read instructions from `folder`."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        (folder / "sitecustomize.py").write_text(SITE)
        self.temporary = tempfile.mkdtemp(prefix="qbench-", dir="/tmp")  # a socket's path must be short
        self.folder = folder
        self._own = {**ENVIRONMENT, "QBENCH_TEST_FOLDER": str(folder), "PYTHONPATH": str(folder)}
        self._own["RAY_TMPDIR"] = self.temporary  # hides it from `auto` in other tests and for the user
        with self._environment():
            self.cluster: Any = Cluster(
                initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
            )
        self.second = self.add()

    def add(self) -> Any:
        with self._environment():
            return self.cluster.add_node(num_cpus=1)

    @contextmanager
    def _environment(self) -> Iterator[None]:
        """Set the environment that the processes of a node inherit."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self._own.items():
                patch.setenv(name, value)
            yield

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def lose_second(self) -> None:
        """Kill the second node as a machine failure does."""
        self.cluster.remove_node(self.second, allow_graceful=False)

    def replace_second(self) -> None:
        """Add a new second node."""
        self.second = self.add()
        self.cluster.wait_for_nodes()

    def instruct(self, name: str, text: str | None) -> None:
        """Write an instruction for the cluster's processes, or remove it."""
        if text is None:
            (self.folder / name).unlink(missing_ok=True)
        else:
            (self.folder / name).write_text(text)


@contextmanager
def two_nodes(folder: Path) -> Iterator[TwoNodes]:
    nodes = TwoNodes(folder)
    try:
        yield nodes
    finally:
        nodes.cluster.shutdown()
        shutil.rmtree(nodes.temporary, ignore_errors=True)


def suites(folder: Path, *names: str) -> Path:
    """Copy some of the suites into a folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"test_{name}.py").write_text((SUITES / f"test_{name}.py").read_text())
    return folder


def run(folder: Path, *args: str, **environment: str) -> Run:
    return Run(folder, "--qbench-model=tiny", *QUICK, *args, **ENVIRONMENT, **environment)


def processes_with(mark: str) -> list[str]:
    """Return the command lines of running processes whose environment contains a mark."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (path / "environ").read_bytes():
                found.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # the process has ended or belongs to another user
            continue
    return found


def run_to_end(folder: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run pytest, wait for its end and return its output."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--qbench-no-gates", *args]
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=400,
    )
