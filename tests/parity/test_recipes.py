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
def test_number_formats_and_faults_on_a_quality_database(tmp_path: Path) -> None:
    """A is measured three times, every B once. docs/parity.md has the same of all of mini."""
    status, out = parity(tmp_path, "tiny", "tiny", "--datasets=mini_a", "--dir=self")
    assert (status, out.splitlines()[-1][:5]) == (0, "EQUAL"), out
    assert "noise floor: A measured again: bfloat16 in batches of 8" in out
    (row,) = [line.split() for line in out.splitlines() if line.startswith("  assessment.drift")]
    assert row[2:4] == ["150", "0"]
    assert 0.0003 < float(row[4]) < 0.003
    assert float(row[5]) == pytest.approx(2 * float(row[4]), abs=2e-4)
    remove_assistant_turn(copied(tmp_path, "turn"))
    for bits in (4, 8):
        round_weights(bits)(copied(tmp_path, f"bits{bits}"))
    half = tmp_path / "half"
    half.mkdir()
    shutil.copy(packaged("suites") / "test_assessment.py", half)
    (half / "conftest.py").write_text(HALF_RESOLUTION)
    options = ("--qbench-model=tiny", "--qbench-datasets=mini_a", "--qbench-no-gates", "--qbench-run-dir=run")
    command = [sys.executable, "-m", "pytest", "-q", *options]
    subprocess.run(command, cwd=half, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    for name in ("--b-arg=dtype=bfloat16", "--b-arg=image_backend=pil"):
        status, out = parity(tmp_path, "self/a", "tiny", name, "--again=self/again")
        assert (status, out.splitlines()[-1][:5]) == (0, "EQUAL"), out
    # Rounding to 8 bits moves scores three times as far as bfloat16 does, without more flips.
    for name, least, most in (
        ("bits8", 0.002, 0.01),
        ("bits4", 0.02, 0.2),
        ("turn", 0.01, 0.1),
        ("half/run", 0.02, 0.5),
    ):
        status, out = parity(tmp_path, "self/a", name, "--again=self/again", "--moves=1")
        assert status == 1, out
        assert least < differences(out)["assessment.drift"] < most, out
        assert re.search(r"  mini_a/\S+: 0\.\d{4} -> 0\.\d{4}\n", out)


@pytest.mark.campaign
def test_a_fault_of_the_template_flips_answers(tmp_path: Path) -> None:
    """With --once no noise floor is known: the change is far beyond what counts as large then."""
    remove_assistant_turn(copied(tmp_path, "turn"))
    status, out = parity(tmp_path, "tiny", "turn", "--tasks=perception", "--limit=80", "--once")
    assert status == 1, out
    found = differences(out)
    assert found["perception.drift"] > 0.1
    assert found["perception.flips"] > 0.2
