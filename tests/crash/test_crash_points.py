"""At each call by which a run of 40 items opens, writes, renames, cuts, syncs, locks, makes or removes a file in its
folder, alone and with two workers, the process is killed, a write is cut short and killed, and the call fails with
ENOSPC and EIO.

The run must end with the records of an undisturbed run or with an error that names the reason. Resumed, it must have the
bytes of an undisturbed run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.harness import ARGS, ITEMS, Harness, Point, harness

pytestmark = pytest.mark.campaign


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    if shutil.which("cc") is None:
        pytest.fail("no C compiler: the crash points need cc")
    with harness(tmp_path_factory.mktemp("crash")) as found:
        yield found


@pytest.mark.parametrize(
    "workers, modes",
    [(workers, modes) for workers in (False, True) for modes in (("kill", "torn"), ("ENOSPC", "EIO"))],
    ids=["alone-kill", "alone-errors", "-n2-kill", "-n2-errors"],
)
def test_every_crash_point(
    runs: Harness, workers: bool, modes: tuple[str, ...], capfd: pytest.CaptureFixture[str]
) -> None:
    points = runs.points(workers)
    names = {point.call.partition(" ")[0] for point in points}
    assert names >= {"open", "pwrite", "write", "rename", "flock"}
    assert runs.run("undisturbed").status == 0
    undisturbed = runs.content("undisturbed")
    assert len(undisturbed["records"]) == ITEMS
    tried: list[tuple[str, Point]] = [
        (mode, point) for mode in modes for point in points if mode != "torn" or "write" in point.call
    ]
    bad = [
        f"{mode} at {point}: {reason}"
        for i, (mode, point) in enumerate(tried)
        if (reason := runs.try_point(f"run{i}", mode, point, workers, undisturbed))
    ]
    shutil.rmtree(runs.folder / "project" / "undisturbed")
    with capfd.disabled():
        where = "with -n2" if workers else "alone"
        print(
            f"\ncrash points {where}: {len(tried) - len(bad)} of {len(tried)} ({', '.join(modes)} at {len(points)} calls)",
            file=sys.stderr,
        )
    assert not bad, f"{len(bad)} of {len(tried)}:\n" + "\n".join(bad[:40])


def test_the_shim_sees_what_strace_sees(runs: Harness, tmp_path: Path) -> None:
    """The kernel's list of calls in the run folder, of a run without the shim."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    kinds = (
        "openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,rename,renameat,renameat2,truncate,ftruncate,fsync,"
    )
    kinds += (
        "fdatasync,sync_file_range,fallocate,flock,unlink,unlinkat,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat"
    )
    folder, log = runs.folder / "project", tmp_path / "strace"
    command = [
        "strace",
        "-f",
        "-y",
        "-qq",
        "--seccomp-bpf",
        "-e",
        f"trace={kinds}",
        "-e",
        "signal=none",
        "-o",
        str(log),
    ]
    subprocess.run(
        [*command, sys.executable, "-m", "pytest", *ARGS, "--qbench-run-dir=traced"], cwd=folder, check=True, timeout=300,
        capture_output=True, env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
    seen = Counter()
    inside = re.compile(rf"{re.escape(str(folder))}/traced|\"traced")
    for line in log.read_text().splitlines():
        call = line.split(maxsplit=1)[1]
        if inside.search(call) and "O_DIRECTORY" not in call:
            name = re.sub(r"(64|at2?)$", "", call.partition("(")[0])
            seen[name] += 1
    listed = Counter(point.call.partition(" ")[0] for point in runs.points(workers=False))
    assert seen == listed
