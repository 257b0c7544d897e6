"""Managed engines: real pytest processes that start a real server process, the fake engine of `tests.servers`."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from pytest_qbench.items import Item
from pytest_qbench.records import read_records
from pytest_qbench.runs.items_file import read_items
from tests.plugin.test_runs import BOTH, BOTH_IN_CAMPAIGN, project
from tests.plugin.test_usage import assert_usage
from tests.servers.fake_engine import install
from tests.servers.test_server import gone, pids, running

__all__ = ["project"]

KEY = "sk-secret-0123456789abcdef"

SMALL = (
    "--qbench-limit=24", "--qbench-tasks=perception", "--qbench-run-dir=run", "--qbench-no-gates",
    "--qbench-max-unparsed=1",
)  # fmt: skip


@pytest.fixture(autouse=True)
def engines(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a fake vllm, sglang and llama-server on PATH."""
    for program in ("vllm", "sglang", "llama-server"):
        install(project.path / "bin", program)
    monkeypatch.setenv("PATH", f"{project.path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_PIDS", str(project.path / "pids"))
    monkeypatch.setenv("FAKE_CHILD", "1")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def started(project: pytest.Pytester) -> list[list[str]]:
    """Return the command line of each start, from the engine's log in the run folder."""
    log = (project.path / "run" / "engine.log").read_text()
    return [line.split()[1:] for line in log.splitlines() if line.startswith("fake ")]


def model_of(project: pytest.Pytester) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.path / "run" / "summary.json").read_text())["fingerprint"]["model"]
    return found


def check_whole(project: pytest.Pytester, items: int = 24) -> None:
    """Check that every item has one record without an error, and that no process of the engine is left."""
    records = read_records(project.path / "run" / "records.jsonl")
    assert len({r.item for r in records}) == len(records) == items
    assert [r.error for r in records if r.status == "error"] == []
    assert gone(pids(project.path))


@BOTH
def test_an_engine_is_started_once_measured_and_stopped(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    args = ("--qbench-model=vllm:tiny", "--qbench-model-arg=dtype=float32",
            "--qbench-model-arg=engine_args=--max-model-len 512 --chat-template 'a b'")  # fmt: skip
    result = project.runpytest_subprocess(*SMALL, *args, *workers)
    assert result.ret == 0, result.stdout.str() + result.stderr.str()
    check_whole(project)
    assert ("qbench: vllm: starting, log in " in result.stdout.str()) == bool(workers)
    ((program, *line),) = started(project)
    folder, name = line[1], line[3]
    assert (program, line[0], line[2]) == ("vllm", "serve", "--served-model-name")
    assert folder.endswith("/tiny")
    assert line[4:6] == ["--host", "127.0.0.1"]
    assert line[8:] == ["--dtype", "float32", "--max-model-len", "512", "--chat-template", "a", "b"]
    model = model_of(project)
    assert (model["backend"], model["target"], model["name"]) == ("vllm", "tiny", "tiny")
    assert model["engine"] == {
        "version": "0.99.0", "arguments": "--dtype float32 --max-model-len 512 --chat-template 'a b'",
    }  # fmt: skip
    assert len(model["weights"]) == len(model["settings"]) == 64
    text = (project.path / "run" / "summary.json").read_text()
    assert name not in text, "the name of a run is no condition of the next one"
    assert "127.0.0.1" not in text
    assert KEY not in (project.path / "run" / "engine.log").read_text()
    assert not (project.path / "run" / "engine.json").exists()


@pytest.mark.parametrize(
    "model, version, expected",
    [
        ("sglang:org/some-vlm", "0.98.0", "sglang serve --model-path org/some-vlm --served-model-name NAME --host 127.0.0.1 --port PORT --revision abc"),
        ("llamacpp:some.gguf", "b9700-fake", "llama-server --model FILE --alias NAME --host 127.0.0.1 --port PORT --mmproj x.gguf"),
    ],
    ids=["sglang", "llamacpp"],
)  # fmt: skip
def test_the_other_engines_follow_their_contract(
    project: pytest.Pytester, model: str, version: str, expected: str
) -> None:
    (project.path / "some.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")
    more = "revision=abc" if model.startswith("sglang") else "engine_args=--mmproj x.gguf"
    result = project.runpytest_subprocess(
        *SMALL, f"--qbench-model={model}", "--qbench-answer=likelihood", f"--qbench-model-arg={more}"
    )
    assert result.ret == 0, result.stdout.str() + result.stderr.str()
    check_whole(project)
    (words,) = started(project)
    line = " ".join(words).replace(str(project.path / "some.gguf"), "FILE")
    for option, word in (("--served-model-name", "NAME"), ("--alias", "NAME"), ("--port", "PORT")):
        if option in words:
            line = line.replace(words[words.index(option) + 1], word)
    assert line == expected
    assert model_of(project)["engine"]["version"] == version
    assert model_of(project)["name"] in ("some-vlm", "some")


@BOTH_IN_CAMPAIGN
def test_an_engine_that_dies_is_started_again_and_no_item_is_lost(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]
) -> None:
    monkeypatch.delenv("FAKE_CHILD")
    monkeypatch.setenv("FAKE_DIES", "15,7,30")
    result = project.runpytest_subprocess(*SMALL, "--qbench-model=vllm:tiny", "--qbench-concurrency=2", *workers)
    assert result.ret == 0, result.stdout.str() + result.stderr.str()
    check_whole(project)
    assert len(started(project)) == 4


def test_an_item_that_kills_the_engine_ends_in_an_error_and_no_other_does(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert project.runpytest_subprocess(*SMALL, "--qbench-model=random:0").ret == 0
    items = [item for item in read_items(project.path / "run") if item.task == "perception"]
    poison = next(item for item in items if sum(_asks(other, item.question or "") for other in items) == 1)
    monkeypatch.setenv("FAKE_POISON", json.dumps(poison.question)[1:-1])
    again = [arg.replace("=run", "=second") for arg in SMALL]
    result = project.runpytest_subprocess(*again, "--qbench-model=vllm:tiny")
    assert result.ret == 1, result.stdout.str()
    failed = [r for r in read_records(project.path / "second" / "records.jsonl") if r.status == "error"]
    assert [r.item for r in failed] == [poison.id]
    assert failed[0].error == "ItemError: vllm died 3 times at this request, the last time alone: see its log"
    assert gone(pids(project.path))


def _asks(item: Item, text: str) -> bool:
    return text in (item.question or "")


@pytest.mark.parametrize(
    "variable, args, expected",
    [
        ("FAKE_EXIT", (), "vllm ended with status 3 before it was ready; the end of "),
        pytest.param("FAKE_EXIT", ("-n2",), "vllm ended with status 3 before", marks=pytest.mark.campaign),
        ("FAKE_NEVER", ("--qbench-model-arg=engine_timeout=2",), "vllm was not ready within 2 s; the end of "),
    ],
)
def test_an_engine_that_does_not_start_ends_the_run(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, variable: str, args: tuple[str, ...], expected: str
) -> None:
    monkeypatch.setenv(variable, "1")
    result = project.runpytest_subprocess(*SMALL, "--qbench-model=vllm:tiny", *args)
    assert_usage(result, expected)
    assert gone(pids(project.path))
    assert "fake vllm" in (project.path / "run" / "engine.log").read_text()


@pytest.mark.parametrize(
    "args, expected",
    [
        (("--qbench-model=vllm:tiny", "--qbench-model-arg=engine_python=no/python"), "engine_python=no/python: no such program"),
        (("--qbench-model=vllm:tiny", "--qbench-model-arg=engine_args=--x 'y"), "engine_args=--x 'y: No closing quotation"),
        (("--qbench-model=vllm:tiny", "--qbench-model-arg=price=1/2"), "price does not apply to the engine vllm"),
        (("--qbench-model=llamacpp:no.gguf",), "no file "),
        (("--qbench-model=llamacpp:conftest.py",), "is not a GGUF file"),
        (("--qbench-model=sglang:./no",), "no model folder "),
        (("--qbench-model=sglang:a b",), "write sglang:FOLDER, sglang:ORG/NAME or an alias"),
        (("--qbench-model=vllm:tiny", "--qbench-ray=auto"), "cannot be replicated"),
    ],
)  # fmt: skip
def test_what_cannot_be_started_is_refused_before_anything_runs(
    project: pytest.Pytester, args: tuple[str, ...], expected: str
) -> None:
    project.makeconftest("")
    assert_usage(project.runpytest_subprocess(*args), expected)
    assert not pids(project.path)


def test_an_engine_that_is_not_installed_is_named(project: pytest.Pytester) -> None:
    (project.path / "bin" / "vllm").unlink()
    assert_usage(project.runpytest_subprocess("--qbench-model=vllm:tiny"), "vllm: no command vllm on PATH; install it")


@BOTH_IN_CAMPAIGN
def test_a_killed_run_leaves_no_process_and_is_resumed_with_a_new_engine(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]
) -> None:
    command = [sys.executable, "-m", "pytest", *SMALL, "--qbench-model=vllm:tiny", "--qbench-concurrency=1", *workers]
    run = subprocess.Popen(
        command, cwd=project.path, env={**os.environ, "FAKE_PAUSE": "0.05"}, stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    records = project.path / "run" / "records.jsonl"
    end = time.monotonic() + 120
    while not (records.exists() and records.read_bytes().count(b"\n") >= 2) and time.monotonic() < end:
        time.sleep(0.02)
    assert running(pids(project.path))
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert gone(pids(project.path))
    before = len(read_records(records))
    assert 2 <= before < 24
    result = project.runpytest_subprocess(*SMALL, "--qbench-model=vllm:tiny", "--qbench-resume", *workers)
    assert result.ret == 0, result.stdout.str() + result.stderr.str()
    check_whole(project)


@pytest.mark.campaign
def test_fifty_seeded_kills_of_engine_and_pytest_lose_no_item_and_leave_no_process(project: pytest.Pytester) -> None:
    """Kills come at random moments, also while the engine starts; a killed pytest is resumed."""
    rng, kills, args = random.Random(20231004), 0, ["--qbench-limit=400", *SMALL[1:], "--qbench-concurrency=4"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *args, "--qbench-model=vllm:tiny"]
    environment = {**os.environ, "FAKE_PAUSE": "0.05"}
    log = project.path / "output.txt"
    resumed: list[str] = []
    while kills < 50:
        before = len(pids(project.path))
        with log.open("ab") as output:
            run = subprocess.Popen(
                [*command, *resumed], cwd=project.path, env=environment, stdout=output, stderr=output
            )
        _wait_until(lambda b=before: len(pids(project.path)) > b, run)
        while run.poll() is None and kills < 50:
            time.sleep(rng.uniform(0.0, 1.0))
            kills += 1
            if rng.random() < 0.25:
                run.kill()
                run.wait()
                break
            engine = pids(project.path)[-2]  # the last start's own pid; its child's is the last one
            if running([engine]):
                os.kill(engine, signal.SIGKILL)
        if run.poll() is None:
            run.wait(300)
        assert gone(pids(project.path)), log.read_text()[-2000:]
        resumed = ["--qbench-resume"] if (project.path / "run" / "records.jsonl").exists() else []
    done = subprocess.run(
        [*command, *resumed], cwd=project.path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    check_whole(project, items=400)


def _wait_until(is_met: Callable[[], bool], run: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while not is_met() and run.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
