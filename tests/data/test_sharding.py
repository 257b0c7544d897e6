"""Check that every item is in exactly one part, and that only parts of one run can be merged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.cli import main
from pytest_qbench.data.sharding import take_shard
from pytest_qbench.items import Dataset
from tests.builders import picture
from tests.plugin.killing import Run, project, records


@given(st.integers(0, 60), st.integers(1, 9))
def test_parts_are_disjoint_and_complete(items: int, parts: int) -> None:
    dataset = Dataset("mini_a", "assessment", None, tuple(picture(i, 1.0) for i in range(items)), "here")
    found = [item.id for part in range(1, parts + 1) for item in take_shard([dataset], part, parts)[0].items]
    assert sorted(found) == sorted(item.id for item in dataset.items)


def test_parts_have_similar_sizes() -> None:
    dataset = Dataset("mini_a", "assessment", None, tuple(picture(i, 1.0) for i in range(4000)), "here")
    sizes = [len(take_shard([dataset], part, 4)[0].items) for part in range(1, 5)]
    assert all(850 < size < 1150 for size in sizes)  # five standard deviations of a binomial


SMALL = (
    "--qbench-limit=40",
    "--qbench-batch-size=1",
)  # the model's answers depend on the batch, so batches have one item


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards in `one` and `two`, and the same run unsplit in `run`."""
    folder = project(tmp_path_factory.mktemp("shards"))
    for name, args in (("one", ("--qbench-shard=1/2",)), ("two", ("--qbench-shard=2/2",)), ("run", ())):
        run = Run(folder, *SMALL, *args)
        assert run.wait() == 0, run.text
        assert ("NOT GATED: shard" in run.text) == (name != "run")
        if name != "run":
            (folder / "run").rename(folder / name)
    return folder


def test_merged_shards_equal_the_unsplit_run(shards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = shards / "joined"
    assert main(["merge", str(shards / "two"), str(shards / "one"), "--out", str(out)]) == 0
    assert "160 items of 2 shards: 160 scored" in capsys.readouterr().out
    assert sorted((out / "records.jsonl").read_text().splitlines()) == records(shards)
    found, whole = (json.loads((folder / "summary.json").read_text()) for folder in (out, shards / "run"))
    assert found["items"] == whole["items"]
    assert main(["report", str(out)]) == 0  # the merged folder is an ordinary run folder
    capsys.readouterr()
    control = found["fingerprint"].pop("judge_control")  # each shard ran the control set itself
    assert control["failed"] is None
    assert control["scores"].keys() == whole["fingerprint"].pop("judge_control")["scores"].keys()
    assert found["fingerprint"] == whole["fingerprint"]
    del whole["suites"]  # the shards may come from several checkouts
    assert (list(found), found["data"]) == (list(whole), whole["data"])

    def values(summary: dict[str, Any]) -> dict[tuple[Any, ...], Any]:
        return {(m["name"], m["dataset"], m["slice"]): m["value"] for m in summary["metrics"]}

    assert values(found) == pytest.approx(values(whole), nan_ok=True)
    # The merged run can be compared: no item differs from the unsplit run.
    assert main(["compare", str(shards / "run"), str(out), f"--json={shards / 'c.json'}"]) == 0
    gates = json.loads((shards / "c.json").read_text())["gates"]
    assert len(gates) == 3
    assert not any(gate["lost"] or gate["gained"] for gate in gates)


def _edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def _forget_conditions(path: Path) -> None:
    """Write records as earlier versions did, without the hash that would contradict an edited summary."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(line | {"conditions": None}) + "\n" for line in lines))


def test_a_shard_whose_summary_contradicts_its_records_is_refused(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        shutil.copytree(shards / name, tmp_path / name)
    _edit(tmp_path / "two" / "summary.json", lambda s: s["fingerprint"].update(blind=True))
    assert main(["merge", str(tmp_path / "one"), str(tmp_path / "two"), "--out", str(tmp_path / "out")]) == 4
    assert "was not made under the conditions that summary.json states" in capsys.readouterr().err


@pytest.mark.parametrize("names, change, message", [
    (("one",), None, "shards are missing: 2/2"),
    (("one", "one2"), None, "overlap: both are shard 1/2"),
    (("one", "run"), None, "is no shard"),
    (("one", "two"), lambda s: s["fingerprint"].update(blind=True), "blind: False -> True"),
    (("one", "two"), lambda s: s["fingerprint"]["model"].update(seed=7), "model: "),
    (("one", "two"), lambda s: s["fingerprint"]["selection"].update(limit=41), "selection: "),
    (("one", "two"), lambda s: s["fingerprint"]["selection"].update(shard=[2, 3]), "different splits"),
])  # fmt: skip
def test_shards_of_different_runs_are_refused(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], names: tuple[str, ...], change: Any, message: str) -> None:  # fmt: skip
    for name in names:
        shutil.copytree(shards / name.rstrip("2"), tmp_path / name)
    if change:
        _edit(tmp_path / names[1] / "summary.json", change)
        _forget_conditions(tmp_path / names[1] / "records.jsonl")
    assert main(["merge", *(str(tmp_path / name) for name in names), "--out", str(tmp_path / "out")]) == 4
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_shard_that_lacks_an_item_is_refused(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    for name in ("one", "two"):
        shutil.copytree(shards / name, tmp_path / name)
    path = tmp_path / "two" / "records.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    assert main(["merge", str(tmp_path / "one"), str(tmp_path / "two"), "--out", str(tmp_path / "out")]) == 4
    assert "1 items were not measured" in capsys.readouterr().err


def test_endpoint_costs_of_shards_add_up(shards: Path, tmp_path: Path) -> None:
    counts = dict.fromkeys(("requests", "retries", "cache_hits", "prompt_tokens", "completion_tokens"), 3)
    for name, cost in (("one", None), ("two", 0.5)):
        shutil.copytree(shards / name, tmp_path / name)
        usage = {"model": {**counts, "cost": cost}}
        _edit(tmp_path / name / "summary.json", lambda summary, usage=usage: summary.update(usage=usage))
    assert main(["merge", str(tmp_path / "one"), str(tmp_path / "two"), "--out", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "summary.json").read_text())["usage"]
    assert found == {"model": {**dict.fromkeys(counts, 6), "cost": 0.5}}


def test_a_used_folder_is_refused(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", str(shards / "one"), str(shards / "two"), "--out", str(tmp_path)]) == 4
    assert "exists; name a new folder" in capsys.readouterr().err
