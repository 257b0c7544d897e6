"""Runs of 40 items in which one call of one process is killed or fails, and what such a run must leave behind."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.data.files import png, write
from tests.plugin.killing import project

SHIM = Path(__file__).with_name("shim.c")
LIST, KILL, TORN, FAIL = range(4)  # as in shim.c
MODES = {
    "kill": (KILL, 0), "torn": (TORN, 0), "ENOSPC": (FAIL, errno.ENOSPC), "EIO": (FAIL, errno.EIO),
}  # fmt: skip
ITEMS = 40
ARGS = (
    "-q", "--qbench-model=random:0", "--qbench-no-gates", "--qbench-data=data", "--qbench-judge=lexicon",
    "--qbench-batch-size=10",
    "-p", "no:warnings", "-p", "pytest_qbench.plugin", "-p", "xdist.plugin", "-p", "no:cacheprovider",
)  # fmt: skip
VOLATILE = ("began", "seconds", "resumed", "commit")
_TROUBLE = re.compile(r"Traceback \(most recent call last\)|INTERNALERROR|Exception ignored")


@dataclass(frozen=True, slots=True)
class Point:
    """The `ordinal`-th watched call of the controller (`role` 0) or of any worker (1). `call` is what it was once."""

    role: int
    ordinal: int
    call: str


@dataclass(frozen=True, slots=True)
class Result:
    status: int | None
    text: str
    was_reached: bool


@dataclass
class Harness:
    """A warm process that forks runs, and the project in which they run."""

    folder: Path
    process: subprocess.Popen[str]

    def run(
        self, run: str, mode: int = LIST, point: Point | None = None, error: int = 0, workers: bool = False,
        resume: bool = False,
    ) -> Result:  # fmt: skip
        """Run, or resume, the run in the folder `run`, with a fault at `point`."""
        plan, log, output = (self.folder / name for name in ("plan", "log", "output"))
        watched = str(self.folder / "project" / run).encode()
        role, ordinal = (point.role, point.ordinal) if point else (-1, 0)
        plan.write_bytes(struct.pack("4096s7i", watched, mode, role, ordinal, error, 0, 0, 0))
        args = [
            *ARGS,
            f"--qbench-run-dir={run}",
            *(["-n2"] if workers else []),
            *(["--qbench-resume"] if resume else []),
        ]
        job = {
            "folder": str(self.folder / "project"), "plan": str(plan), "log": str(log), "output": str(output), "args": args,
            "workers": workers, "seconds": 120,
            "environment": {"ALIKE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        }  # fmt: skip
        stdin, stdout = _pipes(self.process)
        stdin.write(json.dumps(job) + "\n")
        stdin.flush()
        found: dict[str, Any] = json.loads(stdout.readline())
        reached = struct.unpack("4096s7i", plan.read_bytes())[5]
        return Result(found["status"], output.read_text(errors="replace"), bool(reached))

    def points(self, workers: bool) -> list[Point]:
        """Return the watched calls of an undisturbed run."""
        found = self.run("listed", workers=workers)
        assert found.status == 0, found.text
        lines = (self.folder / "log").read_text().splitlines()
        shutil.rmtree(self.folder / "project" / "listed")
        return sorted(
            (Point(int(role), int(ordinal), f"{name} {path}") for role, ordinal, name, path in map(_fields, lines)),
            key=lambda point: (point.role, point.ordinal),
        )

    def content(self, run: str) -> dict[str, Any]:
        """Return what a run left: the lines of its records, its items, its summary without times, its other files."""
        folder = self.folder / "project" / run
        summary = json.loads((folder / "summary.json").read_text())
        return {
            "records": sorted((folder / "records.jsonl").read_text().splitlines()),
            "items": (folder / "items.jsonl").read_bytes(),
            "summary": {key: value for key, value in summary.items() if key not in VOLATILE},
            "files": sorted(path.name for path in folder.iterdir()),
        }

    def try_point(self, run: str, mode: str, point: Point, workers: bool, undisturbed: dict[str, Any]) -> str | None:
        """Disturb a run at a point and resume it. Return what is wrong, or None."""
        number, error = MODES[mode]
        for _ in range(3):  # workers share the batches differently in each run
            first = self.run(run, number, point, error, workers)
            if first.was_reached or not point.role:
                break
            shutil.rmtree(self.folder / "project" / run)
        if not first.was_reached:
            return "the call did not happen"
        if reason := _why_bad_end(first, mode, point, error):
            return reason
        if first.status == 0 and self.content(run) != undisturbed:
            return f"ended with 0, but differs from an undisturbed run: {_difference(self.content(run), undisturbed)}"
        again = self.run(run, resume=True)
        if again.status != 0:
            return f"cannot be resumed: status {again.status}: {again.text[-600:]}"
        if self.content(run) != undisturbed:
            return f"resumed, it differs from an undisturbed run: {_difference(self.content(run), undisturbed)}"
        shutil.rmtree(self.folder / "project" / run)
        return None


def _why_bad_end(first: Result, mode: str, point: Point, error: int) -> str | None:
    """Return what is wrong with the end of a disturbed run, or None.

    A call that fails and is not made good leads to an error that names the reason. In a worker, it is a usage error. The
    controller may fail at its last files, when all is measured, and then ends with another status.
    """
    if first.status is None:
        return f"it hangs: {first.text[-600:]}"
    if found := _TROUBLE.search(first.text):
        return f"it shows a traceback: {first.text[max(0, found.start() - 200) :][:3000]}"
    if error:
        if first.status != 0 and os.strerror(error) not in first.text:
            return f"status {first.status} without the reason: {first.text[-600:]}"
        if point.role == 1 and first.status not in (0, 4):
            return f"a worker failed, and the run ended with {first.status}: {first.text[-600:]}"
    elif point.role == 0 and first.status != -9:
        return f"it was killed, but ended with {first.status}"
    elif point.role == 1 and first.status != 0:  # xdist replaces the worker
        return f"a worker was killed, and the run ended with {first.status}: {first.text[-600:]}"
    return None


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    for key, value in wanted.items():
        if found.get(key) != value:
            if isinstance(value, dict):
                return f"{key}.{_difference(found[key], value)}"
            return f"{key}: {found.get(key)!r} and not {value!r}"[:600]
    return "nothing"


def _fields(line: str) -> tuple[str, str, str, str]:
    role, ordinal, name, *path = line.split(" ")
    return role, ordinal, name, " ".join(path)


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def write_data(folder: Path) -> None:
    """Write 40 items of all tasks, on four pictures."""
    names = [f"{i}.png" for i in range(4)]
    for place in ("llvisionqa/images", "lldescribe/images", "iqa/koniq"):
        for i, name in enumerate(names):
            write(folder / place / name, png((60 * i, 200 - 40 * i, 90)))
    asked = [
        {"img_path": names[i % 4], "question": f"Is part {i} of the image sharp?", "candidates": ["Yes", "No"],
         "correct_ans": ("Yes", "No")[i % 2], "type": 0, "concern": i % 4}
        for i in range(20)
    ]  # fmt: skip
    write(folder / "llvisionqa" / "llvisionqa_dev.json", asked)
    words = ("blurry", "sharp", "dark", "bright and noisy")
    described = [
        {"img_path": n, "golden": f"The image is {words[i]}, with natural colors."} for i, n in enumerate(names)
    ]
    write(folder / "lldescribe" / "lldescribe.json", described)
    for i in range(4, 16):
        write(folder / "iqa" / "koniq" / f"{i}.png", png((15 * i, 20, 200 - 9 * i)))
    write(folder / "iqa" / "koniq.json", [{"img_path": f"{i}.png", "gt_score": 1 + i / 5} for i in range(16)])


def compile_shim(folder: Path) -> Path:
    """Compile the shim and return the library."""
    library = folder / "shim.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(SHIM), "-ldl"], check=True)
    return library


@contextmanager
def harness(folder: Path) -> Iterator[Harness]:
    """Start the warm process."""
    project(folder / "project")
    write_data(folder / "project" / "data")
    environment = {**os.environ, "LD_PRELOAD": str(compile_shim(folder)), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.server"], cwd=Path(__file__).parents[2], env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    stdin, stdout = _pipes(process)
    try:
        assert stdout.readline() == "ready\n"
        yield Harness(folder, process)
    finally:
        stdin.close()
        process.wait(60)
        stdout.close()
