from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from pytest_qbench.baselines import read_baseline, write_baseline
from pytest_qbench.errors import UsageError
from pytest_qbench.gates import GateResult, Limits, decide, evaluate
from pytest_qbench.records import Record
from pytest_qbench.results import Results
from pytest_qbench.stats import Paired
from tests.builders import answered, judged, picture, question, results, scored, text

N = 400
QUESTIONS = [question(i) for i in range(N)]


def perception(wrong: set[int], **conditions: Any) -> Results:
    return results(
        QUESTIONS, [answered(q, "No" if i in wrong else "Yes") for i, q in enumerate(QUESTIONS)], **conditions
    )


@pytest.fixture
def stored(tmp_path: Path) -> Any:
    def store(old: Results) -> Any:
        return read_baseline(write_baseline(tmp_path, "old", old))

    return store


def gate(
    new: Results, baseline: Any, name: str = "perception.accuracy", limits: Limits | None = None, **bounds: Any
) -> GateResult:
    return evaluate(name, new, baseline, limits or Limits(), **(bounds or {"margin": 0.01}))


def paired(delta: float, lower: float, upper: float, p: float = 0.5) -> Paired:
    return Paired(delta, lower, upper, p, None, 100)


@pytest.mark.parametrize(
    "comparison, p, verdict",
    [
        (paired(-0.05, -0.08, -0.02), 0.001, "regressed"),
        (paired(-0.005, -0.008, -0.002), 0.001, "pass"),  # significant, but within the margin
        (paired(-0.02, -0.05, 0.01), 0.2, "inconclusive"),
        (paired(0.0, -0.005, 0.005), 0.5, "pass"),
        (paired(0.05, 0.02, 0.08), 0.99, "improved"),
        (paired(0.0, -0.01, 0.01), 0.5, "inconclusive"),  # L must lie above -m, not on it
        (paired(-0.05, -0.2, 0.1), 0.05, "inconclusive"),  # p must lie below alpha, not on it
    ],
)
def test_the_rule(comparison: Paired, p: float, verdict: str) -> None:
    assert decide(comparison, 0.01, 0.05, p) == verdict


def test_identical_runs_pass_with_the_bound_shown(stored: Any) -> None:
    found = gate(perception({1, 2}), stored(perception({1, 2})))
    assert found.verdict == "pass"
    assert "identical on 400 items" in found.reason
    (row,) = found.rows
    assert row.delta == 0
    assert row.delta_ci is not None
    assert -0.01 < row.delta_ci[0] < 0 < row.delta_ci[1]


def test_a_drop_regresses_with_the_exact_p_value_and_names_the_items(stored: Any) -> None:
    found = gate(perception(set(range(20))), stored(perception({0, 390, 391})))
    assert found.verdict == "regressed"
    (row,) = found.rows
    assert row.p_value == pytest.approx(binomtest(19, 21, alternative="greater").pvalue)
    assert row.value == pytest.approx(380 / 400)
    assert row.baseline == pytest.approx(397 / 400)
    assert row.delta == pytest.approx(-17 / 400)
    assert [f.item for f in found.lost] == [f"mini/{i}" for i in range(1, 20)]
    assert [f.item for f in found.gained] == ["mini/390", "mini/391"]
    assert (found.lost[0].before, found.lost[0].after) == ("Yes", "No")


def test_an_improvement_is_said(stored: Any) -> None:
    assert gate(perception(set()), stored(perception(set(range(40))))).verdict == "improved"


def test_alpha_is_shared_by_the_family(stored: Any) -> None:
    base = stored(perception(set()))
    lost = set(range(6))  # exact p = 1/64: below 0.05, not below 0.05 / 4
    assert gate(perception(lost), base).verdict == "regressed"
    assert gate(perception(lost), base, limits=Limits(family=4)).verdict == "inconclusive"


def without(r: Results, *items: str) -> Results:
    return Results([x for x in r.records if x.item not in items], r.expected, r.fingerprint)


def test_whatever_is_not_whole_is_invalid(stored: Any) -> None:
    good = perception(set())
    base = stored(good)
    assert (
        "3 of 400 items were not measured (first: mini/1)"
        in gate(without(good, "mini/1", "mini/2", "mini/9"), base).reason
    )
    errors = Results(
        [Record.of(QUESTIONS[0], "error", error="no image"), *good.records[1:]], good.expected, good.fingerprint
    )
    assert gate(errors, base).verdict == "invalid"
    assert "no image" in gate(errors, base).reason
    assert gate(errors, base, limits=Limits(max_errors=0.01)).verdict == "pass"
    mute = Results([answered(q, None) for q in QUESTIONS[:21]] + good.records[21:], good.expected, good.fingerprint)
    assert gate(mute, base).verdict == "invalid"
    assert gate(results([], []), base).verdict == "invalid"
    assert gate(good, base, dataset="koniq", margin=0.01).verdict == "invalid"
    assert gate(good, base, slice="type=what", margin=0.01).verdict == "invalid"


def test_whatever_cannot_be_compared_is_invalid_and_incomparable(stored: Any) -> None:
    good = perception(set())
    for new, base in (
        (good, "no baseline"),
        (perception(set(), answer="generate"), stored(good)),
        (perception(set(), prompts="other"), stored(good)),
        (perception(set(), blind=True), stored(good)),
    ):
        found = gate(new, base)
        assert (found.verdict, found.incomparable) == ("invalid", True), found
    changed = [question(0, answer="No"), *QUESTIONS[1:]]
    new = results(changed, [answered(q, "Yes") for q in changed])
    assert "another text, key or reference" in gate(new, stored(good)).reason
    more = [*QUESTIONS, question(N)]
    new = results(more, [answered(q, "Yes") for q in more])
    assert f"not in baseline old (first: mini/{N})" in gate(new, stored(good)).reason


def test_what_is_only_reported_does_not_forbid_a_comparison(stored: Any) -> None:
    new = perception(set(), model={"name": "other"}, batch_size=3, judge={"name": "other"})
    assert gate(new, stored(perception(set()))).verdict == "pass"


def test_a_subset_is_compared_on_the_subset_when_options_chose_it(stored: Any) -> None:
    base = stored(perception(set(range(200, 400))))
    half = QUESTIONS[:200]
    new = results(half, [answered(q, "Yes") for q in half])
    lost = gate(new, base)
    assert (lost.verdict, lost.incomparable) == ("invalid", True)
    assert "200 of the 400 perception items of baseline old are not in this data (first: mini/200)" in lost.reason
    new.narrowed = True
    (row,) = gate(new, base).rows
    assert (row.baseline, row.delta, row.n) == (1.0, 0.0, 200)


def test_hidden_answers_gate_nothing() -> None:
    items = [question(i, answer=None) for i in range(5)]
    found = gate(results(items, [Record.of(q, "measured", choice="Yes") for q in items]), "no baseline")
    assert found.nothing


def test_a_task_that_neither_data_nor_baseline_has_is_not_judged(stored: Any) -> None:
    good = perception(set())
    lacking = Results(good.records, good.expected, good.fingerprint, absent=frozenset({"assessment"}))
    assert gate(lacking, stored(good), "assessment.srcc").nothing
    assert gate(lacking, "no baseline", "assessment.srcc").nothing
    assert not gate(lacking, stored(assessed(0.1)), "assessment.srcc").nothing  # the baseline has it
    assert not gate(good, stored(good), "assessment.srcc").nothing  # no suite asked
    assert gate(lacking, stored(good), "assessment.srcc", dataset="koniq", margin=0.01).verdict == "invalid"
    assert not gate(lacking, stored(good), "assessment.srcc", dataset="koniq", margin=0.01).nothing


def test_floors_and_ceilings_need_no_baseline() -> None:
    new = perception(set(range(40)))
    assert gate(new, "none", minimum=0.9).verdict == "pass"
    assert gate(new, "none", minimum=0.91).verdict == "regressed"
    assert gate(new, "none", "perception.unparsed_rate", maximum=0.0).verdict == "pass"
    with pytest.raises(ValueError, match="give margin="):
        evaluate("perception.accuracy", new, "none", Limits())
    with pytest.raises(ValueError, match="no metric"):
        gate(new, "none", "perception.accurracy")


def assessed(noise: float, seed: int = 0, anti: bool = False) -> Results:
    rng = np.random.default_rng(seed)
    items, records = [], []
    for dataset in ("mini_a", "mini_b"):
        for i in range(150):
            mos = float(rng.uniform())
            items.append(picture(i, mos, dataset))
            score = mos + noise * float(rng.standard_normal())
            records.append(scored(items[-1], -score if anti and dataset == "mini_b" else score))
    return results(items, records)


def test_each_dataset_is_a_row_and_the_worst_decides(stored: Any) -> None:
    base = stored(assessed(0.1))
    assert gate(assessed(0.1), base, "assessment.srcc").verdict == "pass"
    found = gate(assessed(0.1, anti=True), base, "assessment.srcc")
    assert found.verdict == "regressed"
    assert {row.dataset: row.verdict for row in found.rows} == {"mini_a": "pass", "mini_b": "regressed"}


def test_a_constant_score_is_invalid_never_green(stored: Any) -> None:
    base = stored(assessed(0.1))
    good = assessed(0.1)
    flat = Results([scored(i, 0.5) for i in good.expected.values()], good.expected, good.fingerprint)
    found = gate(flat, base, "assessment.srcc")
    assert found.verdict == "invalid"
    assert "undefined" in found.reason


def test_descriptions_are_compared_item_by_item(stored: Any) -> None:
    items = [text(i) for i in range(60)]
    base = stored(results(items, [judged(t, 2, 2) for t in items]))
    assert (
        gate(results(items, [judged(t, 2, 2) for t in items]), base, "description.sum", margin=0.05).verdict == "pass"
    )
    worse = results(items, [judged(t, 1, 1) if i % 2 else judged(t, 2, 2) for i, t in enumerate(items)])
    assert gate(worse, base, "description.sum", margin=0.05).verdict == "regressed"
    mute = results(items, [judged(t, None) if i == 0 else judged(t, 2, 2) for i, t in enumerate(items)])
    for bounds in ({"margin": 0.05}, {"minimum": 3.0}):
        found = gate(mute, base, "description.sum", **bounds)
        assert found.verdict == "invalid"
        assert "1 of 60 items have no readable verdict" in found.reason


def test_a_baseline_round_trips_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    run = assessed(0.3)
    path = write_baseline(tmp_path, "x", run)
    back = read_baseline(path)
    assert {k: r.score for k, r in back.records.items()} == {(r.task, r.item): r.score for r in run.records}
    assert back.value("assessment.srcc", "mini_a", None) == run.metric("assessment.srcc", "mini_a").value
    assert sorted(p.name for p in path.iterdir()) == [
        "assessment.mini_a.jsonl",
        "assessment.mini_b.jsonl",
        "baseline.yaml",
    ]
    lines = (path / "assessment.mini_a.jsonl").read_text().splitlines()
    assert lines == sorted(lines, key=lambda line: line.split('"')[3])
    for damage in (
        lambda: (path / "assessment.mini_a.jsonl").write_text("\n".join(lines[:-1]) + "\n"),
        lambda: (path / "assessment.mini_a.jsonl").write_text("\n".join([*lines[:-1], lines[-1][:20]]) + "\n"),
        lambda: (path / "assessment.mini_a.jsonl").unlink(),
        lambda: (path / "baseline.yaml").write_text("schema: 99\n"),
        lambda: (path / "baseline.yaml").write_text("{"),
        lambda: (path / "baseline.yaml").unlink(),
    ):
        damage()
        with pytest.raises(UsageError) as error:
            read_baseline(path)
        assert "\n" not in str(error.value)


def test_replacing_a_baseline_leaves_one_whole_folder(tmp_path: Path) -> None:
    write_baseline(tmp_path, "x", assessed(0.3))
    write_baseline(tmp_path, "x", perception(set()))
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == ["baseline.yaml", "perception.mini.jsonl"]


@pytest.mark.parametrize("halves", [False, True])
def test_a_database_of_two_halves_is_judged_as_it_is_counted(stored: Any, halves: bool) -> None:
    rng = np.random.default_rng(1)
    items = [replace(picture(i, float(m), "cgiqa"), slices={"half": "game" if i % 2 else "movie"}) for i, m in enumerate(rng.normal(size=N))]  # fmt: skip
    scoring = {"temperature": 100.0, **({"halves": "mean"} if halves else {})}

    def run(noise: float, shift: float = 0.0) -> Results:
        scores = [float(i.target or 0) + shift * (i.slices["half"] == "game") + noise * rng.normal() for i in items]
        return results(items, [scored(i, s) for i, s in zip(items, scores, strict=True)], scoring=scoring)

    old = stored(run(0.1))
    shifted = gate(run(0.1, shift=9.0), old, "assessment.srcc")
    # Another scale in one half ruins the correlation at once, and neither of those within the halves.
    assert (shifted.verdict == "regressed") is not halves
    worse = gate(run(3.0), old, "assessment.srcc")
    assert worse.verdict == "regressed"
    (row,) = worse.rows
    assert row.value is not None
    assert row.baseline is not None
    assert row.delta == pytest.approx(row.value - row.baseline, abs=1e-9)
