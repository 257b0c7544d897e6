"""Connect to the Ray cluster of a run. Without a running cluster, start one here and stop it at the end."""

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

# Environment variables that turn off usage statistics and the logs of Ray's C++ processes. Ray reads them on import.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
CONNECT_SECONDS = 5
ANSWER_SECONDS = 30
CONNECT_SCRIPT = (
    "import sys, ray; ray.init(sys.argv[1], log_to_driver=False, logging_level=50, configure_logging=False)"
)
CURRENT = "ray_current_cluster"
SOCKETS = "/tmp"  # a socket's path has at most 104 bytes, which Ray's names would exceed below a long TMPDIR


@dataclass(frozen=True, slots=True)
class PoolSize:
    """Number of replicas of a cluster, and CPUs and GPUs of each."""

    replicas: int
    cpus: int
    gpus: int


class Cluster:
    """A connection of this process to a cluster."""

    def __init__(self, address: str) -> None:
        """Join the cluster at `address`. `auto`: at $RAY_ADDRESS, else the one on this machine, else a new one.

        Raises `UsageError` within a minute if no cluster answers.
        """
        os.environ.update(QUIET)
        self._folder: Path | None = None
        named = os.environ.get("RAY_ADDRESS", "") if address == AUTO else address
        where = f"{OPTION}={address}" + (f" (RAY_ADDRESS={named})" if named != address else "")
        if named:
            try:
                _test_connection(named)
            except _ConnectionRefused as e:
                raise UsageError(f"{where}: {e}") from e
        elif running := _local_address():
            with suppress(_ConnectionRefused):  # that cluster has ended: start a new one, which the summary reports
                _test_connection(running)
                named = running
        try:
            self._init(named)
        except (ConnectionError, OSError, RuntimeError, ValueError) as e:
            self.close()
            raise UsageError(f"{where}: {_first_line(str(e))}") from e

    @property
    def started(self) -> bool:
        """Whether this run started the cluster."""
        return self._folder is not None

    def size(self, device: str) -> PoolSize:
        """Return one replica per GPU, or one per node if there is no GPU or `device` is the CPU.

        On a CPU, one forward pass uses all cores of a node, so a second replica on it would only take memory. All
        replicas get the same number of CPUs, so a batch gives the same results on each. Raises `UsageError` for a
        cluster without CPUs and GPUs.
        """
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return pool_size(nodes, gpus=device != "cpu")

    def close(self) -> None:
        """Leave the cluster, and stop it if this run started it. A second call does nothing."""
        import ray

        ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)  # a process that is about to end may write there

    def _init(self, address: str) -> None:
        import ray

        options: dict[str, Any] = {"log_to_driver": False, "logging_level": 50, "configure_logging": False}
        if not address:
            # A private folder: `auto` in another run must not find a cluster that ends with this run.
            self._folder = Path(tempfile.mkdtemp(prefix="qbench-ray-", dir=SOCKETS))
            options |= {"include_dashboard": False, "_temp_dir": str(self._folder)}
        before = signal.getsignal(signal.SIGTERM)
        ray.init(address or "local", **options)
        signal.signal(signal.SIGTERM, before)  # Ray replaces the handler


def pool_size(nodes: Sequence[Mapping[str, float]], *, gpus: bool) -> PoolSize:
    """Return the pool size for nodes with these resources. Raises `UsageError` if no node has a CPU or GPU."""
    with_gpu = [node for node in nodes if node.get("GPU", 0) >= 1] if gpus else []
    hosts = with_gpu or [node for node in nodes if node.get("CPU", 0) >= 1]
    if not hosts:
        raise UsageError(f"{OPTION}: no node of the cluster has a CPU or GPU; start nodes with ray start")
    places = [int(node["GPU"]) if with_gpu else 1 for node in hosts]
    cpus = min(int(node.get("CPU", 0)) // own for node, own in zip(hosts, places, strict=True))
    return PoolSize(sum(places), max(cpus, 0 if with_gpu else 1), 1 if with_gpu else 0)


def _local_address() -> str:
    """Return the address of the cluster that the last `ray start` started on this machine; empty without one.

    Ray's own `auto` is no substitute: it also finds clusters that end with another program.
    """
    try:
        return Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir(), "ray", CURRENT).read_text("utf-8").strip()
    except OSError:
        return ""


class _ConnectionRefused(Exception):
    """A cluster cannot be joined. The message states the reason."""


def _test_connection(address: str) -> None:
    """Join and leave a cluster in another process. Raises `_ConnectionRefused` if that fails.

    Ray waits minutes for a cluster that does not answer, and may end the process.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, ValueError, OverflowError) as e:
        reason = getattr(e, "strerror", None) or str(e)
        raise _ConnectionRefused(f"no Ray cluster answers ({reason}); start one with: ray start --head") from e
    process = subprocess.Popen(
        [sys.executable, "-c", CONNECT_SCRIPT, address], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, encoding="utf-8", errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        _, output = process.communicate(timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired as e:
        raise _ConnectionRefused(f"the server does not answer as a Ray cluster within {ANSWER_SECONDS} seconds") from e
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode == 0:
        return
    lines = [line for line in output.splitlines() if line and not line.startswith(" ")]
    errors = [line for line in lines if "Error: " in line]
    raise _ConnectionRefused(_first_line((errors or lines or [f"exit status {process.returncode}"])[-1]))


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "Ray gives no reason")
