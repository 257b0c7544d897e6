"""Discovery in VS Code: ``python benchmarks/editor.py PYTHON_FILES [ITEMS]``.

PYTHON_FILES is the folder `python_files` of the extension ms-python.python, or of a clone of microsoft/vscode-python.
Its plugin `vscode_pytest` runs as the extension runs it, and writes its tree of tests to a file in the place of the
extension's pipe. CPU time, wall time, the largest process, and the size of the tree: of items, of plain parametrized
functions, and of items without the plugin.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from overhead import ENVIRONMENT, measure, project


def leaves(node: dict[str, Any]) -> int:
    """Number of tests in a tree."""
    return sum(map(leaves, node["children"])) if "children" in node else 1


def main(plugin: Path, items: int) -> None:
    """Print a table."""
    folder = project(Path(tempfile.mkdtemp()), items)
    (folder / "pytest.ini").write_text("[pytest]\nqbench_model = random:0\nqbench_data = data\n")
    tree = folder / "tree.json"
    ENVIRONMENT.update(
        TEST_RUN_PIPE=str(tree), PYTHONPATH=os.pathsep.join([str(plugin), os.environ.get("PYTHONPATH", "")])
    )
    discover = ("-p", "vscode_pytest", "--collect-only", f"--rootdir={folder}")
    variants = {
        "items": ("-p", "pytest_qbench.plugin", *discover, "test_suite.py"),
        "plain functions": ("-c", os.devnull, *discover, "test_plain.py"),
        "items, without the editor's plugin": ("-p", "pytest_qbench.plugin", "--collect-only", "test_suite.py"),
    }
    print(f"| {items:,} | CPU | wall | memory | tests | size of the tree |\n| --- | --- | --- | --- | --- | --- |")
    for name, arguments in variants.items():
        tree.unlink(missing_ok=True)
        cpu, wall, peak = measure(folder, *arguments)
        found = "-", "-"
        if tree.exists():
            text = tree.read_text(encoding="utf-8")
            payload = json.loads(text[text.index("{") :])["params"]  # after the header of the message
            assert payload["status"] == "success", payload.get("error")
            found = f"{leaves(payload['tests']):,}", f"{len(text) / 2**20:.1f} MiB"
        print(f"| {name} | {cpu:.1f} s | {wall:.1f} s | {peak:.0f} MiB | {found[0]} | {found[1]} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 85_000)
