"""The core without torch, and a system without the locks of Linux and macOS."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.plugin.test_runs import project
from tests.plugin.test_usage import assert_usage

__all__ = ["project"]

HIDDEN = Path(__file__).parents[1] / "hidden_modules.py"
LOCAL = "torch,torchvision,transformers,safetensors,huggingface_hub,tokenizers"
REMEDY = "needs torch, torchvision, transformers: pip install 'pytest-qbench[local]'"


def run(project: pytest.Pytester, hidden: str, *arguments: str) -> pytest.RunResult:
    return project.run(sys.executable, str(HIDDEN), hidden, *arguments)


def test_without_torch_outputs_are_replayed_compared_and_shown(project: pytest.Pytester) -> None:
    small = ("pytest", "--qbench-limit=8", "--qbench-no-gates", "--qbench-tasks=assessment", "test_assessment.py")
    for model, folder in (("random:0", "a"), ("replay:a", "b")):
        result = run(project, LOCAL, *small, f"--qbench-model={model}", f"--qbench-run-dir={folder}")
        assert result.ret == 0, result.stdout.str() + result.stderr.str()
    assert run(project, LOCAL, "qbench", "compare", "a", "b", "--html=c.html").ret in (0, 1)
    assert (project.path / "c.html").stat().st_size > 10_000
    assert run(project, LOCAL, "qbench", "report", "a", "--md=a.md").ret == 0


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        (("--qbench-model=tiny",), "--qbench-model=tiny "),
        (("--qbench-model=hf:org/model",), "--qbench-model=org/model "),
        (("--qbench-model=random:0", "--qbench-judge=hf:org/judge"), "--qbench-judge=hf:org/judge "),
    ],
)
def test_a_local_model_without_torch_is_one_line(
    project: pytest.Pytester, arguments: tuple[str, ...], asked: str
) -> None:
    assert_usage(run(project, LOCAL, "pytest", *arguments), asked + REMEDY)


def test_the_checks_of_a_model_without_torch_are_one_line(pytester: pytest.Pytester) -> None:
    for subject in ("--model=tiny", "--faults"):
        result = run(pytester, LOCAL, "qbench", "doctor", subject)
        assert result.ret == 4
        assert result.stderr.str().splitlines() == [f"qbench: {subject} {REMEDY}"]


def test_a_system_without_file_locks_is_refused_in_one_line(project: pytest.Pytester) -> None:
    without = "fcntl,resource"
    refused = "Linux or macOS; on Windows, run pytest inside WSL"
    assert_usage(run(project, without, "pytest", "--qbench-model=random:0"), refused)
    result = run(project, without, "qbench", "report", "a")
    assert result.ret == 4
    assert refused in result.stderr.str()
    project.makepyfile(test_other="def test_other(): ...")
    result = run(project, without, "pytest")  # the project's own tests run, beside the suites
    assert result.ret == 0, result.stdout.str()
    result.assert_outcomes(passed=1, skipped=6)
