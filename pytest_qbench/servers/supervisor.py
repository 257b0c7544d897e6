"""Runs a model server until its owner goes: a program of its own, started by `server.Server`.

Its argument is a JSON object (`Job`). Its standard input is a pipe that the owner holds: when it closes, because the
owner stopped the server or was killed, every process of the server is killed. A server that dies is started again.
`Job.state` says what is going on. This module needs the standard library alone and is run as a file.
"""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

STEP = 0.1  # seconds between two looks at the server
PROBE = 0.25  # seconds between two requests whether it is ready
GRACE = 5.0  # seconds that a server has to end by itself
FAILED_STARTS = 3  # starts in a row without a ready server, after which a restart is given up
_SUBREAPER, _PARENT_DEATH = 36, 1  # prctl: adopt orphaned grandchildren; a signal when the parent dies


@dataclass(frozen=True)
class Job:
    """What to run. `model` is the name under which the server lists its model, `health` a path that answers 200."""

    command: list[str]
    state: str
    log: str
    port: int
    model: str
    health: str
    timeout: float  # seconds until the server must be ready


@dataclass
class Supervisor:
    """The loop around one server. `generation` counts its starts."""

    job: Job
    generation: int = 0
    failed_starts: int = 0
    was_ready: bool = False
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    owner: int = field(default_factory=os.getppid)
    _probed: float = field(default=0.0, repr=False)

    def run(self) -> None:
        """Start the server, and start it again when it dies, until the owner goes or it cannot be started."""
        self._start()
        # A process that the owner forked may hold the pipe open after the owner's death: hence the second condition.
        while not _is_closed(sys.stdin.fileno(), STEP) and os.getppid() == self.owner:
            if self.process is not None and not self._look(self.process):
                return
        self.write("stopped")

    def write(self, state: str, reason: str = "") -> None:
        """Replace the state file."""
        path = Path(self.job.state)
        new = path.with_name(f"{path.name}.new")
        pid = self.process.pid if self.process is not None else None
        new.write_text(json.dumps({
            "state": state, "generation": self.generation, "pid": pid, "supervisor": os.getpid(), "reason": reason,
        }))  # fmt: skip
        new.replace(path)

    def _start(self) -> None:
        self.generation += 1
        self.was_ready, self.began = False, time.monotonic()
        with Path(self.job.log).open("ab") as log:
            try:
                self.process = subprocess.Popen(
                    self.job.command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                    start_new_session=True, preexec_fn=_die_with_parent,
                )  # fmt: skip
            except OSError as e:
                self.process = None
                self.write("failed", f"{self.job.command[0]} cannot be started: {e.strerror or e}")
                raise SystemExit(1) from None
        self.write("starting")

    def _look(self, process: subprocess.Popen[bytes]) -> bool:
        """Return False once the server is given up."""
        status = process.poll()
        if status is None and self.was_ready:
            return True
        if status is None and self._is_ready():
            self.was_ready, self.failed_starts = True, 0
            self.write("ready")
            return True
        late = status is None and time.monotonic() - self.began > self.job.timeout
        if status is None and not late:
            return True
        kill_descendants(process)
        if self.was_ready:
            self._start()
            return True
        self.failed_starts += 1
        if self.generation > 1 and self.failed_starts < FAILED_STARTS:
            self._start()
            return True
        what = (
            f"was not ready within {self.job.timeout:g} s"
            if late
            else f"ended with {_named(status)} before it was ready"
        )
        self.write("failed", what)
        return False

    def _is_ready(self) -> bool:
        """Whether the server is healthy and lists the model: another program on this port does not."""
        now = time.monotonic()
        if now - self._probed < PROBE:
            return False
        self._probed = now
        try:
            if self.job.health and _get(self.job.port, self.job.health)[0] != 200:
                return False
            status, body = _get(self.job.port, "/v1/models")
            return status == 200 and any(model.get("id") == self.job.model for model in json.loads(body)["data"])
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError):
            return False  # not up yet, or not our server


def kill_descendants(process: subprocess.Popen[bytes]) -> None:
    """End the server's process group, then kill whatever it started; on Linux also what left the group."""
    _signal_group(process.pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    while True:
        _signal_group(process.pid, signal.SIGKILL)
        children = descendants(os.getpid())
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.poll()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not children:
            return
        time.sleep(0.02)


def descendants(pid: int) -> list[int]:
    """Return the processes below a process that run, from /proc; empty where there is no /proc."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:  # the process has ended
            continue
        if fields[0] != "Z":
            parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, left = [], [pid]
    while left:
        children = parents.get(left.pop(), [])
        found += children
        left += children
    return found


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS denies it for a group of zombies
        os.killpg(group, number)


def _get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read(1 << 20)
    finally:
        connection.close()


def _is_closed(file: int, seconds: float) -> bool:
    """Wait for a time and return whether the other end of the pipe is closed."""
    readable, _, _ = select.select([file], [], [], seconds)
    return bool(readable) and os.read(file, 1) == b""


def _named(status: int | None) -> str:
    if status is not None and status < 0:
        return f"signal {-status}"
    return f"status {status}"


def _prctl(option: int, value: int) -> None:
    """Set an attribute of this process; nothing on a system without prctl, where the pipe has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _die_with_parent() -> None:
    """Let the server die with the supervisor, should that be killed: nobody would watch it."""
    _prctl(_PARENT_DEATH, signal.SIGKILL)


def main() -> None:
    """Run the job of the first argument."""
    _prctl(_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    supervisor = Supervisor(Job(**json.loads(sys.argv[1])))
    try:
        supervisor.run()
    finally:
        if supervisor.process is not None:
            kill_descendants(supervisor.process)


if __name__ == "__main__":
    main()
