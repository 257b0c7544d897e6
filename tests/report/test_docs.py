"""The documentation is whole, and its commands run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.report.hostile import SUITES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))


def test_every_page_is_in_the_navigation_and_builds(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    nav = (ROOT / "mkdocs.yml").read_text()
    assert [page.name for page in PAGES if page.name not in nav] == []
    reference = (tmp_path / "site" / "reference" / "index.html").read_text()
    for wanted in ("--qbench-html=FILE", "qbench_gate", "qbench report", "perception.accuracy"):
        assert wanted in reference


@pytest.mark.campaign
@pytest.mark.parametrize("page", ["index.md", "reports.md"])
def test_the_commands_of_a_page_run(page: str, tmp_path: Path) -> None:
    (tmp_path / "suites").mkdir()
    for suite in SUITES.glob("test_*.py"):
        (tmp_path / "suites" / suite.name).write_text(suite.read_text())
    commands = re.findall(r"```console\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    for command in "".join(commands).splitlines():
        program, *arguments = shlex.split(command)
        module = {"pytest": "pytest", "qbench": "pytest_qbench.cli"}[program]
        code = f"import sys; from {module} import main; sys.exit(main(sys.argv[1:]))"
        done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"


@pytest.mark.parametrize("page", ["own-model.md", "own-gate.md"])
def test_the_code_of_a_page_runs(page: str, pytester: pytest.Pytester) -> None:
    for suite in SUITES.glob("test_*.py"):
        (pytester.path / suite.name).write_text(suite.read_text())
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    own = "conftest.py" if "fixture" in code else "test_own.py"
    (pytester.path / own).write_text(code)
    result = pytester.runpytest_subprocess(
        "--qbench-limit=60", "--qbench-no-gates", "--qbench-model=random:0" if own == "test_own.py" else "-q"
    )
    assert result.ret == 0, result.stdout.str()
