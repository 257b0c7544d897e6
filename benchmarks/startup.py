"""What the installed plugin costs a project that does not use it: CPU of `pytest --help` and of one trivial test.

``python benchmarks/startup.py [ROUNDS]``: both variants alternate in one run; medians and their ratio.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def cpu(arguments: list[str], cwd: str) -> float:
    before = os.times()
    subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=cwd, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_one.py").write_text("def test_one(): pass\n")
        for name, arguments in (("pytest --help", ["--help"]), ("one trivial test", ["-q", "-p", "no:cacheprovider"])):
            with_plugin, without = [], []
            for _ in range(rounds):
                with_plugin.append(cpu(arguments, folder))
                without.append(cpu([*arguments, "-p", "no:qbench"], folder))
            a, b = statistics.median(with_plugin), statistics.median(without)
            print(f"{name}: {a * 1000:.0f} ms with, {b * 1000:.0f} ms without, ratio {a / b:.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
