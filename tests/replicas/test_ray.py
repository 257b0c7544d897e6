"""Replicas on a Ray cluster: after any loss, records equal those of a local run, and no process remains."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugin.killing import counts, records, started_batches
from tests.replicas.clusters import TwoNodes, processes_with, run, run_to_end, suites, two_nodes

pytest.importorskip("ray")
pytestmark = pytest.mark.xdist_group("ray")  # one cluster after another
LIMIT = "--qbench-limit=60"
TASKS = ("perception", "assessment")
ITEMS = 60 + 2 * 60
KILLER = "koala-02.webp"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    with two_nodes(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = suites(tmp_path_factory.mktemp("local"), *TASKS)
    alone = run(folder, LIMIT)
    assert alone.wait() == 0, alone.text
    return folder


def summary(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "run" / "summary.json").read_text())
    return found


@pytest.mark.campaign
def test_two_nodes_give_the_records_and_fingerprint_of_a_local_run(
    nodes: TwoNodes, local: Path, tmp_path: Path
) -> None:
    folder = suites(tmp_path, *TASKS)
    spread = run(folder, "-v", LIMIT, f"--qbench-ray={nodes.address}")
    assert spread.wait() == 0, spread.text
    assert records(folder) == records(local)
    assert sorted(started_batches(folder)) == sorted(started_batches(local))
    assert summary(folder)["fingerprint"] == summary(local)["fingerprint"]
    assert summary(folder)["ray"] == {"replicas": 2, "nodes": 2, "started": False, "deaths": 0}
    assert "ray: 2 replicas on 2 nodes of an existing cluster" in spread.text


@pytest.mark.campaign
def test_a_lost_node_loses_no_item(nodes: TwoNodes, local: Path, tmp_path: Path) -> None:
    folder, rng = suites(tmp_path, *TASKS), random.Random(3)
    nodes.instruct("pause", "0.05")
    try:
        spread = run(folder, "-v", LIMIT, "--qbench-ray=auto", RAY_TMPDIR=nodes.temporary)
        least = rng.randrange(8, ITEMS // 3)
        assert spread.wait_until(lambda: spread.lines() >= least), spread.text
        nodes.lose_second()
        assert spread.lines() < ITEMS
        assert spread.wait() == 0, spread.text
    finally:
        nodes.instruct("pause", None)
        nodes.replace_second()
    assert records(folder) == records(local)
    assert counts(folder)["scored"] + counts(folder)["unparsed"] == ITEMS
    assert summary(folder)["fingerprint"] == summary(local)["fingerprint"]
    assert summary(folder)["ray"] == {"replicas": 2, "nodes": 2, "started": False, "deaths": 1}
    assert "; processes died 1 times" in spread.text


@pytest.mark.campaign
def test_an_item_that_kills_its_replica_is_isolated_and_named(nodes: TwoNodes, local: Path, tmp_path: Path) -> None:
    folder = suites(tmp_path, "assessment")
    nodes.instruct("killer", next(name for name in names(local) if name.endswith(KILLER)))
    try:
        spread = run(folder, LIMIT, "--qbench-datasets=mini_a", f"--qbench-ray={nodes.address}")
        assert spread.wait() == 1, spread.text
    finally:
        nodes.instruct("killer", None)
    assert counts(folder) == {"total": 60, "scored": 59, "unparsed": 0, "errors": 1, "cut": 0}
    (dead,) = (r for r in map(json.loads, records(folder)) if r["status"] == "error")
    assert (
        dead["error"] == f"WorkerDied: the process died 4 times while it measured {dead['item']}, the last time alone"
    )
    sizes = [len(batch) for batch in started_batches(folder) if ("assessment", dead["item"]) in batch]
    assert sizes == [4, 2, 1]  # unchanged the first time, then halved
    (batch,) = (batch for batch in started_batches(folder) if len(batch) == 4 and ("assessment", dead["item"]) in batch)
    apart = {item for _, item in batch}
    others = [line for line in records(local) if '"mini_a"' in line and json.loads(line)["item"] not in apart]
    assert [line for line in records(folder) if json.loads(line)["item"] not in apart] == others


def names(folder: Path) -> list[str]:
    """Return the names of the images of a run's items."""
    lines = (folder / "run" / "items.jsonl").read_text().splitlines()
    return [name for line in lines for name in json.loads(line).get("images", ())]


def test_a_cluster_started_by_a_run_stops_with_the_run(tmp_path: Path) -> None:
    folder, mark = suites(tmp_path, "assessment"), uuid.uuid4().hex
    # Ray also stops the cluster when the process exits, which may be long after the session.
    (folder / "conftest.py").write_text(
        "import pathlib, ray\n"
        "def pytest_unconfigure():\n"
        "    pathlib.Path('connected').write_text(str(ray.is_initialized()))\n"
    )
    done = run_to_end(
        folder, "-v", "--qbench-model=tiny", "--qbench-limit=8", "--qbench-ray=auto", "--qbench-run-dir=run",
        RAY_TMPDIR=str(tmp_path), QBENCH_TEST_MARK=mark,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary(folder)["ray"] == {"replicas": 1, "nodes": 1, "started": True, "deaths": 0}
    assert "ray: 1 replicas on 1 nodes of a cluster started for this run" in done.stdout
    assert done.stderr == ""
    assert (folder / "connected").read_text() == "False"
    end = time.monotonic() + 10
    while (left := processes_with(mark)) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == []


def usage_error(done: object) -> str:
    """Return the single line of a run that ended with a usage error."""
    assert done.returncode == 4, done.stdout + done.stderr  # type: ignore[attr-defined]
    (line,) = (line for line in done.stderr.splitlines() if line)  # type: ignore[attr-defined]
    assert line.startswith("ERROR: ")
    return str(line)


@pytest.mark.parametrize(
    "args, expected",
    [
        (("--qbench-model=tiny", "--qbench-ray=nowhere"), "write HOST:PORT"),
        (("--qbench-model=tiny", "--qbench-ray=auto", "-n2"), "drop -n"),
        (("--qbench-model=random:0", "--qbench-ray=auto"), "random:0 cannot be replicated"),
        (("--qbench-model=replay:.", "--qbench-ray=auto"), "cannot be replicated"),
        (("--qbench-model=openai:m@http://localhost:1/v1", "--qbench-ray=auto"), "cannot be replicated"),
        (("--qbench-ray=auto",), "needs --qbench-model"),
        (("--qbench-model=tiny", "--qbench-ray=auto", "--qbench-model-arg=device=cuda:1"), "use device=cuda"),
    ],
)
def test_models_that_cannot_be_replicated_are_usage_errors(
    tmp_path: Path, args: tuple[str, ...], expected: str
) -> None:
    assert expected in usage_error(run_to_end(suites(tmp_path, "assessment"), *args))


def test_without_ray_the_error_says_what_to_install(tmp_path: Path) -> None:
    (suites(tmp_path, "assessment") / "conftest.py").write_text("import sys\nsys.modules['ray'] = None\n")
    assert "pip install 'pytest-qbench[ray]'" in usage_error(
        run_to_end(tmp_path, "--qbench-model=tiny", "--qbench-ray=auto")
    )


def test_an_address_without_a_cluster_is_a_usage_error(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    folder = suites(tmp_path, "assessment")
    line = usage_error(run_to_end(folder, "--qbench-model=tiny", "--qbench-limit=4", f"--qbench-ray={address}"))
    assert f"--qbench-ray={address}: no Ray cluster answers (Connection refused)" in line
    line = usage_error(
        run_to_end(folder, "--qbench-model=tiny", "--qbench-limit=4", "--qbench-ray=auto", RAY_ADDRESS=address)
    )
    assert f"RAY_ADDRESS={address}" in line


def test_a_model_from_a_fixture_is_a_usage_error(tmp_path: Path) -> None:
    own = "import pytest\nfrom pytest_qbench.models.random import RandomModel\n@pytest.fixture(scope='session')\n"
    own += "def qbench_model():\n    model = RandomModel(0)\n    model.name = 'tiny'\n    return model\n"
    (suites(tmp_path, "assessment") / "conftest.py").write_text(own)
    done = run_to_end(
        tmp_path, "--qbench-model=tiny", "--qbench-limit=4", "--qbench-ray=auto", RAY_TMPDIR=str(tmp_path)
    )
    assert "own qbench_model stays in this process" in usage_error(done)


@pytest.mark.campaign
def test_a_killed_or_interrupted_run_leaves_no_process_and_can_be_resumed(local: Path, tmp_path: Path) -> None:
    folder = suites(tmp_path, *TASKS)
    for stop in (signal.SIGKILL, signal.SIGINT):
        mark = uuid.uuid4().hex
        environment = {"RAY_TMPDIR": str(tmp_path), "QBENCH_TEST_MARK": mark}
        spread = run(folder, LIMIT, "--qbench-ray=auto", "--qbench-resume", **environment)
        before = spread.lines()
        assert spread.wait_until(lambda before=before, spread=spread: spread.lines() >= before + 12), spread.text
        os.kill(spread.process.pid, stop)
        assert spread.wait() == (2 if stop == signal.SIGINT else -stop), spread.text
        # Two of Ray's processes check only once a minute whether their node is alive. They hold no resources.
        agents = ("ray::DashboardAgent", "ray::RuntimeEnvAgent") if stop == signal.SIGKILL else ()
        end = time.monotonic() + 30
        while (left := [p for p in processes_with(mark) if not p.startswith(agents)]) and time.monotonic() < end:
            time.sleep(0.1)
        assert left == []
        assert spread.lines() < ITEMS
    last = run(folder, LIMIT, "--qbench-ray=auto", "--qbench-resume", **environment)
    assert last.wait() == 0, last.text
    done = [json.loads(line) for line in records(folder)]
    assert [(r["task"], r["item"]) for r in done] == [(r["task"], r["item"]) for r in map(json.loads, records(local))]
    twice = sum(times - 1 for times in Counter(key for batch in started_batches(folder) for key in batch).values())
    assert twice <= 2 * 4  # one batch for each of the two stops


@pytest.mark.campaign
def test_a_server_that_is_no_cluster_is_a_usage_error(tmp_path: Path) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        done = run_to_end(suites(tmp_path, "assessment"), "--qbench-model=tiny", f"--qbench-ray={address}")
    assert "does not answer as a Ray cluster within 30 seconds" in usage_error(done)
