"""A managed vLLM: equal to the local model by `qbench parity`, and killed. Run with ``make vllm``."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytest_qbench.records import Record, read_records
from pytest_qbench.servers.supervisor import descendants
from tests.servers.test_server import gone, running
from tools.vllm_server import ROOT, install

pytestmark = pytest.mark.vllm

KILLS = int(os.environ.get("QBENCH_VLLM_KILLS", "4"))
LIMIT = os.environ.get("QBENCH_VLLM_LIMIT", "300")
ENVIRONMENT = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "PYTHONPATH": str(ROOT)}


def engine_arguments() -> list[str]:
    return [
        f"engine_python={install(ROOT / '.vllm')}", "dtype=float32",
        "engine_args=--enforce-eager --max-model-len 512 --max-num-seqs 16",
    ]  # fmt: skip


def records_of(folder: Path) -> dict[tuple[str, str], Record]:
    return {(r.task, r.item): r for r in read_records(folder / "records.jsonl")}


def test_transformers_and_vllm_are_equal(tmp_path: Path) -> None:
    qbench = [sys.executable, "-c", "import sys; from pytest_qbench.cli import main; sys.exit(main())"]
    done = subprocess.run(
        [*qbench, "parity", "tiny", "vllm:tiny", *(f"--b-arg={argument}" for argument in engine_arguments()),
         f"--limit={LIMIT}", "--timeout=600", "--concurrency=16", "--dir=runs"],
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("EQUAL within the margins: ")
    local, served = (records_of(tmp_path / "runs" / side) for side in "ab")
    assert served.keys() == local.keys()
    for key, record in served.items():
        assert (record.choice, record.response) == (local[key].choice, local[key].response), key
        if record.task == "assessment":
            assert record.score == pytest.approx(local[key].score, abs=1e-4)
    model = json.loads((tmp_path / "runs" / "b" / "summary.json").read_text())["model"]
    assert model["engine"]["version"].startswith("0.")
    assert "Application startup complete" in (tmp_path / "runs" / "b" / "engine.log").read_text()


def test_kills_of_vllm_and_pytest_lose_no_item_and_leave_no_process(tmp_path: Path) -> None:
    """KILLS seeded kills, each of vLLM's server, of its engine process or of pytest."""
    rng, run_folder = random.Random(20231004), tmp_path / "run"
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--qbench-model=vllm:tiny",
        *(f"--qbench-model-arg={argument}" for argument in engine_arguments()), "--qbench-no-gates", "--qbench-limit=60",
        "--qbench-tasks=perception,assessment", "--qbench-timeout=600", "--qbench-concurrency=8",
        f"--qbench-run-dir={run_folder}", str(ROOT / "suites"),
    ]  # fmt: skip
    state, seen, kills, resumed = run_folder / "engine.json", set(), 0, list[str]()
    with (tmp_path / "output.txt").open("wb") as output:
        while True:
            run = subprocess.Popen([*command, *resumed], cwd=tmp_path, env=ENVIRONMENT, stdout=output, stderr=output)
            while run.poll() is None:
                time.sleep(0.1)
                try:
                    found = json.loads(state.read_text())
                    seen |= {found["supervisor"], found["pid"], *descendants(found["supervisor"])}
                except (FileNotFoundError, ValueError):
                    continue
                if found["state"] == "ready" and kills < KILLS:
                    time.sleep(rng.uniform(0.5, 5))
                    kills += 1
                    victims = [run.pid, found["pid"], (descendants(found["pid"]) or [found["pid"]])[-1]]
                    victim = victims[(kills - 1) % 3]
                    print("kill", kills, ("pytest", "server", "engine")[(kills - 1) % 3])
                    if running([victim]):
                        os.kill(victim, signal.SIGKILL)
                    if victim == run.pid:
                        run.wait()
                    else:
                        time.sleep(1)
            assert gone(list(seen), 60), [Path(f"/proc/{pid}/cmdline").read_text() for pid in running(list(seen))]
            if run.returncode == 0:
                break
            resumed = ["--qbench-resume"]
            state.unlink(missing_ok=True)
    assert kills == KILLS
    records = records_of(run_folder)
    assert len(records) == 180
    assert [r.error for r in records.values() if r.status == "error"] == []
