"""What Ray costs an item: ``python benchmarks/ray_overhead.py [ROUNDS]``.

The embedded model on 300 scored images of `mini`, in this process and with one replica of a cluster that it starts,
in turn; the threads of torch are the same. The rate is that of the measurement, from the first record to the last: the
start of Ray (and of torch in the replica) stands apart, as the time to the first record.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ITEMS = 300


def measured(folder: Path, *args: str) -> tuple[float, float, float]:
    """Seconds to the first record, seconds an item after it, seconds of the whole run."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(ROOT / "suites/test_assessment.py")]
    command += [
        "--qbench-model=tiny",
        "--qbench-no-gates",
        f"--qbench-run-dir={folder}",
        "--rootdir",
        str(folder.parent),
    ]
    began = time.perf_counter()
    run = subprocess.Popen([*command, *args], cwd=folder.parent, stdout=subprocess.DEVNULL)
    records, seen = folder / "records.jsonl", [(0.0, 0)]
    while run.poll() is None and seen[-1][1] < ITEMS:
        lines = records.read_bytes().count(b"\n") if records.exists() else 0
        if lines > seen[-1][1]:
            seen.append((time.perf_counter() - began, lines))
        time.sleep(0.005)
    assert run.wait() == 0
    (first, before), (last, after) = seen[1], seen[-1]
    return first, (last - first) / (after - before), time.perf_counter() - began


def main(rounds: int) -> None:
    threads = str(os.cpu_count())
    os.environ["OMP_NUM_THREADS"] = threads
    kinds = {"local": (), "ray": ("--qbench-ray=auto",)}
    found: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as place:
        os.environ["RAY_TMPDIR"] = place
        for number in range(rounds):
            for kind, args in kinds.items():
                found[kind].append(measured(Path(place, f"{kind}-{number}"), *args))
    print(f"{ITEMS} items, {threads} threads, median of {rounds} rounds")
    print("| | to the first record | an item after it | whole run |\n| --- | --- | --- | --- |")
    for kind, rows in found.items():
        first, each, whole = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"| {kind} | {first:.1f} s | {each * 1000:.1f} ms | {whole:.1f} s |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
