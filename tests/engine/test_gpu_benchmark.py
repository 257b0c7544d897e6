"""The form for a CPU of the benchmark on a GPU: engine and loop agree, and each task has its row."""

from __future__ import annotations

import pytest

from benchmarks.gpu import TASKS, main


def test_engine_and_loop_agree_and_each_task_has_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    main("small", 4, 1)
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("| A")]
    assert [row[0].strip() for row in rows] == list(TASKS)
    assert all(float(row[1]) > 0 and float(row[3]) > 0 for row in rows)
    assert all(float(row[6]) < 1e-4 for row in rows[:3])
