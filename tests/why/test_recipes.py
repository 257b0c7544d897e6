"""The recipes of docs/why.md, run as they stand there."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_qbench.cli.main import main

PAGE = (Path(__file__).parents[2] / "docs" / "why.md").read_text("utf-8")
SCRIPT = re.compile(r'^```python title="([^"]+)"\n(.*?)^```\n', re.M | re.S)
SHELL = re.compile(r"^```shell\n(.*?)^```\n", re.M | re.S)
ROWS = re.findall(r"^\| `(qbench why [^`]+)` \| ([^|]+) \|$", PAGE, re.M)


def run(command: str, *more: str) -> int:
    """Run a command as it stands in the page, in this process: torch is imported once."""
    name, *rest = shlex.split(command)
    if name == "qbench":
        return main([*rest, *more])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", rest)
        runpy.run_path(rest[0], run_name="__main__")
    return 0


@pytest.fixture(scope="module")
def project(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("recipes")
    for title, body in SCRIPT.findall(PAGE):
        (folder / title).write_text(body, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in SHELL.findall(PAGE):
            for command in block.splitlines():
                assert run(command) == 0
        yield folder


def test_the_page_has_the_recipes() -> None:
    assert len(ROWS) == 6
    assert len(SCRIPT.findall(PAGE)) == 3


@pytest.mark.campaign
@pytest.mark.parametrize("command, stage", ROWS, ids=[command.removeprefix("qbench why ") for command, _ in ROWS])
def test_a_recipe_names_its_stage(command: str, stage: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = run(command, "--items=2", "--pool=4")
    out, err = capsys.readouterr()
    assert (status, err) == (1, "")
    assert f"why: the first stage that departs is the {stage.strip()}" in out
