"""The Ray cluster of a run: one that is there, or one started on this machine and stopped at the end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_qbench.errors import UsageError
from pytest_qbench.replicas.check import AUTO, OPTION

# No message home, and none of the C++ side on the terminal. Read when Ray is imported.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
CONNECT_SECONDS = 5
TRIAL_SECONDS = 30
TRIAL = "import sys, ray; ray.init(sys.argv[1], log_to_driver=False, logging_level=50, configure_logging=False)"
CURRENT = "ray_current_cluster"
SOCKETS = "/tmp"  # the path of a socket holds 104 bytes: a long TMPDIR leaves no room for Ray's names


@dataclass(frozen=True, slots=True)
class Size:
    """How many replicas a cluster takes, and what each of them gets."""

    replicas: int
    cpus: int
    gpus: int


class Cluster:
    """A connection of this process to a cluster."""

    def __init__(self, address: str) -> None:
        """Join the cluster at `address`; `auto` is the one of $RAY_ADDRESS or of this machine, else a new one.

        Raises `UsageError`, within a minute, where none answers.
        """
        os.environ.update(QUIET)
        self._folder: Path | None = None
        named = os.environ.get("RAY_ADDRESS", "") if address == AUTO else address
        where = f"{OPTION}={address}" + (f" (RAY_ADDRESS={named})" if named != address else "")
        if named:
            try:
                _try(named)
            except _Refused as e:
                raise UsageError(f"{where}: {e}") from e
        elif running := _running():
            with suppress(_Refused):  # of a cluster that is gone: one is started, and the summary says so
                _try(running)
                named = running
        try:
            self._init(named)
        except (ConnectionError, OSError, RuntimeError, ValueError) as e:
            self.close()
            raise UsageError(f"{where}: {_first_line(str(e))}") from e

    @property
    def started(self) -> bool:
        """Tell whether the cluster was started for this run."""
        return self._folder is not None

    def size(self, device: str) -> Size:
        """Return one replica per GPU, or one per node where there is none or `device` is the CPU.

        Torch uses all cores of a node in one forward pass, and every replica holds the weights: more of them on a node
        would only share its memory. All get the same number of CPUs, so that it does not matter where a batch runs.
        Raises `UsageError` for a cluster that has neither.
        """
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return sized(nodes, gpus=device != "cpu")

    def close(self) -> None:
        """Leave the cluster; stop it where it was started for this run. A second call does nothing."""
        import ray

        ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)  # a process that is still ending may write there

    def _init(self, address: str) -> None:
        import ray

        options: dict[str, Any] = {"log_to_driver": False, "logging_level": 50, "configure_logging": False}
        if not address:
            # A folder of its own: `auto` of another run must not find, and lose, a cluster that ends with this one.
            self._folder = Path(tempfile.mkdtemp(prefix="qbench-ray-", dir=SOCKETS))
            options |= {"include_dashboard": False, "_temp_dir": str(self._folder)}
        before = signal.getsignal(signal.SIGTERM)
        ray.init(address or "local", **options)
        signal.signal(signal.SIGTERM, before)  # Ray puts its own there


def sized(nodes: Sequence[Mapping[str, float]], *, gpus: bool) -> Size:
    """Return the size for nodes with these resources; pure."""
    with_gpu = [node for node in nodes if node.get("GPU", 0) >= 1] if gpus else []
    hosts = with_gpu or [node for node in nodes if node.get("CPU", 0) >= 1]
    if not hosts:
        raise UsageError(f"{OPTION}: no node of the cluster has a CPU or a GPU to give; start nodes with ray start")
    places = [int(node["GPU"]) if with_gpu else 1 for node in hosts]
    cpus = min(int(node.get("CPU", 0)) // own for node, own in zip(hosts, places, strict=True))
    return Size(sum(places), max(cpus, 0 if with_gpu else 1), 1 if with_gpu else 0)


def _running() -> str:
    """Return the address of the cluster that `ray start` began here last, empty where there is none.

    Not Ray's own `auto`: that also finds clusters that end with another program.
    """
    try:
        return Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir(), "ray", CURRENT).read_text("utf-8").strip()
    except OSError:
        return ""


class _Refused(Exception):
    """Why a cluster cannot be joined."""


def _try(address: str) -> None:
    """Join a cluster for a moment; raises `_Refused`.

    Ray waits for minutes for what does not answer, and may end the process: so another process tries it first.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, ValueError, OverflowError) as e:
        reason = getattr(e, "strerror", None) or str(e)
        raise _Refused(f"no Ray cluster answers there ({reason}); start one with: ray start --head") from e
    trial = subprocess.Popen(
        [sys.executable, "-c", TRIAL, address], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        _, said = trial.communicate(timeout=TRIAL_SECONDS)
    except subprocess.TimeoutExpired as e:
        raise _Refused(f"what listens there does not answer as a Ray cluster within {TRIAL_SECONDS} seconds") from e
    finally:
        with suppress(ProcessLookupError):
            os.killpg(trial.pid, signal.SIGKILL)
        trial.wait()
    if trial.returncode == 0:
        return
    lines = [line for line in said.splitlines() if line and not line.startswith(" ")]
    errors = [line for line in lines if "Error: " in line]
    raise _Refused(_first_line((errors or lines or [f"exit status {trial.returncode}"])[-1]))


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "Ray says nothing")
