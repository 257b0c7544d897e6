"""Gates as the source of a test shows them."""

from __future__ import annotations

import ast

import pytest

from pytest_qbench.gates.written_gate import WrittenGate, is_gate_call, written_gate


def call(source: str) -> ast.Call:
    (statement,) = ast.parse(source).body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Call)
    return statement.value


@pytest.mark.parametrize("source, is_one", [
    ("qbench_gate('perception.accuracy', margin=0.01)", True),
    ("gate('perception.accuracy', margin=0.01)", False),
    ("own.qbench_gate('perception.accuracy')", False),
    ("gates[0]('perception.accuracy')", False),
])  # fmt: skip
def test_a_gate_is_a_call_of_the_fixture_by_its_name(source: str, is_one: bool) -> None:
    assert is_gate_call(call(source)) is is_one
    assert not is_gate_call(call(source).func)


@pytest.mark.parametrize("source, expected", [
    ("qbench_gate('perception.accuracy')", WrittenGate("perception.accuracy", {})),
    ("qbench_gate('a.b', margin=0.01, dataset=name)", WrittenGate("a.b", {"margin": 0.01, "dataset": None})),
    ("qbench_gate(margin=0.01, name='a.b')", WrittenGate("a.b", {"margin": 0.01})),
    ("qbench_gate('a.b', 'c.d', **more)", WrittenGate("a.b", {})),
    ("qbench_gate(metric, margin=0.01)", None),
    ("qbench_gate(7, margin=0.01)", None),
    ("qbench_gate(margin=0.01)", None),
    ("qbench_gate(margin='a.b')", None),
])  # fmt: skip
def test_metric_and_arguments_come_from_the_source(source: str, expected: WrittenGate | None) -> None:
    assert written_gate(call(source)) == expected


@pytest.mark.parametrize("arguments, compares_all", [
    ({"margin": 0.01}, True),
    ({"margin": 0.01, "budget": 0.02}, True),
    ({"minimum": 0.5}, False),
    ({"margin": 0.01, "dataset": "mini"}, False),
    ({"margin": 0.01, "slice": "type=what"}, False),
])  # fmt: skip
def test_a_gate_without_dataset_and_slice_compares_its_whole_task(
    arguments: dict[str, object], compares_all: bool
) -> None:
    gate = WrittenGate("perception.accuracy", arguments)
    assert (gate.task, gate.compares_all) == ("perception", compares_all)
