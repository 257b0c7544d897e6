"""The gates of a project are read from its test files: which files, which numbers, and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_qbench.cli.suite_gates import suite_gates
from pytest_qbench.doctor.covered_gate import CoveredGate
from pytest_qbench.errors import UsageError
from pytest_qbench.gates.evaluate import DEFAULT_MARGINS

OWN = """
def test_accuracy(qbench_gate):
    qbench_gate("perception.accuracy", margin=0.02, dataset="kadid", slice="type=how")
    qbench_gate("perception.accuracy", minimum=0.5)

def test_srcc(qbench_gate):
    qbench_gate("assessment.srcc", margin=0.03, budget=0.05, each_dataset=True)
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(path: Path, source: str = OWN) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, "utf-8")
    return path


def test_the_gates_of_the_project_are_those_of_the_tests_that_pytest_finds(project: Path) -> None:
    save(project / "tests" / "test_quality.py")
    for hidden in (".tox", "build", "node_modules", "env"):
        save(project / hidden / "test_other.py", "def test_a(qbench_gate): qbench_gate('description.sum', margin=1)")
    (project / "env" / "pyvenv.cfg").touch()
    save(project / "tests" / "test_broken.py", "def test_a(:")  # names no gate
    found, where = suite_gates(())
    test = "tests/test_quality.py::test_accuracy"
    assert found == [
        CoveredGate("perception.accuracy", margin=0.02, dataset="kadid", slice="type=how", test=test),
        CoveredGate("perception.accuracy", minimum=0.5, test=test),
        CoveredGate(
            "assessment.srcc", margin=0.03, budget=0.05, each_dataset=True, test="tests/test_quality.py::test_srcc"
        ),
    ]
    assert where == "tests/test_quality.py"
    assert str(found[0]) == "perception.accuracy kadid type=how margin 0.02"


def test_the_packaged_suites_serve_a_project_without_a_gate(project: Path) -> None:
    save(project / "test_own.py", "def test_a(): assert True")
    found, where = suite_gates(())
    assert {gate.metric: gate.margin for gate in found} == DEFAULT_MARGINS
    assert len({gate.test for gate in found}) == 3
    assert where == "the packaged suites"


def test_a_named_file_or_folder_is_read_alone(project: Path) -> None:
    save(project / "one" / "test_a.py", "def test_a(qbench_gate): qbench_gate('description.sum', margin=0.1)")
    save(project / "two" / "test_b.py")
    for named, count in ((["one"], 1), (["two/test_b.py"], 3), (["one", "two"], 4)):
        assert len(suite_gates(named)[0]) == count


GATE = "def test_a(qbench_gate): qbench_gate({})"


@pytest.mark.parametrize("source, message", [
    (GATE.format("'perception.accuracy', margin=MARGIN"), "test_a.py: test_a: the margin of a gate is an expression"),
    (GATE.format("METRIC, margin=0.01"), "test_a.py: test_a: the metric of a gate is an expression"),
    (GATE.format("'perception.accuracy', margin=0.1, slice=name"), "test_a.py: test_a: the slice of a gate is an expression"),
    (GATE.format("'perception.accuracy', **bounds"), "test_a.py: test_a: the margin of a gate is an expression"),
    (GATE.format("'perception.acuracy', margin=0.01"), "test_a.py: test_a: qbench_gate: no metric 'perception.acuracy'"),
    (GATE.format("'perception.accuracy', margin=0.9"), "would allow any drop"),
    (GATE.format("'perception.accuracy', margin=0.01"), "--suite=missing: no such file or folder"),
    ("def test_a(): assert 'qbench_gate'", "--suite=test_a.py: holds no test with qbench_gate(...)"),
    ("def test_a(qbench_gate) qbench_gate('x')", "test_a.py: cannot be read as Python: "),
])  # fmt: skip
def test_a_gate_that_cannot_be_read_is_an_error_of_one_line(source: str, message: str, project: Path) -> None:
    save(project / "test_a.py", source)
    with pytest.raises(UsageError) as error:
        suite_gates([message.partition(":")[0].removeprefix("--suite=") if "--suite" in message else "test_a.py"])
    assert message in str(error.value)
    assert "\n" not in str(error.value)
