"""A supervised server: a real process with a real HTTP server, killed in every way. Linux's /proc shows what is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_qbench.errors import ModelError
from pytest_qbench.servers.server import LOG, STATE, Address, RunningServer, Server
from tests.servers.fake_engine import install

OWNER = """
import os, signal, sys, time
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a job that a shell runs in the background
from pytest_qbench.servers.server import Address, Server
folder, command = Path(sys.argv[1]), sys.argv[2]
address = Address.new(folder)
line = [command, "--model", "m", "--served-model-name", address.model, "--host", "127.0.0.1", "--port", str(address.port)]
server = Server("vllm", line, address, health="/health", environment=os.environ, timeout=30)
server.wait_until_ready()
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """Start a fake vLLM; keywords are environment variables of the fake. All are stopped at the end."""
    command = install(tmp_path / "bin", "vllm")
    monkeypatch.setenv("FAKE_PIDS", str(tmp_path / "pids"))
    started: list[Server] = []

    def run(timeout: float = 30, **variables: str) -> Server:
        address = Address.new(tmp_path)
        line = [str(command), "serve", "m", "--served-model-name", address.model, "--host", "127.0.0.1", "--port",
                str(address.port)]  # fmt: skip
        server = Server(
            "vllm", line, address, health="/health", environment={**os.environ, **variables}, timeout=timeout
        )
        started.append(server)
        return server

    yield run
    for server in started:
        server.stop()


def pids(folder: Path) -> list[int]:
    path = folder / "pids"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def running(found: list[int]) -> list[int]:
    """Return the processes that run; a zombie does not."""
    left = []
    for pid in found:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        left += [pid] if state != "Z" else []
    return left


def gone(found: list[int], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while running(found) and time.monotonic() < end:
        time.sleep(0.05)
    return not running(found)


def test_a_server_is_ready_after_its_delay_and_leaves_nothing_behind(start, tmp_path: Path) -> None:
    told: list[str] = []
    server = start(FAKE_DELAY="0.5", FAKE_CHILD="1")
    state = server.wait_until_ready(told.append)
    assert (state.state, state.generation) == ("ready", 1)
    assert len(running(pids(tmp_path))) == 2
    assert (tmp_path / LOG).read_text().startswith("fake vllm serve m --served-model-name qbench-")
    server.stop()
    server.stop()
    assert not running(pids(tmp_path))
    assert not (tmp_path / STATE).exists()


def test_the_log_is_quoted_while_a_server_starts(start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_qbench.servers.server.NEWS", 0.3)
    told: list[str] = []
    start(FAKE_DELAY="2").wait_until_ready(told.append)
    assert any(line.startswith("vllm: starting since ") and "environment: " in line for line in told), told


def test_a_server_that_exits_is_an_error_with_the_end_of_its_log(start, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        start(FAKE_EXIT="1").wait_until_ready()
    assert str(error.value) == (
        f"vllm ended with status 3 before it was ready; the end of {tmp_path / LOG}: RuntimeError: no such device: npu9"
    )


def test_a_server_that_never_gets_ready_is_killed(start, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="vllm was not ready within 2 s"):
        start(timeout=2, FAKE_NEVER="1").wait_until_ready()
    assert gone(pids(tmp_path))


def test_a_command_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    server = Server("vllm", [str(tmp_path / "no")], Address.new(tmp_path), health="", environment=os.environ, timeout=5)
    with pytest.raises(ModelError, match="no cannot be started: No such file"):
        server.wait_until_ready()
    server.stop()


def test_another_program_on_the_port_is_not_taken_for_the_server(start, tmp_path: Path) -> None:
    """The server answers on the port of the second one, but lists its model under another name."""
    first = start()
    first.wait_until_ready()
    other = Address(first.address.port, "qbench-other", str(tmp_path / "other"))
    (tmp_path / "other").mkdir()
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    server = Server("vllm", command, other, health="/health", environment=os.environ, timeout=1.5)
    with pytest.raises(ModelError, match=r"was not ready within 1\.5 s"):
        server.wait_until_ready()
    server.stop()


def test_a_killed_server_is_started_again_on_the_same_port(start, tmp_path: Path) -> None:
    server = start(FAKE_CHILD="1")
    first = server.wait_until_ready()
    os.kill(first.pid, signal.SIGKILL)
    end = time.monotonic() + 30
    while server.state().generation == 1 and time.monotonic() < end:
        time.sleep(0.02)
    second = server.wait_until_ready()
    assert (second.generation, second.pid == first.pid) == (2, False)
    assert len(running(pids(tmp_path))) == 2, "the child of the first start is gone"


def test_a_server_that_cannot_be_started_again_is_given_up(start, tmp_path: Path) -> None:
    server = start(FAKE_DIES="0")
    state = server.wait_until_ready()
    (tmp_path / "bin" / "vllm").write_text(f"#!{sys.executable}\nprint('out of memory'); raise SystemExit(1)\n")
    os.kill(state.pid, signal.SIGKILL)
    end = time.monotonic() + 30
    while server.state().state != "failed" and time.monotonic() < end:
        time.sleep(0.05)
    with pytest.raises(ModelError, match="vllm ended with status 1 before it was ready.*out of memory"):
        server.wait_until_ready()
    assert (tmp_path / LOG).read_text().count("out of memory") == 3


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_server_ends_with_its_owner_however_that_ends(tmp_path: Path, number: int) -> None:
    command = install(tmp_path / "bin", "vllm")
    variables = {**os.environ, "FAKE_PIDS": str(tmp_path / "pids"), "FAKE_CHILD": "1"}
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path), str(command)], stdout=subprocess.PIPE,
                             env=variables)  # fmt: skip
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"ready\n"
    state = json.loads((tmp_path / STATE).read_text())
    owner.send_signal(number)
    owner.wait(60)
    owner.stdout.close()
    assert gone([*pids(tmp_path), state["supervisor"]])


def test_a_fork_that_outlives_the_owner_does_not_keep_the_server(tmp_path: Path) -> None:
    """The fork holds the pipe open."""
    command = install(tmp_path / "bin", "vllm")
    code = OWNER.replace('print("ready", flush=True)', "fork = os.fork()\nif fork: print(fork, flush=True)")
    owner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(command)], stdout=subprocess.PIPE,
                             env={**os.environ, "FAKE_PIDS": str(tmp_path / "pids")})  # fmt: skip
    assert owner.stdout is not None
    fork = int(owner.stdout.readline())
    try:
        owner.kill()
        owner.wait()
        assert gone(pids(tmp_path))
        assert running([fork]) == [fork]
    finally:
        os.kill(fork, signal.SIGKILL)
        owner.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="prctl")
def test_a_server_dies_with_its_supervisor_and_that_is_an_error(start, tmp_path: Path) -> None:
    server = start()
    state = server.wait_until_ready()
    os.kill(state.supervisor, signal.SIGKILL)
    assert gone(pids(tmp_path))
    with pytest.raises(ModelError, match="vllm and the process that watches it were killed"):
        server.wait_until_ready()
    with pytest.raises(ModelError, match="were killed"):
        RunningServer("vllm", server.address).wait_until_ready()


def test_a_worker_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_qbench.servers.server.UNSTARTED", 0.2)
    with pytest.raises(ModelError, match="was not started by the process that had to"):
        RunningServer("vllm", Address(1, "m", str(tmp_path))).wait_until_ready()
