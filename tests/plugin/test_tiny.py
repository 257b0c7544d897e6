"""The embedded model passes its gates, and copies with known faults fail them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import pytest_qbench
from tests.plugin.test_runs import project, summary

__all__ = ["project"]

TINY = Path(pytest_qbench.__file__).parent / "tiny"


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use one thread, since tests run in parallel and more threads than cores slow each other down."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def run(project: pytest.Pytester, *args: str, model: str = "tiny") -> tuple[int, dict[str, Any], str]:
    result = project.runpytest_subprocess(f"--qbench-model={model}", "--qbench-json=s.json", "-q", *args, timeout=600)
    return int(result.ret), summary(project), result.stdout.str()


def value(found: dict[str, Any], name: str, dataset: str, slice_: str | None = None) -> float:
    for m in found["metrics"]:
        if (m["name"], m["dataset"], m["slice"]) == (name, dataset, slice_):
            return float(m["value"])
    raise KeyError(name)


def assert_same(project: pytest.Pytester, found: dict[str, Any]) -> None:
    """Check that the run has the same result as the stored baseline for every item."""
    gates = {gate["name"]: gate for gate in found["gates"]}
    # Scores and descriptions are too few to exclude drops as large as the margins.
    assert {gates[name]["verdict"] for name in ("assessment.srcc", "description.sum")} <= {"pass", "inconclusive"}
    assert gates["perception.accuracy"]["verdict"] == "pass"
    (row,) = gates["perception.accuracy"]["rows"]
    assert row["delta_ci"][0] >= -0.05
    stored = {}
    for file in (Path(pytest_qbench.__file__).parents[1] / "baselines" / "tiny").glob("*.jsonl"):
        stored.update({(r["task"], r["item"]): r for r in map(json.loads, file.read_text().splitlines())})
    (folder,) = (project.path / ".qbench" / "runs").iterdir()
    records = [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]
    assert len(records) == len(stored) == 810
    for record in records:
        old = stored[record["task"], record["item"]]
        assert record["choice"] == old.get("choice")
        assert record["response"] == old.get("response")
        assert record["score"] == pytest.approx(old.get("score"), abs=1e-4)


def test_two_workers_with_other_batches_pass(project: pytest.Pytester) -> None:
    status, found, output = run(project, "-n2", "--qbench-batch-size=5")
    assert status == 0, output
    assert_same(project, found)


def test_tiny_equals_its_baseline_and_is_good_enough_to_detect_faults(project: pytest.Pytester) -> None:
    status, seeing, output = run(project)
    assert status == 0, output
    assert_same(project, seeing)
    accuracy = value(seeing, "perception.accuracy", "mini")
    assert accuracy >= 0.80
    assert value(seeing, "perception.accuracy", "mini", "type=yes_or_no") >= 0.78
    assert value(seeing, "assessment.srcc", "mini_a") >= 0.70
    assert value(seeing, "assessment.srcc", "mini_b") >= 0.70
    assert_descriptions_beat_shuffled_golden_texts(project)
    status, blind, output = run(project, "--qbench-blind", "test_perception.py")
    assert status == 0
    assert accuracy - value(blind, "perception.accuracy", "mini") >= 0.35
    assert "NOT GATED" in output


def assert_descriptions_beat_shuffled_golden_texts(project: pytest.Pytester) -> None:
    from pytest_qbench.data.load import open_datasets
    from pytest_qbench.items import DIMENSIONS
    from pytest_qbench.judges.load import make_judge

    (file,) = project.path.glob(".qbench/runs/*/records.jsonl")
    records = [r for r in map(json.loads, file.read_text().splitlines()) if r["task"] == "description"]
    items = {i.id: i for d in open_datasets("mini", rootdir=Path(), names=None, split="dev") for i in d.items}
    texts = [r["response"] for r in records]
    golden = [items[r["item"]].golden for r in records]

    def total(golden: list[tuple[str, ...]]) -> float:
        verdicts = make_judge("lexicon").judge(texts, golden, 1)
        return sum(v[d][0] or 0 for v in verdicts for d in DIMENSIONS) / len(texts)

    assert total(golden) > total(golden[1:] + golden[:1]) + 0.3


@pytest.fixture
def copy(project: pytest.Pytester) -> Path:
    folder = project.path / "copy"
    shutil.copytree(TINY, folder)
    return folder


def swap_channels(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    (name,) = (n for n in weights if n.endswith("patch_embedding.weight"))
    weights[name] = weights[name].flip(1).contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def drop_normalisation(folder: Path) -> None:
    path = folder / "processor_config.json"
    config = json.loads(path.read_text())
    config["image_processor"]["do_normalize"] = False
    path.write_text(json.dumps(config))


@pytest.mark.campaign
@pytest.mark.parametrize("fault", [swap_channels, drop_normalisation])
def test_a_faulty_copy_fails(project: pytest.Pytester, copy: Path, fault: Any) -> None:
    fault(copy)
    status, found, output = run(project, "--qbench-answer=likelihood", "--qbench-baseline=tiny", model="./copy")
    assert status == 1, output
    assert "regressed" in {g["verdict"] for g in found["gates"]}
    assert "invalid" not in {g["verdict"] for g in found["gates"]}


def test_half_the_resolution_fails(project: pytest.Pytester) -> None:
    project.makeconftest(
        """
        import pytest
        from dataclasses import replace

        @pytest.fixture(scope="session")
        def qbench_model(qbench_model):
            def half(prompts):
                return [replace(p, images=tuple(i.resize((64, 64)).resize((128, 128)) for i in p.images)) for p in prompts]
            for name in ("generate", "option_loglikelihoods", "next_token_logprobs"):
                ask = getattr(qbench_model, name)
                setattr(qbench_model, name, lambda prompts, *rest, ask=ask: ask(half(prompts), *rest))
            return qbench_model
        """
    )
    status, found, output = run(project, "test_perception.py", "--qbench-baseline=tiny")
    assert status == 1, output
    assert "regressed" in {g["verdict"] for g in found["gates"]}
