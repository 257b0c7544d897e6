"""`qbench doctor` as a subprocess."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_qbench

TINY = Path(pytest_qbench.__file__).parent / "tiny"


def doctor(*args: str) -> subprocess.CompletedProcess[str]:

    command = [
        sys.executable,
        "-c",
        "import sys; from pytest_qbench.cli import main; sys.exit(main())",
        "doctor",
        *args,
    ]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


@pytest.mark.campaign
def test_tiny_passes_all_checks() -> None:
    found = doctor("--model=tiny")
    assert (found.returncode, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert lines[0] == "tiny: LlavaForConditionalGeneration, float32 on cpu"
    assert lines[1].split() == ["check", "outcome", "detail"]
    assert len(lines) == 13
    assert lines[-1] == "all checks passed (10)"


@pytest.mark.campaign
def test_a_processor_that_blanks_images_fails(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(TINY, tmp_path / "blank"))
    config = json.loads((folder / "processor_config.json").read_text())
    config["image_processor"] |= {"do_rescale": True, "rescale_factor": 0.0, "do_normalize": False}
    (folder / "processor_config.json").write_text(json.dumps(config))
    found = doctor(f"--model={folder}")
    assert found.returncode == 1
    assert "FAILED: several images, image and question matter" in found.stdout
    assert "the image changes nothing" in found.stdout


@pytest.mark.parametrize("args, message", [
    (["--model=llva"], "no model 'llva': did you mean llava"),
    (["--model=random:0"], "random:0 has no weights to check"),
    (["--model=tiny", "--model-arg=dtyp=auto"], "did you mean dtype?"),
    (["--model=./nowhere"], "no model folder"),
])  # fmt: skip
def test_usage_errors_are_one_line(args: list[str], message: str) -> None:
    found = doctor(*args)
    assert (found.returncode, found.stdout) == (4, "")
    assert found.stderr.count("\n") == 1
    assert message in found.stderr
