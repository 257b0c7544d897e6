"""The built wheel contains suites, baseline, data and model, and works outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    assert wheel.stat().st_size < 24e6
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True, capture_output=True
    )
    return folder / "site"


def run(installed: Path, cwd: Path, *args: str) -> subprocess.CompletedProcess[str]:
    # This entry of the path precedes the checkout's, which an editable install puts last.
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *args], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_the_suites_run_from_the_package(installed: Path, tmp_path: Path) -> None:
    args = ("-m", "pytest", "--pyargs", "pytest_qbench.suites", "--qbench-model=random:0", "--qbench-limit=10")
    done = run(installed, tmp_path, *args, "--qbench-no-gates", "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "40 items, all read" in done.stdout
    workers = run(installed, tmp_path, *args, "--qbench-update-baseline", "-q", "-n2")
    assert workers.returncode == 0, workers.stdout + workers.stderr
    assert "BASELINE RECORDED: random-0@mini" in workers.stdout


def test_the_wheel_contains_baseline_data_and_model(installed: Path, tmp_path: Path) -> None:
    code = (
        "import pytest_qbench, pytest_qbench.baseline.store as b, pathlib; p = pytest_qbench.PACKAGE; "
        "print(p); print(b.read_baseline(b.find_baseline(pathlib.Path('nowhere'), 'tiny')).name); "
        "print(all((p / f).exists() for f in ('tiny/model.safetensors', 'tiny/README.md', 'mini/CREDITS.md', 'py.typed')))"
    )
    done = run(installed, tmp_path, "-c", code)
    assert done.stdout.splitlines() == [str(installed / "pytest_qbench"), "tiny", "True"], done.stderr


def test_the_console_command_lists_models(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "-c", "from pytest_qbench.cli import main; raise SystemExit(main(['models']))")
    assert done.returncode == 0
    assert done.stdout.startswith("tiny ")
    assert "llava-hf/llava-1.5-7b-hf" in done.stdout
