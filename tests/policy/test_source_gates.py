"""Gates are read out of test files: those that pytest would run, with their bounds."""

from __future__ import annotations

import pytest

from pytest_qbench.policy.source_gates import SourceGate, read_gates


def targets(source: str, path: str = "test_a.py") -> list[tuple[str, tuple[tuple[str, float | None], ...]]]:
    return [(" ".join(filter(None, gate.target)), gate.bounds) for gate in read_gates(path, source)]


def test_a_gate_is_read_with_its_place_and_bounds() -> None:
    source = """
def test_accuracy(qbench_gate):
    qbench_gate("perception.accuracy", margin=0.01, budget=0.02, dataset="k*", slice="type=how", each_dataset=True)
    qbench_gate(name="assessment.srcc", minimum=-0.5, maximum=1)
"""
    assert read_gates("test_a.py", source) == [
        SourceGate(
            "test_a.py",
            "test_accuracy",
            "perception.accuracy",
            "k*",
            "type=how",
            True,
            (("margin", 0.01), ("budget", 0.02)),
        ),
        SourceGate(
            "test_a.py", "test_accuracy", "assessment.srcc", "", "", False, (("minimum", -0.5), ("maximum", 1.0))
        ),
    ]


@pytest.mark.parametrize(
    "bound",
    ["margin=MARGIN", "margin=0.01 * 2", "margin=float('0.5')", "**bounds"],
    ids=["name", "sum", "call", "bounds"],
)
def test_a_bound_that_the_source_does_not_show_has_no_value(bound: str) -> None:
    assert targets(f"def test_a(qbench_gate): qbench_gate('m', {bound})") == [("m", (("margin", None),))]


OFF = [
    "@pytest.mark.skip\ndef test_a(qbench_gate): {gate}",
    "@pytest.mark.skip(reason='slow')\ndef test_a(qbench_gate): {gate}",
    "@pytest.mark.skipif(True, reason='x')\ndef test_a(qbench_gate): {gate}",
    "@mark.xfail\ndef test_a(qbench_gate): {gate}",
    "pytestmark = pytest.mark.skip\ndef test_a(qbench_gate): {gate}",
    "pytestmark = [pytest.mark.qbench, pytest.mark.xfail(strict=False)]\ndef test_a(qbench_gate): {gate}",
    "@pytest.mark.skip\nclass TestA:\n    def test_a(self, qbench_gate): {gate}",
    "class TestA:\n    pytestmark = pytest.mark.skip\n    def test_a(self, qbench_gate): {gate}",
    "def _test_a(qbench_gate): {gate}",
    "def test_a(qbench_gate):\n    pass  # {gate}",
    "def test_a(qbench_gate) {gate}",
]  # fmt: skip


@pytest.mark.parametrize("source", OFF)
def test_a_gate_that_does_not_run_does_not_count(source: str) -> None:
    assert targets(source.format(gate="qbench_gate('m', margin=0.01)")) == []


def test_a_test_in_a_file_that_pytest_does_not_collect_does_not_count() -> None:
    source = "def test_a(qbench_gate): qbench_gate('m', margin=0.01)"
    assert targets(source, "suites/accuracy_test.py") == targets(source, "test_a.py") == [("m", (("margin", 0.01),))]
    assert targets(source, "suites/disabled_accuracy.py") == []


def test_a_helper_counts_where_something_may_call_it() -> None:
    helper = "def check(qbench_gate): qbench_gate('m', margin=0.01)\n"
    assert targets(helper, "conftest.py") == [("m", (("margin", 0.01),))]
    assert targets(helper + "def test_a(qbench_gate): check(qbench_gate)") == [("m", (("margin", 0.01),))]
    assert targets(helper) == []


def test_a_gate_inside_a_condition_or_a_class_counts() -> None:
    source = "class TestA:\n    def test_a(self, qbench_gate):\n        if True:\n            qbench_gate('m', margin=0.01)\n"
    assert targets(f"if True:\n{source.replace('class', ' class').replace(chr(10) + ' ', chr(10) + '  ')}") == targets(
        source
    )
    assert len(targets(source)) == 1
