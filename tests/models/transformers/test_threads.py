"""torch is imported with a bounded spin, unless the user has set one, and other processes see nothing of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pytest_qbench.models.transformers.threads import SPINS

# libgomp prints the values that it has read while torch loads it.
CODE = """
import os
from pytest_qbench.models.transformers.threads import import_torch
import_torch()
print("left:", os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.mark.parametrize(
    ("given", "spins", "left"),
    [({}, str(SPINS), None), ({"GOMP_SPINCOUNT": "77"}, "77", "77"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0", None)],
)
@pytest.mark.skipif(sys.platform != "linux", reason="torch brings libgomp on Linux only")
def test_the_number_of_spins(given: dict[str, str], spins: str, left: str | None) -> None:
    ours = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env={**environment, **given, "OMP_DISPLAY_ENV": "VERBOSE"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr
    assert done.stdout.strip() == f"left: {left}"
