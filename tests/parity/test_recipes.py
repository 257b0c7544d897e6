"""Parity of the embedded model with itself and with faulty copies of it, through `qbench parity`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_qbench import packaged
from pytest_qbench.doctor.faults import remove_assistant_turn, round_weights
from pytest_qbench.models.specs import aliases

TINY = Path(aliases()["tiny"].target)
HALF_RESOLUTION = """
import pytest
from pytest_qbench.doctor.faults import FaultyModel, halve_resolution

@pytest.fixture(scope="session")
def qbench_model(qbench_model):
    return FaultyModel(qbench_model, image=halve_resolution)
"""


def parity(folder: Path, *args: str) -> tuple[int, str]:
    command = [sys.executable, "-c", "import sys; from pytest_qbench.cli import main; sys.exit(main())", "parity"]
    done = subprocess.run(
        [*command, *args], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def copied(folder: Path, name: str) -> Path:
    return shutil.copytree(TINY, folder / name)


def differences(out: str) -> dict[str, float]:
    """Return the value of each measure in the verdict DIFFERENT."""
    line = out.splitlines()[-1]
    assert line.startswith("DIFFERENT: "), out
    found = re.findall(r"((?:perception|description|assessment)\.\w+) \w+ ([\d.]+)( %)? \(at least", line)
    return {name: float(value) / (100 if percent else 1) for name, value, percent in found}


@pytest.mark.campaign
def test_the_embedded_model_equals_itself_and_differs_from_itself_in_4_bits(tmp_path: Path) -> None:
    """On one quality database. The second command measures B alone."""
    status, out = parity(tmp_path, "tiny", "tiny", "--datasets=mini_a", "--dir=self", "--once")
    assert (status, out.splitlines()[-1][:5]) == (0, "EQUAL"), out
    (row,) = [line.split() for line in out.splitlines() if line.startswith("  assessment.drift")]
    assert row[2:4] == ["150", "0"]
    round_weights(4)(copied(tmp_path, "four"))
    status, out = parity(tmp_path, "self/a", "four", "--margin=assessment.drift=0.002", "--moves=1")
    assert status == 1
    assert 0.02 < differences(out)["assessment.drift"] < 0.2
    assert re.search(r"  mini_a/\S+: 0\.\d{4} -> 0\.\d{4}\n", out)


@pytest.mark.campaign
def test_faults_are_different_and_other_number_formats_are_measured(tmp_path: Path) -> None:
    """The whole of mini. The table of docs/parity.md is what this test prints."""
    status, out = parity(tmp_path, "tiny", "tiny", "--dir=self")
    assert status == 0, out
    assert "noise floor: A measured again: bfloat16 in batches of 8" in out
    (row,) = [line.split() for line in out.splitlines() if line.startswith("  assessment.drift  mini_a")]
    assert 0.0003 < float(row[4]) < 0.003
    assert float(row[5]) == pytest.approx(2 * float(row[4]), abs=2e-4)
    remove_assistant_turn(copied(tmp_path, "turn"))
    for bits in (4, 8):
        round_weights(bits)(copied(tmp_path, f"bits{bits}"))
    half = tmp_path / "half"
    shutil.copytree(packaged("suites"), half / "suites")
    (half / "conftest.py").write_text(HALF_RESOLUTION)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--qbench-model=tiny",
        "--qbench-no-gates",
        "--qbench-run-dir=run",
        "suites",
    ]
    subprocess.run(command, cwd=half, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    found = {}
    for name, *args in (
        ("bfloat16", "tiny", "--b-arg=dtype=bfloat16"), ("slow image processor", "tiny", "--b-arg=image_backend=pil"),
        ("int8 weights", "bits8"), ("4-bit weights", "bits4"), ("no assistant turn", "turn"),
        ("half the resolution", "half/run"),
    ):  # fmt: skip
        status, out = parity(tmp_path, "self/a", *args, "--again=self/again", "--moves=1")
        print(name, status, out)
        found[name] = (status, out)
    for name in ("bfloat16", "slow image processor"):
        assert found[name][0] == 0, found[name][1]
        assert found[name][1].splitlines()[-1].startswith("EQUAL")
    for name in ("4-bit weights", "no assistant turn", "half the resolution"):
        assert found[name][0] == 1
        assert max(differences(found[name][1]).values()) > 0.02, found[name][1]
    # Rounding to 8 bits moves scores three times as far as bfloat16 does, without more flips.
    assert 0.002 < differences(found["int8 weights"][1])["assessment.drift"] < 0.01
