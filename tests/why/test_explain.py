from __future__ import annotations

from pathlib import Path

import pytest

from pytest_qbench.runs.explanation import STAGES
from pytest_qbench.why.explain import NOTHING, compare_traces
from pytest_qbench.why.trace import Traces
from tests.why.faults import CASES, HARMLESS, Case, items, side

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
