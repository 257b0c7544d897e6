"""A budget holds a gate against the anchor: small losses that each release may have add up to a red gate."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from scipy.stats import binom

from pytest_qbench.baseline.baseline import Baseline, MissingBaseline, as_baseline
from pytest_qbench.gates.budget import judge
from pytest_qbench.gates.evaluate import Limits, evaluate
from pytest_qbench.gates.judge_again import as_call, judge_again
from pytest_qbench.metrics.results import Results
from pytest_qbench.report.run_summary import run_summary
from tests.builders import answered, question, results

N = 1000
NAME = "perception.accuracy"


def made(wrong: int, first: int = 0) -> Results:
    questions = [question(i) for i in range(N)]
    return results(
        questions, [answered(q, "No" if first <= i < first + wrong else "Yes") for i, q in enumerate(questions)]
    )


def stored(wrong: int, recorded: str = "2026-01-01T00:00:00+00:00") -> Baseline:
    return replace(as_baseline(Path("x"), made(wrong)), recorded=recorded)


BASE, ANCHOR = stored(145), stored(100, "2025-06-01T00:00:00+00:00")


def test_a_loss_since_the_anchor_turns_the_gate_red() -> None:
    assert evaluate(NAME, made(150), BASE, Limits(), margin=0.02).verdict == "pass"
    found = judge(NAME, made(150), BASE, Limits(), margin=0.02, budget=0.02, anchor=ANCHOR)
    assert found.verdict == "regressed"
    assert found.reason.startswith("against the anchor of 2025-06-01: mini: REGRESSED: 5.0 points lost")
    (step, whole) = found.rows
    assert (step.against, step.delta, step.margin, step.verdict) == (None, pytest.approx(-0.005), 0.02, "pass")
    assert (whole.against, whole.delta, whole.margin) == ("anchor", pytest.approx(-0.05), 0.02)
    assert (whole.p_value, whole.baseline) == (pytest.approx(binom.cdf(0, 50, 0.5) / 2), 0.9)
    assert (found.lost_count, found.incomparable) == (50, False)


@pytest.mark.parametrize(("wrong", "verdict"), [(100, "pass"), (119, "inconclusive"), (121, "regressed")])
def test_the_rule_is_that_of_a_margin(wrong: int, verdict: str) -> None:
    alone = judge(NAME, made(wrong), BASE, Limits(), budget=0.02, anchor=ANCHOR)
    assert alone.verdict == evaluate(NAME, made(wrong), ANCHOR, Limits(), margin=0.02).verdict == verdict
    assert [row.against for row in alone.rows] == ["anchor"]


def test_margin_and_budget_share_the_level_of_the_gate() -> None:
    noisy = made(150, first=500)  # so many answers change that no level is left over
    alone = judge(NAME, noisy, BASE, Limits(comparisons=3), budget=0.02, anchor=ANCHOR)
    both = judge(NAME, noisy, BASE, Limits(comparisons=3), margin=0.01, budget=0.02, anchor=ANCHOR)
    assert [row.alpha for row in alone.rows] == [pytest.approx(0.05 / 3)]
    assert [row.alpha for row in both.rows] == [pytest.approx(0.05 / 6)] * 2
    assert both.unspent == 0


def test_an_anchor_of_an_unknown_day_has_no_date() -> None:
    found = judge(NAME, made(150), BASE, Limits(), budget=0.02, anchor=stored(100, ""))
    assert found.reason.startswith("against the anchor: mini: REGRESSED")


def test_without_an_anchor_the_baseline_is_the_anchor() -> None:
    found = judge(NAME, made(150), BASE, Limits(), budget=0.02)
    assert found.verdict == evaluate(NAME, made(150), BASE, Limits(), margin=0.02).verdict == "pass"


def test_a_gain_since_the_anchor_does_not_hide_a_drop() -> None:
    found = judge(NAME, made(150), stored(100), Limits(), margin=0.01, budget=0.02, anchor=stored(200))
    assert found.verdict == "regressed"
    assert found.reason.startswith("mini: REGRESSED")


def test_an_improvement_stays_one_where_the_budget_holds() -> None:
    assert (
        judge(NAME, made(50), stored(100), Limits(), margin=0.01, budget=0.02, anchor=stored(50)).verdict == "improved"
    )


def test_an_anchor_that_cannot_be_compared_is_invalid() -> None:
    fingerprint = replace(ANCHOR.fingerprint, answer="generate")
    other = replace(ANCHOR, fingerprint=fingerprint)
    found = judge(NAME, made(150), BASE, Limits(), margin=0.01, budget=0.02, anchor=other)
    assert (found.verdict, found.incomparable) == ("invalid", True)
    assert "against the anchor" in found.reason
    missing = judge(NAME, made(150), BASE, Limits(), margin=0.01, budget=0.02, anchor=MissingBaseline("gone"))
    assert (missing.verdict, "gone" in missing.reason) == ("invalid", True)


def test_a_floor_is_judged_beside_a_budget() -> None:
    found = judge(NAME, made(150), BASE, Limits(), minimum=0.9, budget=0.2, anchor=ANCHOR)
    assert found.verdict == "regressed"
    assert "below the minimum" in found.reason


@pytest.mark.parametrize("budget", [-0.1, 0.5, float("nan"), True, "0.1"])
def test_a_budget_that_decides_nothing_is_refused(budget: object) -> None:
    with pytest.raises(ValueError, match="budget="):
        judge(NAME, made(150), BASE, Limits(), budget=budget, anchor=ANCHOR)  # type: ignore[arg-type]


def test_a_stored_gate_is_judged_again_with_its_budget() -> None:
    limits, bounds = Limits(comparisons=2), {"margin": 0.01, "budget": 0.02}
    first = judge(NAME, made(150), BASE, limits, anchor=ANCHOR, **bounds)
    gate = replace(first, call=as_call(NAME, limits, bounds))
    summary = run_summary(
        made(150), BASE, [gate], lambda _: "fail", (), (), diagnostics=(), baseline_name="x", began="", verdict=""
    )
    back = type(summary).from_json(json.loads(summary.as_text()))
    ((signed, again),) = judge_again(back.gates, made(150), BASE, ANCHOR)
    assert (signed.call, again.verdict, again.rows) == (gate.call, "regressed", first.rows)
    plain = {(m.name, m.dataset): m for m in back.metrics if m.slice is None}
    assert (
        plain[NAME, "mini"].baseline == 0.855
    )  # the row against the anchor does not replace that against the baseline
