"""A model server on this machine: started, watched and stopped by the process that owns it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pytest_qbench.errors import ModelError
from pytest_qbench.escaping import printable
from pytest_qbench.servers.supervisor import GRACE, Job
from pytest_qbench.untrusted.files import read_text
from pytest_qbench.untrusted.parsing import parse_json

STATE, LOG = "engine.json", "engine.log"
NEWS = 10.0  # seconds between two lines on a server that starts
UNSTARTED = 120.0  # seconds after which a server is not coming that another process should have started
STEP = 0.05
_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_QUOTED = 300  # characters of the log's last line in an error


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens on loopback, and the name under which it serves its model. Workers get it as JSON."""

    port: int
    model: str
    folder: str

    @classmethod
    def new(cls, folder: Path) -> Address:
        """Return an address on a free port. The name is new, so that no other program can answer in its place."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return cls(int(probe.getsockname()[1]), f"qbench-{os.urandom(6).hex()}", str(folder.absolute()))

    @property
    def base_url(self) -> str:
        """The URL of the OpenAI-compatible interface."""
        return f"http://127.0.0.1:{self.port}/v1"


@dataclass(frozen=True, slots=True)
class State:
    """The state of a server: starting, ready, failed or stopped. `generation` counts its starts."""

    state: str = "starting"
    generation: int = 0
    pid: int | None = None
    supervisor: int | None = None
    reason: str = ""


class RunningServer:
    """A server that this or another process owns, watched through its state file."""

    def __init__(self, engine: str, address: Address) -> None:
        """`engine` is the name for messages."""
        self.engine, self.address = engine, address
        self.folder = Path(address.folder)
        self._known: tuple[tuple[int, int], State] = ((0, 0), State())

    def state(self) -> State:
        """Return the state, read again only where its file changed."""
        path = self.folder / STATE
        try:
            found = path.stat()
            version = found.st_ino, found.st_mtime_ns  # each state is a new file, as clocks of file systems are coarse
            if version != self._known[0]:
                self._known = version, State(**parse_json(read_text(path, 1 << 16)))
        except FileNotFoundError:
            return State()
        return self._known[1]

    def wait_until_ready(self, tell: Callable[[str], None] = lambda text: None) -> State:
        """Wait for the server and return its state; `tell` gets a line every few seconds.

        Raises `ModelError` with the end of the server's log if it is given up or gone.
        """
        began = time.monotonic()
        due = began + NEWS
        while (state := self.ready_state()) is None:
            if self.state().supervisor is None and time.monotonic() - began > UNSTARTED:
                raise self._failure("was not started by the process that had to")
            if time.monotonic() >= due:
                due += NEWS
                tell(f"{self.engine}: starting since {time.monotonic() - began:.0f} s: {self._last_line()}")
            time.sleep(STEP)
        return state

    def ready_state(self) -> State | None:
        """Return the state of a ready server, None if it starts. Raises `ModelError` if it is given up or gone."""
        state = self.state()
        if state.state in ("failed", "stopped"):
            raise self._failure(state.reason or "was stopped")
        self.check_watched(state)
        return state if state.state == "ready" else None

    def check_watched(self, state: State) -> None:
        """Raise `ModelError` if the process that watches the server is gone: it took the server with it."""
        if state.supervisor is not None and not _runs(state.supervisor):
            raise self._failure("and the process that watches it were killed")

    def _failure(self, reason: str) -> ModelError:
        return ModelError(f"{self.engine} {reason}; the end of {self.folder / LOG}: {self._last_line()}")

    def _last_line(self) -> str:
        """Return the last line of the log that says something, shortened."""
        try:
            with (self.folder / LOG).open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - 8192))
                lines = log.read().decode("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return "no log yet"
        said = [line.strip() for line in lines if line.strip()]
        return printable(said[-1])[:_QUOTED] if said else "nothing"


class Server(RunningServer):
    """A server that this process owns. It ends with this process, however that ends."""

    def __init__(
        self, engine: str, command: Sequence[str], address: Address, *, health: str, environment: Mapping[str, str],
        timeout: float,
    ) -> None:  # fmt: skip
        """Start the server in the background. `environment` are all its variables.

        The log and the state file are in the folder of `address`. A resumed run appends to the log.
        """
        super().__init__(engine, address)
        (self.folder / STATE).unlink(missing_ok=True)
        job = Job(
            list(command), str(self.folder / STATE), str(self.folder / LOG), address.port, address.model, health,
            timeout,
        )  # fmt: skip
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", str(_SUPERVISOR), json.dumps(asdict(job))], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(environment),
            start_new_session=True,  # Ctrl-C is for pytest, which stops the server at its end
        )  # fmt: skip

    def check_watched(self, state: State) -> None:
        """Raise `ModelError` if the supervisor has ended, unless it has said why."""
        if self._supervisor.poll() is not None and self.state().state not in ("failed", "stopped"):
            raise self._failure("and the process that watches it were killed")

    def stop(self) -> None:
        """Stop the server with all its processes; a second call does nothing."""
        if self._supervisor.stdin is not None and not self._supervisor.stdin.closed:
            self._supervisor.stdin.close()
            try:
                self._supervisor.wait(4 * GRACE)
            except subprocess.TimeoutExpired:
                self._supervisor.kill()  # the server dies with it
                self._supervisor.wait()
            (self.folder / STATE).unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
