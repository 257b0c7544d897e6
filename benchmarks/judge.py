"""499 descriptions x 3 dimensions x 5 rounds by a judge behind an endpoint: ``python benchmarks/judge.py [LATENCY]``.

A server on loopback answers every request after LATENCY seconds (0.2). A first, short run warms up; then pytest judges
499 recorded descriptions, and the same again from the cache; with wall time, CPU time and the requests that arrived.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tests.endpoints.server import Reply, completion, serving, text_of

ITEMS = 499


def data(folder: Path) -> None:
    """A data folder of different descriptions, and what a model put out for them."""
    images = folder / "data" / "lldescribe" / "images"
    images.mkdir(parents=True)
    rows, outputs = [], []
    for i in range(ITEMS):
        Image.new("RGB", (8, 8)).save(images / f"{i}.png")
        rows.append({"img_path": f"{i}.png", "golden": f"Picture {i} is blurry, dark and noisy."})
        outputs.append({"img_path": f"{i}.png", "response": f"Picture {i} is blurry and dark."})
    (folder / "data" / "lldescribe" / "lldescribe.json").write_text(json.dumps(rows))
    (folder / "lldescribe.json").write_text(json.dumps(outputs))


def verdict(body: dict[str, object]) -> int:
    golden, said = (
        text_of(body).partition(mark)[2].partition(">>>")[0].strip(" \n<") for mark in ("Reference:", "judge:")
    )
    return 0 if not said else 2 if not golden or said.split()[:2] == golden.split()[:2] else 0


def main(latency: float) -> None:
    def answer(body: dict[str, object], attempt: int) -> Reply:
        return Reply(completion(*[f"Score: {verdict(body)}"] * int(str(body.get("n", 1)))), delay=latency)

    with tempfile.TemporaryDirectory() as place, serving(answer) as server:
        folder = Path(place)
        data(folder)
        command = [
            sys.executable, "-m", "pytest", "-q", "--rootdir", place, "--qbench-no-gates", "-p", "no:cacheprovider",
            f"--qbench-model=replay:{folder / 'lldescribe.json'}", f"--qbench-data={folder / 'data'}",
            f"--qbench-judge=openai:j@{server.url}", str(ROOT / "suites" / "test_description.py"),
        ]  # fmt: skip
        for name, extra in (
            ("warm-up", ["--qbench-limit=8", "--qbench-no-cache"]),
            ("first run", []),
            ("second run", []),
        ):
            server.bodies.clear()
            server.most_in_flight = 0
            before, start = os.times(), time.perf_counter()
            subprocess.run([*command, *extra], check=True, stdout=subprocess.DEVNULL, cwd=place)
            wall, after = time.perf_counter() - start, os.times()
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            rounds = sum(int(str(body.get("n", 1))) for body in server.bodies)
            print(
                f"{name}: {wall:.1f} s wall, {cpu:.1f} s CPU, {len(server.bodies)} requests, {rounds} verdicts, "
                f"at most {server.most_in_flight} in flight"
            )


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0.2)
