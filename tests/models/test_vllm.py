"""The embedded model, served by vLLM, gives the records of the same model loaded locally. Run with ``make vllm``."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from pytest_qbench.data.load import open_datasets
from pytest_qbench.endpoints.event_loop import Endpoints
from pytest_qbench.models import parse_spec
from pytest_qbench.models.openai import OpenAIModel
from pytest_qbench.prompt_sets.read import read_prompt_set
from pytest_qbench.records import Record, read_records
from tools.vllm_server import ROOT, TINY, serving

pytestmark = pytest.mark.vllm


LONG = f"""
likelihood: "{{question}} {"Look at sharpness, noise, light, contrast and colour of the whole picture. " * 14}"
"""
"""Prompts of 300 to 400 tokens, still shorter than those of models with 576 tokens an image."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    # The cache of prefixes holds whole blocks. The default of 128 tokens is longer than the prompts of `tiny`.
    with serving(ROOT / ".vllm", 8178, TINY, "--block-size", "32") as address:
        yield address


def computed_tokens(url: str) -> float:
    """Return how many tokens of prompts the server has computed so far, by its own counter."""
    with urllib.request.urlopen(url.removesuffix("/v1") + "/metrics") as page:
        lines = page.read().decode().splitlines()
    counter = "vllm:request_prefill_kv_computed_tokens_sum"
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(counter))


def measured(folder: Path, model: str, *args: str) -> dict[tuple[str, str], Record]:
    command = [
        sys.executable, "-m", "pytest", "-q", f"--qbench-model={model}", "--qbench-no-gates", "--qbench-limit=60",
        f"--qbench-run-dir={folder}", *args, "suites/",
    ]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True)
    return {(r.task, r.item): r for r in read_records(folder / "records.jsonl")}


def test_a_question_takes_one_prefill(tmp_path: Path, url: str) -> None:
    """All tokens that a run of 200 questions has the server compute, over the tokens of one prompt a question."""
    (tmp_path / "long.yaml").write_text(LONG)
    before = computed_tokens(url)
    command = [
        sys.executable, "-m", "pytest", "-q", f"--qbench-model=openai:tiny@{url}", "--qbench-no-gates",
        "--qbench-limit=200", "--qbench-answer=likelihood", f"--qbench-prompts={tmp_path / 'long.yaml'}",
        "--qbench-no-cache", "--qbench-concurrency=16", f"--qbench-run-dir={tmp_path / 'run'}", "suites/test_perception.py",
    ]  # fmt: skip
    subprocess.run(command, cwd=ROOT, check=True)
    computed = computed_tokens(url) - before
    prompts = read_prompt_set(tmp_path / "long.yaml")
    measured_items = {r.item for r in read_records(tmp_path / "run" / "records.jsonl")}
    found = open_datasets("mini", rootdir=ROOT, names=["mini"], split="dev")
    items = [item for dataset in found for item in dataset.items if item.id in measured_items]
    assert len(items) == 200
    endpoints = Endpoints(timeout=60, concurrency=16, cache=None)
    try:
        model = OpenAIModel(parse_spec(f"openai:tiny@{url}"), {}, endpoints)
        images = [[Image.open(image.path) for image in item.images] for item in items]
        whole = [
            model.count_prompt(prompts.prompt(item, shown, "likelihood")).count
            for item, shown in zip(items, images, strict=True)
        ]
    finally:
        endpoints.close()
    prefills = computed / sum(whole)
    print(f"{prefills:.3f} prefills a question of {sum(whole) / len(whole):.0f} tokens")
    assert prefills <= 1.15


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
