"""What a test node costs: ``python benchmarks/overhead.py [ITEMS ...]``.

Items of a model without weights, alone and with two workers, beside plain parametrized functions with two fixtures,
in one run: CPU time of all processes, wall time and the largest process. The cost per item is what is left after
that of ten items, in microseconds: starting pytest and importing SciPy are no cost of an item. No plugins but pytest's
own, xdist and this one; Python as it is by default, whatever the environment says of buffers and bytecode.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SUITE = """
import pytest

@pytest.mark.qbench(task="assessment")
def test_assessment(qbench_item, qbench_record): ...
"""
PLAIN = """
import pytest

@pytest.fixture(scope="session")
def model(): return object()

@pytest.fixture
def record(model): return 1

@pytest.mark.parametrize("item", range({items}), ids=[f"koniq/{{i}}.jpg" for i in range({items})])
def test_assessment(item, record): ...
"""
ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if k not in ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE")},
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
}
# The peak of its own address space: the largest resident set of a child begins with its parent's.
CHILD = (
    "import pytest, re, sys; status = pytest.main(sys.argv[1:])\n"
    "print('peak', re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]); sys.exit(status)"
)


def measure(folder: Path, *arguments: str) -> tuple[float, float, float]:
    """CPU and wall seconds, and the peak of the first process in MiB."""
    before, start = os.times(), time.perf_counter()
    command = [sys.executable, "-c", CHILD, "-q", "-p", "no:cacheprovider", "-p", "xdist", *arguments]
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    peak = re.search(r"peak (\d+)", done.stdout)
    assert peak is not None
    return cpu, time.perf_counter() - start, int(peak[1]) / 1024


def project(folder: Path, items: int) -> Path:
    """A folder with a suite, a plain test and data of `items` images, none of which exist."""
    (folder / "data" / "iqa").mkdir(parents=True)
    rows = [{"img_path": f"{i}.jpg", "gt_score": i % 97} for i in range(items)]
    (folder / "data" / "iqa" / "koniq.json").write_text(json.dumps(rows))
    (folder / "test_suite.py").write_text(SUITE)
    (folder / "test_plain.py").write_text(PLAIN.format(items=items))
    return folder


def main(sizes: list[int]) -> None:
    model = ("--qbench-model=random:0", "--qbench-data=data", "--qbench-no-gates")
    qbench = ("-p", "pytest_qbench.plugin", *model, "test_suite.py")
    variants = {
        "items": qbench,
        "items, collected only": (*qbench, "--collect-only", "-qq"),
        "items, -n 2": (*qbench, "-n2"),
        "plain functions": ("test_plain.py",),
    }
    print("| | items | CPU | wall | peak | CPU per item |\n| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as base:
        small = project(Path(base, "10"), 10)
        floor = {name: measure(small, *arguments)[0] for name, arguments in variants.items()}
        per_item: dict[tuple[str, int], float] = {}
        for size in sizes:
            folder = project(Path(base, str(size)), size)
            for name, arguments in variants.items():
                cpu, wall, peak = measure(folder, *arguments)
                per_item[name, size] = (cpu - floor[name]) / (size - 10) * 1e6
                row = f"{name} | {size:,} | {cpu:.1f} s | {wall:.1f} s | {peak:.0f} MiB | {per_item[name, size]:.0f} us"
                print(f"| {row} |", flush=True)
    for size in sizes:
        ratio = per_item["plain functions", size] / per_item["items", size]
        print(f"{size:,}: plain functions take {ratio:.1f} times the CPU per item")
    if len(sizes) > 1:
        a, b = sizes[-2:]
        ratio = per_item["items", b] / per_item["items", a]
        print(f"from {a:,} to {b:,} items the cost per item changes by {ratio:.2f}")


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [1_000, 10_000, 85_000])
