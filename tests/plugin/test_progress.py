"""The pace in pytest's own progress line."""

from __future__ import annotations

import pytest

from pytest_qbench.plugin.progress import LONG, pace
from tests.plugin.test_runs import BOTH_IN_CAMPAIGN, SMALL, project

__all__ = ["project"]


@pytest.mark.parametrize("done, total, seconds, told", [
    (100, 400, 50.0, "2 items/s, 2:30 left"),
    (1000, 85000, 30.0, "33.3 items/s, 42:00 left"),
    (10, 1000, 100.0, "0.1 items/s, 2:45:00 left"),
    (400, 400, 50.0, "8 items/s, 0:00 left"),
    (100, 400, LONG - 1, ""),
    (0, 400, 50.0, ""),
    (1, 0, 50.0, ""),
])  # fmt: skip
def test_pace(done: int, total: int, seconds: float, told: str) -> None:
    assert pace(done, total, seconds) == told


@BOTH_IN_CAMPAIGN
def test_only_a_long_run_shows_its_pace(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    short = project.runpytest_subprocess(*SMALL, "--qbench-no-gates", *workers)
    assert "items/s" not in short.stdout.str()
    project.makeconftest("import pytest_qbench.plugin.progress as p\np.LONG = 0.0")
    result = project.runpytest_subprocess(*SMALL, "--qbench-no-gates", *workers)
    assert result.ret == 0
    result.stdout.re_match_lines([r".*\[ *\d+%, [\d.e+]+ items/s, \d+:\d\d left\]$"])
    assert max(len(line) for line in result.outlines if "items/s" in line) <= 80
    assert result.parseoutcomes() == short.parseoutcomes()
