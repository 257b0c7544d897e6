"""The documentation: its commands run unchanged, its options and commands exist, the site can be built."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pytest_qbench.cli.main import COMMANDS
from pytest_qbench.session.options import OPTIONS

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
RUN = [page for page in DOCS if "```console" in page.read_text(encoding="utf-8")]
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```\n', re.M | re.S)
SHOWN = re.compile(r"\n((?: {4}.*\n)+)")  # an indented block after a command: what it prints
SLOW = ("index", "gates", "parity")
EXPECTED = {"qbench": (0,), "pytest": (0, 1, 10)}  # a red gate is a valid result; the pages about gates show some


def in_a_project(page: Path, folder: Path, runs: str = "console") -> None:
    """Run the commands of a page in order, in a project with the suites and the files shown in the page.

    The last command of a block prints what the page shows after it. `runs` is the language of the blocks to run.
    """
    shutil.copytree(ROOT / "suites", folder / "suites")
    tools = Path(sys.executable).parent
    text = page.read_text(encoding="utf-8")
    for block in BLOCK.finditer(text):
        language, title, body = block.groups()
        if title:
            (folder / title).parent.mkdir(parents=True, exist_ok=True)
            (folder / title).write_text(body, encoding="utf-8")
        printed = None
        for command in body.splitlines() if language == runs else ():
            name, *rest = shlex.split(command)
            done = subprocess.run(
                [tools / name, *rest], cwd=folder, capture_output=True, text=True, check=False,
                env={**os.environ, "COLUMNS": "100"},
            )  # fmt: skip
            printed = done.stdout
            assert done.returncode in EXPECTED[name], f"{command}\n{done.stdout}{done.stderr}"
            if done.returncode in (1, 10):
                assert re.search("^(REGRESSED|INVALID|NOT MEASURED): ", done.stdout, re.M), done.stdout
        if printed is not None and (shown := SHOWN.match(text, block.end())):
            missing = first_missing(shown[1], printed)
            assert missing is None, f"{body}prints no {missing!r}\n{printed}"


def first_missing(shown: str, printed: str) -> str | None:
    """Return the first line of a page's block that the output lacks in this order, or None; ... stands for any lines."""
    lines = iter(printed.splitlines())
    for line in textwrap.dedent(shown).splitlines():
        if line.strip() != "..." and all(line != one for one in lines):
            return line
    return None


@pytest.mark.parametrize("page", [p for p in RUN if p.stem not in SLOW], ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page: Path, tmp_path: Path) -> None:
    in_a_project(page, tmp_path)


@pytest.mark.campaign
@pytest.mark.parametrize("name", SLOW)
def test_the_slower_commands_of_a_page_run(name: str, tmp_path: Path) -> None:
    in_a_project(ROOT / "docs" / f"{name}.md", tmp_path)


def test_fine_tuning_against_general_ability(tmp_path: Path) -> None:
    """The page's two commands on 150 questions of each kind; fine-tuning gains 24 points there and loses 19 here."""
    folder = tmp_path / "abilities"
    (folder / "llvisionqa").mkdir(parents=True)
    (folder / "general").mkdir()
    numbers = range(150)
    questions = [
        {"img_path": f"{i}.png", "question": f"Is part {i} blurry?", "candidates": ["Yes", "No"],
         "correct_ans": ("Yes", "No")[i % 2], "type": 0, "concern": 0}
        for i in numbers
    ]  # fmt: skip
    (folder / "llvisionqa" / "llvisionqa_dev.json").write_text(json.dumps(questions))
    image = base64.b64encode(b"no model looks at it")
    table = ["index\timage\thint\tquestion\tA\tB\tC\tanswer"]
    table += [f"{i}\t{image.decode()}{i}\tHint {i}.\tWhat is it?\tcat\tdog\towl\t{'ABC'[i % 3]}" for i in numbers]
    (folder / "general" / "general.tsv").write_text("\n".join(table))
    for name, quality, general in (("base", 60, 90), ("tuned", 85, 70)):
        rows = [f"llvisionqa/dev/{i}.png,{'AB'[i % 2 ^ (i * 7 % 100 >= quality)]}" for i in numbers]
        rows += [f"general/{i},{'ABC'[(i + (i * 7 % 100 >= general)) % 3]}" for i in numbers]
        (tmp_path / f"{name}.csv").write_text("\n".join(["id,reply", *rows]))
    in_a_project(ROOT / "docs" / "studies.md", tmp_path, runs="shell")
    (run,) = (tmp_path / ".qbench" / "runs").glob("*-tuned")
    items = [json.loads(line) for line in (run / "items.jsonl").read_text().splitlines()]
    assert [item["context"] for item in items if item["dataset"] == "general"] == [f"Hint {i}." for i in numbers]
    outcomes = {gate["name"]: gate["verdict"] for gate in json.loads((run / "summary.json").read_text())["gates"]}
    assert outcomes == {"perception.accuracy llvisionqa": "improved", "perception.accuracy general": "regressed"}


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
