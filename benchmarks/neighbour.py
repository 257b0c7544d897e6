"""The main job on an idle machine and beside one busy process: ``python benchmarks/neighbour.py [ROUNDS]``.

Each with the plugin's bound on the spinning of OpenMP, and with libgomp's own default, which a user may set. The four
commands alternate in every round (3). The wall times are medians; a ratio is the median of the rounds' ratios. Nothing
else may run.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEFAULT_SPINS = "300000"  # libgomp's, where OMP_WAIT_POLICY is not set


@contextmanager
def neighbour() -> Iterator[None]:
    """Keep one core busy."""
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        child.kill()
        child.wait()


def wall(folder: str, spins: str | None) -> float:
    """Return the seconds of one run of the embedded model."""
    variables = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    if spins is not None:
        variables["GOMP_SPINCOUNT"] = spins
    start = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--qbench-no-gates"]
    command += ["--qbench-model=tiny", f"--qbench-run-dir={tempfile.mkdtemp(dir=folder)}/run", "suites/"]
    subprocess.run(command, cwd=ROOT, env=variables, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main(rounds: int = 3) -> None:
    """Print a table with the wall times and their ratio to those of the plugin on the idle machine."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for place in ("idle", "beside a busy process"):
                for name, spins in (("bounded spinning", None), ("libgomp's default", DEFAULT_SPINS)):
                    with neighbour() if place != "idle" else nullcontext():
                        found.setdefault(f"{place}, {name}", []).append(wall(folder, spins))
    first = next(iter(found.values()))
    print(f"{os.cpu_count()} cores, {rounds} rounds\n\n| | wall, s | ratio |\n| --- | ---: | ---: |")
    for name, times in found.items():
        ratio = statistics.median(a / b for a, b in zip(times, first, strict=True))
        print(f"| {name} | {statistics.median(times):.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
