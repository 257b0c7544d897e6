"""Each export is read back by the library or the schema of its format."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.cli import main
from pytest_qbench.exports.formats import FORMATS
from tests.exports.runs import HOSTILE, KINDS, make
from tests.readers import need, run_node

MISSING = ["llvisionqa/000001.jpg", "lldescribe/000002.jpg", "koniq/000003.jpg"]
EXPORT = "import sys; from pytest_qbench.cli import main\nfor argv in {commands!r}: assert main(argv) == 0\n"


def export_apart(*commands: list[str], then: str = "", args: list[str] | None = None) -> str:
    """Run exports in a process of its own, as some libraries leave threads and settings. Return the output of `then`."""
    script = EXPORT.format(commands=[["export", *command] for command in commands]) + "print()\n" + then
    done = subprocess.run(
        [sys.executable, "-c", script, *(args or [])], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.campaign  # `make campaign` installs what it needs
@pytest.mark.parametrize("kind", KINDS)
def test_ctrf(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "report.json"
    run = make(tmp_path / "run", kind)
    assert main(["export", str(run.folder), "--to=ctrf", f"--out={out}"]) == 0
    first = out.read_bytes()
    assert main(["export", str(run.folder), "--to=ctrf", f"--out={out}"]) == 0
    assert out.read_bytes() == first
    report = json.loads(first)
    results = report["results"]
    by_type: dict[str, list[dict[str, Any]]] = {}
    for test in results["tests"]:
        by_type.setdefault(test["type"], []).append(test)
    assert [test["status"] for test in by_type["run"]] == [
        {"passed": "passed", "cannot tell": "other"}.get(kind, "failed")
    ]
    assert results["environment"]["healthy"] == (kind == "passed")
    assert [test["name"] for test in by_type["item"]] == [item for _, item in run.items]
    statuses = [test["status"] for test in results["tests"]]
    summary = results["summary"]
    assert {key: summary[key] for key in ("passed", "failed", "skipped", "pending", "other")} == {
        key: statuses.count(key) for key in ("passed", "failed", "skipped", "pending", "other")
    }
    assert summary["tests"] == len(statuses) == 61 + len(run.gates)
    failed = [(test["name"], test["message"]) for test in by_type["item"] if test["status"] == "failed"]
    reason = "not measured: the run has no record of this item"
    wanted = [("llvisionqa/000000.jpg", HOSTILE), *((name, reason) for name in MISSING)]
    assert failed == (wanted if kind == "not measured" else [])
    library = need("ctrf")
    script = """
        import { readFileSync } from "node:fs";
        const ctrf = await import(process.argv[1] + "/dist/index.js");
        const report = JSON.parse(readFileSync(process.argv[2]));
        const broken = structuredClone(report); broken.results.tests[0].status = "green";
        console.log(JSON.stringify([ctrf.validate(report), ctrf.validate(broken).valid]));"""
    assert run_node(script, str(library), str(out)) == [{"valid": True, "errors": []}, False]


@pytest.mark.parametrize("kind", ["passed", "not measured"])
def test_otlp(tmp_path: Path, kind: str) -> None:
    pytest.importorskip("opentelemetry.proto")
    from google.protobuf.json_format import Parse
    from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData

    run = make(tmp_path / "run", kind)
    assert main(["export", str(run.folder), "--to=otlp", f"--out={tmp_path / 'm.jsonl'}"]) == 0
    (line,) = (tmp_path / "m.jsonl").read_text().splitlines()
    (resource,) = Parse(line, MetricsData()).resource_metrics  # unknown fields raise
    about = {a.key: a.value.string_value for a in resource.resource.attributes}
    assert about["qbench.outcome"] == kind
    assert about["qbench.verdict"] == run.summary.verdict
    (scope,) = resource.scope_metrics
    metrics = {m.name: m for m in scope.metrics}
    (green,) = metrics["qbench.green"].gauge.data_points
    assert green.as_double == (kind == "passed")
    assert green.start_time_unix_nano == 1_767_225_600_000_000_000  # 2026-01-01, as `date` computes it
    assert green.time_unix_nano - green.start_time_unix_nano == 1_000_000_000
    points = [(m, p) for m in scope.metrics for p in m.gauge.data_points]
    assert all(p.WhichOneof("value") or p.flags == 1 for _, p in points)
    (missing,) = metrics["qbench.items.missing"].gauge.data_points
    if kind == "not measured":
        assert missing.as_double == 3
        assert json.loads(about["qbench.missing"])[0] == "perception: llvisionqa/000001.jpg"
        (undefined,) = metrics["qbench.assessment.srcc"].gauge.data_points
        assert (undefined.flags, undefined.WhichOneof("value")) == (1, None)
        (delta,) = metrics["qbench.perception.accuracy.delta"].gauge.data_points
        assert delta.as_double == -0.25
    else:
        assert missing.as_double == 0
        values = {m.dataset: m.value for m in run.of("assessment.srcc") if m.dataset}
        found = {
            next(a.value.string_value for a in p.attributes if a.key == "dataset"): p.as_double
            for p in metrics["qbench.assessment.srcc"].gauge.data_points
        }
        assert values.items() <= found.items()


def test_parquet(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    run = make(tmp_path / "run", "not measured")
    assert main(["export", str(run.folder), "--to=parquet", f"--out={tmp_path / 'r.parquet'}"]) == 0
    found = pq.read_table(tmp_path / "r.parquet")
    about = {key.decode(): value.decode() for key, value in found.schema.metadata.items()}
    assert about["qbench.outcome"] == "not measured"
    assert json.loads(about["qbench.summary"])["verdict"] == run.summary.verdict
    rows = found.to_pylist()
    assert [(row["task"], row["item"]) for row in rows] == list(run.items)
    assert [row["item"] for row in rows if row["status"] == "missing"] == MISSING
    for row in rows:
        record = run.records.get((row["task"], row["item"]))
        if record is not None:
            assert (row["status"], row["score"], row["choice"], row["error"]) == (
                record.status, record.score, record.choice, record.error,
            )  # fmt: skip
            assert row["logprobs"] is None or json.loads(row["logprobs"]) == record.logprobs
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


@pytest.mark.campaign  # `make campaign` installs what it needs
@pytest.mark.parametrize("kind", ["passed", "not measured"])
def test_every_eval_ever(tmp_path: Path, kind: str) -> None:
    run = make(tmp_path / "run", kind)
    for _ in range(2):  # a second export takes the place of the first
        assert main(["export", str(run.folder), "--to=every-eval-ever", f"--out={tmp_path}"]) == 0
    aggregate, samples = sorted((tmp_path / "data").rglob("*.json*"))
    content, lines = json.loads(aggregate.read_text()), samples.read_text().splitlines()
    details = content["source_metadata"]["additional_details"]
    assert details["outcome"] == kind
    assert len(lines) == len(run.records)
    scores = {r["evaluation_result_id"].partition("#")[2]: r["score_details"] for r in content["evaluation_results"]}
    if kind == "not measured":
        assert json.loads(details["missing"])[0] == "perception: llvisionqa/000001.jpg"
        assert json.loads(details["undefined"]) == ["assessment.srcc/koniq"]
        (score,) = scores.values()
        assert score["details"]["items"] == "partial: 3 missing, 1 in error of 60"
        assert [json.loads(line)["sample_id"] for line in lines if json.loads(line)["error"]] == [
            "llvisionqa/000000.jpg"
        ]
    else:
        assert {score["details"]["items"] for score in scores.values()} == {"all measured"}
        assert scores["perception.accuracy/llvisionqa"]["score"] == run.of("perception.accuracy")[0].value
    library = need("every_eval_ever")
    done = subprocess.run(
        [sys.executable, "-m", "every_eval_ever", "validate", *(str(p.relative_to(tmp_path)) for p in (aggregate, samples))],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(library.parent)}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    schema = json.loads((library / "schemas" / "eval.schema.json").read_text())
    of_lines = json.loads((library / "schemas" / "instance_level_eval.schema.json").read_text())
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(content, schema)
    for line in lines:
        jsonschema.validate(json.loads(line), of_lines)


READ_MLFLOW = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(tracking_uri=sys.argv[1])
experiment = client.get_experiment_by_name("q-bench").experiment_id
print(json.dumps({run.info.run_name: {
    "status": run.info.status, "metrics": run.data.metrics, "tags": run.data.tags, "params": run.data.params,
    "start": run.info.start_time, "end": run.info.end_time,
    "artifacts": [file.path for file in client.list_artifacts(run.info.run_id)],
} for run in client.search_runs([experiment])}))
"""


def test_mlflow(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    commands = [
        [str(make(tmp_path / kind, kind).folder), "--to=mlflow", f"--out={address}"]
        for kind in ("passed", "not measured")
    ]
    found = json.loads(export_apart(*commands, then=READ_MLFLOW, args=[address]))
    whole, part = found["passed"], found["not measured"]
    assert (whole["status"], part["status"]) == ("FINISHED", "FAILED")
    assert (whole["tags"]["qbench.outcome"], part["tags"]["qbench.outcome"]) == ("passed", "not measured")
    assert json.loads(part["tags"]["qbench.missing"])[0] == "perception: llvisionqa/000001.jpg"
    assert json.loads(part["tags"]["qbench.undefined"]) == ["assessment.srcc/koniq"]
    assert part["metrics"]["perception.accuracy/llvisionqa/type:what.delta"] == -0.25
    assert "assessment.srcc/koniq" not in part["metrics"]
    assert whole["params"]["model.name"] == "built"
    assert whole["end"] - whole["start"] == 1000
    assert sorted(whole["artifacts"]) == ["report.md", "state.json", "summary.json"]


def wandb_records(path: Path) -> Iterator[Any]:
    """Yield the records of an offline run: W&B's own messages in LevelDB's log format, as `wandb sync` reads them."""
    from wandb.proto import wandb_internal_pb2

    data, position, whole = path.read_bytes(), 7, b""
    assert data[:4] == b":W&B"
    while position + 7 <= len(data):
        if 32768 - position % 32768 < 7:  # the rest of a block holds no header
            position += 32768 - position % 32768
            continue
        size, kind = int.from_bytes(data[position + 4 : position + 6], "little"), data[position + 6]
        if kind == 0:
            return
        whole += data[position + 7 : position + 7 + size]
        position += 7 + size
        if kind in (1, 4):  # the only or the last part of a record
            record = wandb_internal_pb2.Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


def test_wandb(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    kinds = ("passed", "not measured")
    runs = [make(tmp_path / kind, kind) for kind in kinds]
    export_apart(*([str(run.folder), "--to=wandb", f"--out={run.folder}"] for run in runs))
    for kind, run in zip(kinds, runs, strict=True):
        (path,) = (run.folder / "wandb").glob("offline-run-*/*.wandb")
        check_wandb(path, kind)


def check_wandb(path: Path, kind: str) -> None:
    summary: dict[str, Any] = {}
    exit_code, config = None, {}
    for record in wandb_records(path):
        if record.HasField("summary"):
            summary |= {u.key or "/".join(u.nested_key): json.loads(u.value_json) for u in record.summary.update}
        if record.HasField("run"):
            config |= {u.key: json.loads(u.value_json) for u in record.run.config.update}
            assert list(record.run.tags) == [kind]
        if record.HasField("exit"):
            exit_code = record.exit.exit_code
    assert exit_code == (kind != "passed")
    assert summary["qbench.outcome"] == kind
    assert config["model.name"] == "built"
    if kind == "not measured":
        assert json.loads(summary["qbench.missing"])[0] == "perception: llvisionqa/000001.jpg"
        assert summary["perception.accuracy/llvisionqa/type=what"] == 0.5


@pytest.mark.parametrize("to", [name for name, one in FORMATS.items() if one.library])
def test_a_missing_library_is_named_with_its_extra(
    tmp_path: Path, to: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, chosen = make(tmp_path / "run", "passed"), FORMATS[to]
    monkeypatch.setitem(sys.modules, str(chosen.library), None)
    assert main(["export", str(run.folder), f"--to={to}", f"--out={tmp_path / 'x'}"]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{chosen.library} is not installed; pip install 'pytest-qbench[{chosen.extra}]'" in line


@pytest.mark.parametrize("to", ["ctrf", "otlp", "parquet", "every-eval-ever"])
def test_a_place_that_cannot_be_written(tmp_path: Path, to: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = make(tmp_path / "run", "passed")
    (tmp_path / "file").write_text("")
    assert main(["export", str(run.folder), f"--to={to}", f"--out={tmp_path / 'file' / 'x'}"]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be written" in line


def test_an_unfinished_run_is_not_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make(tmp_path / "run", "passed")
    (run.folder / "summary.json").unlink()
    assert main(["export", str(run.folder), "--to=ctrf", f"--out={tmp_path / 'x'}"]) == 4
    assert "has no summary.json; name the folder of a finished run" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
