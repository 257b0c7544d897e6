"""Runs pytest in forks of one warm process, with `shim.c` preloaded, so that a run costs tenths of a second.

Each line of standard input is a job, each line of standard output its result. Workers of xdist are forks as well. They
are made before pytest starts, have the role 1 (the controller has 0), and talk through pipes as usual.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import pkgutil
import signal
import sys
import time
import warnings
from typing import Any

SHIM = ctypes.CDLL(os.environ["LD_PRELOAD"])
HEAVY = ("models.transformers", "replicas", "doctor", "studies", "suites", "judges.transformers")
WORKERS = 4  # xdist replaces a worker that was killed


def warm() -> None:
    """Import what a run of the `random` model imports."""
    for name in ("numpy", "scipy.stats", "scipy.optimize", "PIL.Image", "yaml", "jinja2", "hmac", "pdb", "execnet"):
        importlib.import_module(name)
    for package in ("_pytest", "xdist", "pytest_qbench"):
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.removeprefix("pytest_qbench.").startswith(HEAVY) and module.name != "xdist.looponfail":
                importlib.import_module(module.name)
    importlib.import_module("PIL.Image").init()


class Forked:
    """A worker in the place of `subprocess.Popen`."""

    def __init__(self, others: list[Forked]) -> None:
        (their_in, our_out), (our_in, their_out) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if not self.pid:
            for other in others:  # an end that stays open would hide the end of the controller
                other.stdin.close()
                other.stdout.close()
            os.close(our_out)
            os.close(our_in)
            serve_as_worker(their_in, their_out)
        os.close(their_in)
        os.close(their_out)
        self.stdin, self.stdout = os.fdopen(our_out, "wb"), os.fdopen(our_in, "rb")
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            with contextlib.suppress(ChildProcessError):
                self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode or 0

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


def serve_as_worker(stdin: int, stdout: int) -> None:
    SHIM.crash_role(1)
    os.dup2(stdin, 0)
    os.dup2(stdout, 1)
    os.close(stdin)
    os.close(stdout)
    sys.stdin, sys.stdout, sys.argv = os.fdopen(0, closefd=False), os.fdopen(1, "w", closefd=False), ["-c"]
    line = sys.stdin.readline()  # the first line of execnet's protocol is the program
    if line:
        exec(eval(line), {"__name__": "__main__"})
    os._exit(0)


def run(job: dict[str, Any]) -> None:
    """Run pytest in this process, which is a fork, and end it."""
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    output = os.open(job["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    for number in (1, 2):
        os.dup2(output, number)
    os.chdir(job["folder"])
    os.environ |= job.get("environment", {})
    sys.argv = ["pytest", *job["args"]]
    warnings.simplefilter("ignore")
    SHIM.crash_begin(job["plan"].encode(), log)
    import execnet.gateway_io as gateways
    import pytest

    forks: list[Forked] = []
    if job["workers"]:
        for _ in range(WORKERS):
            forks.append(Forked(forks))
    waiting = iter(forks)

    def popen(self: Any, args: object, execmodel: Any) -> None:
        self.popen = forked = next(waiting)
        super(gateways.Popen2IOMaster, self).__init__(forked.stdin, forked.stdout, execmodel=execmodel)

    gateways.Popen2IOMaster.__init__ = popen
    sys.stdout, sys.stderr = (io.TextIOWrapper(os.fdopen(number, "wb"), line_buffering=True) for number in (1, 2))
    status = int(pytest.main(job["args"]))
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def end_of(pid: int, seconds: float) -> int | None:
    """Return the exit status of a run when all its processes have ended, or None if one hangs. Then all are killed."""
    end, status = time.monotonic() + seconds, None
    while time.monotonic() < end:
        try:
            found, raw = os.waitpid(-pid, os.WNOHANG)  # the run, and workers that outlive it
        except ChildProcessError:
            return status
        if found == pid:
            status = os.waitstatus_to_exitcode(raw)
        if not found:
            time.sleep(0.005)
    os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-pid, 0)
    return None


def main() -> None:
    warm()
    gc.freeze()
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans come here, and are waited for
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if not pid:
            try:
                run(job)
            finally:
                os._exit(70)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)  # as the fork does: whoever is first
        status = end_of(pid, job["seconds"])
        print(json.dumps({"status": status}), flush=True)


if __name__ == "__main__":
    main()
