"""Gates of a finished run, judged again from their stored arguments, and those that a run without gates gets."""

from __future__ import annotations

from pathlib import Path

from pytest_qbench.baseline.baseline import Baseline, MissingBaseline, as_baseline
from pytest_qbench.gates.evaluate import Limits, evaluate
from pytest_qbench.gates.judge_again import as_call, judge_again, judge_by_default
from pytest_qbench.metrics.results import Results
from pytest_qbench.runs.summary_parts import Gate, GateCall
from tests.builders import answered, picture, question, results, scored

QUESTIONS = [question(i) for i in range(300)]
PICTURES = [picture(i, float(i)) for i in range(80)]


def run(wrong: int, swapped: int = 0, hidden: bool = False) -> Results:
    """A run with so many wrong answers, and with the scores of so many neighbours exchanged."""
    questions = [question(i, answer=None) for i in range(300)] if hidden else QUESTIONS
    answers = [answered(q, "No" if i < wrong else "Yes") for i, q in enumerate(questions)]
    scores = [scored(p, (i ^ 1 if i < swapped else i) / 80) for i, p in enumerate(PICTURES)]
    return results([*questions, *PICTURES], [*answers, *scores])


def base(of: Results) -> Baseline:
    return as_baseline(Path("b"), of)


def test_arguments_are_stored_as_plain_values() -> None:
    limits = Limits(max_errors=0.1, max_unparsed=0.2, max_cut=0.3, comparisons=4, seed=5, leftover=0.01, bet=0.1)
    found = as_call("perception.accuracy", limits, {"margin": 1, "dataset": "mini", "each_dataset": True})
    assert found == GateCall(
        "perception.accuracy", dataset="mini", slice=None, each_dataset=True, margin=1.0, minimum=None, maximum=None,
        budget=None, max_errors=0.1, max_unparsed=0.2, max_cut=0.3, comparisons=4, seed=5, leftover=0.01, bet=0.1,
        pass_alpha=0.05,
    )  # fmt: skip
    assert type(found.margin) is float
    assert not as_call("perception.accuracy", limits, {"minimum": 0.5}).each_dataset


def test_a_gate_without_stored_arguments_is_not_judged() -> None:
    call = as_call("perception.accuracy", Limits(), {"minimum": 0.9})
    known, old = (
        Gate("perception.accuracy", "pass", "pass", "", (), (), (), 0, 0, True, each) for each in (call, None)
    )
    missing = MissingBaseline("none")
    ((gate, result),) = judge_again([old, known], run(60), missing, missing)
    assert (gate, result.verdict) == (known, "regressed")


def test_a_run_without_gates_gets_those_of_the_suites_which_share_alpha() -> None:
    old, new = base(run(0)), run(20, swapped=40)
    limits = Limits(seed=3, max_unparsed=0.5)
    first, second = judge_by_default(new, old, limits)
    half = Limits(seed=3, max_unparsed=0.5, comparisons=2)
    assert first == evaluate("assessment.srcc", new, old, half, margin=0.01)
    later = Limits(seed=3, max_unparsed=0.5, comparisons=2, leftover=first.unspent)
    assert second == evaluate("perception.accuracy", new, old, later, margin=0.01)
    assert first.unspent > 0


def test_hidden_answers_are_not_judged() -> None:
    hidden = run(0, hidden=True)
    assert [gate.name for gate in judge_by_default(hidden, base(hidden), Limits())] == ["assessment.srcc"]
