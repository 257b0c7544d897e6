from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pytest_qbench.models.base import Model
from pytest_qbench.runs.explanation import EXTRACTION, STAGES
from pytest_qbench.runs.explanation import HARMLESS as WITHOUT_EFFECT
from pytest_qbench.why.explain import NOTHING, compare_traces
from pytest_qbench.why.trace import Traces
from tests.why.faults import CASES, HARMLESS, SETTINGS, Case, items, side

COUNT = 6
QUICK = ("channels swapped", "chat template", "vision weights", "language weights")


@pytest.fixture(scope="module")
def reference(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Traces:
    return side("tiny").trace(items(tmp_path_factory.mktemp("images"), COUNT), noise=True)


def named(reference: Traces, case: Case, folder: Path) -> None:
    found = compare_traces(reference, case.side(folder).trace(case.items(folder, COUNT), noise=False))
    assert found.first == case.stage, found.verdict
    assert found.also == ()
    assert [stage.name for stage in found.stages] == list(STAGES)
    if case.stage is None:
        assert found.verdict.startswith(NOTHING)
        assert not found.causes
    else:
        assert case.says in " ".join(found.causes)
        assert case.stage in found.verdict


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.campaign) for name in CASES]
)
def test_a_single_fault_is_named_first(name: str, reference: Traces, tmp_path: Path) -> None:
    named(reference, CASES[name], tmp_path)


@pytest.mark.parametrize(
    "name", [*list(HARMLESS)[:1], *(pytest.param(name, marks=pytest.mark.campaign) for name in list(HARMLESS)[1:])]
)
def test_a_harmless_change_is_no_departure(name: str, reference: Traces, tmp_path: Path) -> None:
    named(reference, HARMLESS[name], tmp_path)


@pytest.mark.campaign
def test_an_extraction_that_reads_replies_otherwise_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twelfth fault: B reads the first option out of every reply."""

    def load(model: Model) -> Model:
        monkeypatch.setattr(
            "pytest_qbench.scoring.score.extract_answer", lambda reply, options: SimpleNamespace(choice=options[0])
        )
        return model

    asked = [item for item in items(tmp_path, 12) if item.task == "perception"]
    generate = replace(SETTINGS, answer="generate")
    reference = replace(side("tiny"), prompts=generate).trace(asked, noise=True)
    found = compare_traces(reference, replace(side("tiny", load), prompts=generate).trace(asked, noise=False))
    assert found.first == EXTRACTION, found.verdict
    assert found.stage("head").state == "same"


def test_only_what_departs_beyond_its_noise_is_named(reference: Traces) -> None:
    """A file that differs without effect; a part that differs by nine and by eleven times the noise."""
    key, trace = next(iter(reference.by_item.items()))
    part = "model.language_model.layers.1"
    only = replace(reference, by_item={key: trace})
    other = replace(only, by_item={key: replace(trace, content="other bytes")})
    assert compare_traces(only, other).first is None
    assert compare_traces(only, other).stage("file bytes").state == WITHOUT_EFFECT
    noisy = replace(only, noise=replace(only.noise, parts={part: 1e-3}))
    for times, first in ((9, None), (11, "language model")):
        values = trace.parts[part] * (1 + times * 1e-3)
        changed = replace(trace, parts={**trace.parts, part: values.astype(np.float32)})
        assert compare_traces(noisy, replace(only, by_item={key: changed})).first == first
        assert compare_traces(only, replace(only, by_item={key: changed})).first == "language model"
    broken = replace(trace, parts={**trace.parts, part: np.full_like(trace.parts[part], np.nan)})
    assert compare_traces(noisy, replace(only, by_item={key: broken})).first == "language model"
