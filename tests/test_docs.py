"""The documentation: its commands run unchanged, its options and commands exist, the site can be built."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_qbench.cli.main import COMMANDS
from pytest_qbench.session.options import OPTIONS

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
RUN = [page for page in DOCS if "```console" in page.read_text(encoding="utf-8")]
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', re.M | re.S)
EXPECTED = {"qbench": (0,), "pytest": (0, 1, 10)}  # a red gate is a valid result; the pages about gates show some


def in_a_project(page: Path, folder: Path) -> None:
    """Run the commands of a page in order, in a project with the suites and the files shown in the page."""
    shutil.copytree(ROOT / "suites", folder / "suites")
    tools = Path(sys.executable).parent
    for language, title, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if title:
            (folder / title).parent.mkdir(parents=True, exist_ok=True)
            (folder / title).write_text(body, encoding="utf-8")
        for command in body.splitlines() if language == "console" else ():
            name, *rest = shlex.split(command)
            done = subprocess.run([tools / name, *rest], cwd=folder, capture_output=True, text=True, check=False)
            assert done.returncode in EXPECTED[name], f"{command}\n{done.stdout}{done.stderr}"
            if done.returncode in (1, 10):
                assert re.search("^(REGRESSED|INVALID|NOT MEASURED): ", done.stdout, re.M), done.stdout


@pytest.mark.parametrize("page", [p for p in RUN if p.stem not in ("index", "gates")], ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page: Path, tmp_path: Path) -> None:
    in_a_project(page, tmp_path)


@pytest.mark.campaign
@pytest.mark.parametrize("name", ["index", "gates"])
def test_the_slower_commands_of_a_page_run(name: str, tmp_path: Path) -> None:
    in_a_project(ROOT / "docs" / f"{name}.md", tmp_path)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS], ids=lambda page: page.stem)
def test_options_commands_and_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"--qbench-[a-z-]*[a-z]", text)) <= {option.name for option in OPTIONS}
    assert set(re.findall(r"^ *(?:\$ )?qbench ([a-z]+)", text, re.M)) <= set(COMMANDS)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists() or target == "reference.md", target


def test_the_site_is_built_with_a_reference_out_of_the_code(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    page = (tmp_path / "site" / "reference" / "index.html").read_text(encoding="utf-8")
    for name in (*(option.name for option in OPTIONS), *(f"qbench {name}" for name in COMMANDS), "qbench_gate"):
        assert name in page
