"""How long the main job takes and what it needs: ``python benchmarks/main_job.py``.

Runs the embedded model on the embedded data, alone and with two workers, and (as the floor) no model; one process after
the other in one run, with wall time, CPU time of all processes and the largest resident set of any.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def measure(*arguments: str) -> tuple[float, float]:
    before, start = os.times(), time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "--qbench-no-gates", *arguments, "suites/"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - start, cpu


def main() -> None:
    for name, arguments in (
        ("random:0", ("--qbench-model=random:0",)),
        ("tiny", ("--qbench-model=tiny",)),
        ("tiny -n2", ("--qbench-model=tiny", "-n2")),
    ):
        wall, cpu = measure(*arguments)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"{name}: {wall:.1f} s wall, {cpu:.1f} s CPU, largest process so far {peak:.0f} MiB")


if __name__ == "__main__":
    main()
