"""--qbench-why: a red gate prints the command, or is explained; nothing else changes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.plugin.test_runs import BOTH_IN_CAMPAIGN

SUITE = """
import pytest

@pytest.mark.qbench(task="assessment")
def test_assessment(qbench_item, qbench_record): ...

def test_srcc(qbench_gate):
    qbench_gate("assessment.srcc", margin=0.01)
"""
OWN = """
import pytest
from pytest_qbench.doctor.faults import FaultyModel, halve_resolution

@pytest.fixture(scope="session")
def qbench_model(qbench_model):
    return FaultyModel(qbench_model, image=halve_resolution)
"""
ARGS = ("-q", "-p", "no:cacheprovider", "--qbench-datasets=mini_b", "--qbench-run-dir=run")


def run(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    pytester.makepyfile(test_suite=SUITE)
    return pytester.runpytest_subprocess(*ARGS, *args)


@BOTH_IN_CAMPAIGN
def test_a_red_gate_prints_the_command_or_explains_itself(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    args = ("--qbench-model=random:1", "--qbench-baseline=tiny", *workers)
    plain = run(pytester, *args)
    assert plain.ret == 1
    told = "\n".join(plain.outlines)
    assert "why: qbench why " in told
    assert told.rstrip().count("--qbench-why") >= 1
    assert not (pytester.path / "run" / "why.json").exists()
    found = pytester.runpytest_subprocess(
        *ARGS[:-1], "--qbench-run-dir=second", *args, "--qbench-why", "--qbench-html=p.html", "--qbench-md=p.md"
    )
    assert found.ret == 1
    out = "\n".join(found.outlines)
    assert "why: the first stage that departs is the decoding" in out
    assert "slices: " in out
    why = json.loads((pytester.path / "second" / "why.json").read_text())
    assert why["first"] == "decoding"
    assert why["images_measured"]
    assert len(why["items"]) == 16
    assert '<section id="why">' in Path(pytester.path / "p.html").read_text()
    assert "### Why" in Path(pytester.path / "p.md").read_text()


def test_a_run_that_cannot_tell_is_not_explained(pytester: pytest.Pytester) -> None:
    first = run(pytester, "--qbench-model=random:1", "--qbench-update-baseline")
    assert first.ret == 0
    second = pytester.runpytest_subprocess(
        *ARGS[:-1], "--qbench-run-dir=second", "--qbench-model=random:1", "--qbench-why"
    )
    assert second.ret == 0
    second.stdout.fnmatch_lines(["why: not explained: no gate regressed; *"])
    assert not (pytester.path / "second" / "why.json").exists()


@pytest.mark.campaign
def test_a_fault_in_front_of_a_local_model_is_seen_in_the_records_alone(pytester: pytest.Pytester) -> None:
    """The project's own model is gone at the end of the run; its spec is asked again, and answers as the baseline."""
    pytester.makeconftest(OWN)
    found = run(pytester, "--qbench-model=tiny", "--qbench-why")
    assert found.ret == 1
    why = json.loads((pytester.path / "run" / "why.json").read_text())
    assert why["first"] == "decoding"
