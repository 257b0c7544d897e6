"""Size and time of the page of a large run, from its folder: ``python benchmarks/page.py RUN``."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from pytest_qbench.report.finished_run import read_finished
from pytest_qbench.report.page import page


def main() -> None:
    for folder in map(Path, sys.argv[1:]):
        start = time.perf_counter()
        text = page(read_finished(folder))
        took = time.perf_counter() - start
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "page.html"
            path.write_text(text, encoding="utf-8")
            size = path.stat().st_size
        items = sum(1 for _ in (folder / "items.jsonl").open(encoding="utf-8"))
        print(f"{folder.name}: {items} items, {size / 2**20:.1f} MiB, read and built in {took:.1f} s")


if __name__ == "__main__":
    main()
