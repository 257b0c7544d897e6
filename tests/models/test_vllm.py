"""The embedded model, served by vLLM, gives the records of the same model loaded locally. Run with ``make vllm``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_qbench.records import Record, read_records
from tools.vllm_server import ROOT, serving

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(ROOT / ".vllm", 8178) as address:
        yield address


def measured(folder: Path, model: str, *args: str) -> dict[tuple[str, str], Record]:
    command = [
        sys.executable, "-m", "pytest", "-q", f"--qbench-model={model}", "--qbench-no-gates", "--qbench-limit=60",
        f"--qbench-run-dir={folder}", *args, "suites/",
    ]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True)
    return {(r.task, r.item): r for r in read_records(folder / "records.jsonl")}


@pytest.mark.parametrize("answer", ["likelihood", "generate"])
def test_a_served_model_equals_the_local_one(tmp_path: Path, url: str, answer: str) -> None:
    how = f"--qbench-answer={answer}"
    served = measured(tmp_path / "served", f"openai:tiny@{url}", how, "--qbench-concurrency=16")
    local = measured(tmp_path / "local", "tiny", how)
    assert served.keys() == local.keys()
    assert len(served) == 240
    for key, record in served.items():
        same = local[key]
        assert (record.status, record.choice, record.response, record.judge) == (
            same.status, same.choice, same.response, same.judge,
        ), key  # fmt: skip
        if record.task == "assessment":
            assert record.score == pytest.approx(same.score, abs=1e-4)
        for name, value in (record.logprobs or {}).items():
            assert value == pytest.approx((same.logprobs or {})[name], abs=1e-3)
