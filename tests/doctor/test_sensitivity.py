"""The gates detect known faults of the embedded model and do not fail harmless changes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pytest_qbench.doctor.faults import FAULTS, FaultyModel, halve_resolution, inject, swap_channels
from pytest_qbench.doctor.sensitivity import SensitivityResult
from pytest_qbench.gates.evaluate import GateResult
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.models.specs import aliases
from pytest_qbench.prompts import Prompt


def row(delta: float, mde: float | None = 0.02, verdict: str = "inconclusive") -> Metric:
    return Metric(
        "perception.accuracy", "mini", None, None, 0.8, 450, delta=delta, margin=0.01, mde=mde, verdict=verdict
    )


def result(
    *rows: Metric, verdict: str, moved: bool = False, harmless: bool = False, drifts: bool = False,
    incomparable: bool = False,
) -> str:  # fmt: skip
    gate = GateResult("perception.accuracy", verdict, "", rows, incomparable=incomparable)  # type: ignore[arg-type]
    found = ((replace(rows[0], name="perception.drift", value=0.1), moved),)
    return SensitivityResult("x", harmless, drifts, (gate,), found).verdict


def test_the_verdict_on_a_fault_depends_on_its_size_and_the_mde() -> None:
    assert result(row(-0.05, verdict="regressed"), verdict="regressed") == "caught"
    assert result(row(-0.05), verdict="inconclusive") == "MISSED"  # beyond margin and MDE
    assert result(row(-0.015), verdict="inconclusive") == "too small"
    assert result(row(-0.015), verdict="inconclusive", moved=True) == "drift"
    assert result(row(-0.015), verdict="inconclusive", drifts=True) == "MISSED"
    assert result(row(-0.05, verdict="regressed"), row(-0.05), verdict="regressed") == "MISSED"  # one of two datasets
    assert result(row(0.0), verdict="invalid") == "caught"  # the replies were refused
    assert result(row(0.0), verdict="invalid", incomparable=True) == "MISSED"
    assert result(row(0.0), verdict="pass", harmless=True) == "green"
    assert result(row(0.0), verdict="pass", harmless=True, moved=True) == "FALSE ALARM"
    assert result(row(-0.05), verdict="inconclusive", harmless=True) == "green"  # an open gate is no alarm
    assert result(row(-0.05, verdict="regressed"), verdict="regressed", harmless=True) == "FALSE ALARM"


def test_image_faults_modify_the_image_as_named() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    assert (np.asarray(swap_channels(image)) == pixels[:, :, ::-1]).all()
    assert halve_resolution(image).size == image.size
    assert np.asarray(halve_resolution(image)).std() < pixels.std()


class Fixed:
    """Score every option by its text and reply with the maximum length."""

    name, needs_images = "fixed", False

    def describe(self) -> dict[str, Any]:
        return {}

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        return ["x" * max_new_tokens for _ in prompts]

    def option_loglikelihoods(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
        return [[-float(ord(option)) for option in own] for own in options]

    def next_token_logprobs(self, prompts: Sequence[Prompt], words: Sequence[str]) -> list[list[float]]:
        raise NotImplementedError

    def close(self) -> None: ...


def test_a_wrapper_changes_inputs_and_outputs() -> None:
    prompts = [Prompt(str(i), "q") for i in range(40)]
    options = [("a", "b", "c")] * 40
    straight, shuffled = (
        m.option_loglikelihoods(prompts, options) for m in (Fixed(), FaultyModel(Fixed(), shuffles=True))
    )
    assert [sorted(r) for r in straight] == [sorted(r) for r in shuffled]  # the same values for other options
    assert 20 < sum(a != b for a, b in zip(straight, shuffled, strict=True)) < 40
    assert FaultyModel(Fixed(), most_tokens=1).generate(prompts[:1], 32) == ["x"]
    assert FaultyModel(Fixed(), shuffles=True).generate(prompts[:1], 3) == ["xxx"]


@pytest.mark.parametrize("fault", [f for f in FAULTS if f.edit], ids=lambda f: f.name)
def test_an_edited_copy_differs_and_the_original_does_not(tmp_path: Path, fault) -> None:  # type: ignore[no-untyped-def]
    original = Path(aliases()["tiny"].target)
    before = {file.name: file.read_bytes() for file in original.iterdir()}
    copy = inject(fault, original, tmp_path)
    assert {file.name: file.read_bytes() for file in original.iterdir()} == before
    changed = [name for name, content in before.items() if (copy / name).read_bytes() != content]
    assert len(changed) == 1


@pytest.mark.campaign
def test_every_detectable_fault_is_caught_and_every_harmless_change_passes() -> None:
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # threads of several processes would block one another
    command = [
        sys.executable,
        "-c",
        "import sys; from pytest_qbench.cli import main; sys.exit(main())",
        "doctor",
        "--faults",
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=one_thread, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 1 + 3 + len(FAULTS) + 1
    found = {line[:30].strip(): line.rsplit("  ", 1)[-1].strip() for line in lines[1:-1]}
    assert [found[name] for name in ("batch size 5", "items in reverse", "two processes")] == ["green"] * 3
    for name in (
        "channels swapped (BGR)",
        "normalisation dropped",
        "half the resolution",
        "vision tower in 4 bits",
        "options shuffled, not the key",
    ):
        assert found[name] == "caught"
    assert found["weights in 4 bits"] in ("drift", "caught")
    assert "MOVED" in next(line for line in lines if line.startswith("weights in 4 bits"))
