"""The recipes of docs/why.md, run as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "why.md").read_text("utf-8")
SCRIPT = re.compile(r'^```python title="([^"]+)"\n(.*?)^```\n', re.M | re.S)
SHELL = re.compile(r"^```shell\n(.*?)^```\n", re.M | re.S)
ROWS = re.findall(r"^\| `(qbench why [^`]+)` \| ([^|]+) \|$", PAGE, re.M)
RUN = "import sys; from pytest_qbench.cli import main; sys.exit(main())"


def run(folder: Path, command: str, *more: str) -> tuple[int, str]:
    name, *rest = shlex.split(command)
    start = [sys.executable, "-c", RUN] if name == "qbench" else [sys.executable]
    done = subprocess.run(
        [*start, *rest, *more], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.stderr == "", done.stderr
    return done.returncode, done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipes")
    for title, body in SCRIPT.findall(PAGE):
        (folder / title).write_text(body, "utf-8")
    for block in SHELL.findall(PAGE):
        for command in block.splitlines():
            assert run(folder, command) == (0, "")
    return folder


def test_the_page_has_the_recipes() -> None:
    assert len(ROWS) == 6
    assert len(SCRIPT.findall(PAGE)) == 3


@pytest.mark.campaign
@pytest.mark.parametrize("command, stage", ROWS, ids=[command.removeprefix("qbench why ") for command, _ in ROWS])
def test_a_recipe_names_its_stage(command: str, stage: str, project: Path) -> None:
    status, out = run(project, command, "--items=6", "--pool=8")
    assert status == 1
    assert f"why: the first stage that departs is the {stage.strip()}" in out
