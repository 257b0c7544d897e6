from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from pytest_qbench.baseline.baseline import MissingBaseline
from pytest_qbench.baseline.eligibility import why_incomplete
from pytest_qbench.baseline.store import read_baseline, write_baseline
from pytest_qbench.data.sampling import select
from pytest_qbench.errors import UsageError
from pytest_qbench.gates.evaluate import GateResult, Limits, evaluate
from pytest_qbench.gates.verdict import decide
from pytest_qbench.items import Dataset
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import CUT, Record
from pytest_qbench.stats.intervals import tango
from pytest_qbench.stats.paired import Paired
from pytest_qbench.stats.power import pass_probability
from tests.builders import answered, judged, picture, question, results, scored, text

N = 400
NO_BASELINE = MissingBaseline("none")
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


def cut(n: int) -> Results:
    """Return answers as in `perception`, the first `n` of them cut at the token limit."""
    whole = perception(set())
    return replace(whole, records=[replace(r, finish=CUT) if i < n else r for i, r in enumerate(whole.records)])


def test_too_many_cut_replies_are_invalid(stored: Any) -> None:
    base = stored(perception(set()))
    assert gate(cut(20), base).verdict == "pass"
    found = gate(cut(21), base)
    assert found.verdict == "invalid"
    assert "21 of 400 items cut, above 5.0%" in found.reason
    assert "raise --qbench-answer-tokens" in found.reason
    assert gate(cut(21), base, limits=Limits(max_cut=0.1)).verdict == "pass"
    assert gate(cut(1), base, limits=Limits(max_cut=0)).verdict == "invalid"


def test_the_rate_of_cut_replies_is_a_metric_where_there_are_any() -> None:
    assert cut(21).metric("perception.cut_rate", "mini").value == 21 / N
    assert "perception.cut_rate" not in {m.name for m in perception(set()).metrics}
    assert why_incomplete(cut(21), 0, 0.05, 0.05) == "5.2% of the perception items are cut, more than 5.0%"
    assert why_incomplete(cut(20), 0, 0.05, 0.05) is None
    assert (
        gate(cut(21), NO_BASELINE, "perception.cut_rate", limits=Limits(max_cut=1), maximum=0.05).verdict == "regressed"
    )


def paired(delta: float, lower: float, upper: float, p: float = 0.5) -> Paired:
    return Paired(delta, lower, upper, p, 1 - p, 0.01, 100)


@pytest.mark.parametrize(
    "comparison, p, verdict",
    [
        (paired(-0.05, -0.08, -0.02), 0.001, "regressed"),
        (paired(-0.005, -0.008, -0.002), 0.001, "pass"),  # significant, but within the margin
        (paired(-0.01, -0.03, -0.001), 0.001, "inconclusive"),  # d must lie below -m, not on it
        (paired(-0.02, -0.05, 0.01), 0.2, "inconclusive"),
        (paired(0.0, -0.005, 0.005), 0.5, "pass"),
        (paired(0.05, 0.02, 0.08), 0.99, "improved"),
        (paired(0.05, -0.005, 0.08), 0.99, "pass"),  # a gain that the interval does not show
        (paired(0.0, -0.01, 0.01), 0.5, "inconclusive"),  # L must lie above -m, not on it
    ],
)
def test_decide_follows_the_rule(comparison: Paired, p: float, verdict: str) -> None:
    assert decide(comparison, 0.01, p < 0.05, 1 - p < 0.05) == verdict


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
    assert row.p_value == pytest.approx((binom.sf(18, 21, 0.5) + binom.sf(19, 21, 0.5)) / 2)
    assert row.value == pytest.approx(380 / 400)
    assert row.baseline == pytest.approx(397 / 400)
    assert row.delta == pytest.approx(-17 / 400)
    assert [f.item for f in found.lost] == [f"mini/{i}" for i in range(1, 20)]
    assert [f.item for f in found.gained] == ["mini/390", "mini/391"]
    assert (found.lost[0].before, found.lost[0].after) == ("Yes", "No")


def test_an_improvement_is_reported(stored: Any) -> None:
    assert gate(perception(set()), stored(perception(set(range(40))))).verdict == "improved"


def test_the_gates_of_a_run_share_alpha(stored: Any) -> None:
    base = stored(perception(set()))
    lost = set(range(6))  # mid-p = 1/128: below 0.05 and 0.05 / 4, not below 0.05 / 7
    assert gate(perception(lost), base).verdict == "regressed"
    assert gate(perception(lost), base, limits=Limits(comparisons=4)).verdict == "regressed"
    assert gate(perception(lost), base, limits=Limits(comparisons=7)).verdict == "inconclusive"


def without(r: Results, *items: str) -> Results:
    return Results([x for x in r.records if x.item not in items], r.expected, r.fingerprint)


def test_an_incomplete_run_is_invalid(stored: Any) -> None:
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


def test_runs_that_cannot_be_compared_are_invalid_and_incomparable(stored: Any) -> None:
    good = perception(set())
    for new, base in (
        (good, MissingBaseline("no baseline")),
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


def test_reported_conditions_do_not_forbid_a_comparison(stored: Any) -> None:
    new = perception(set(), model={"name": "other"}, batch_size=3, judge={"name": "other"})
    assert gate(new, stored(perception(set()))).verdict == "pass"


def test_a_subset_selected_by_options_is_compared_on_that_subset(stored: Any) -> None:
    base = stored(perception(set(range(200, 400))))
    half = QUESTIONS[:200]
    lost = gate(results(half, [answered(q, "Yes") for q in half]), base)
    assert (lost.verdict, lost.incomparable) == ("invalid", True)
    assert "200 of the 400 perception items of baseline old are not in this data (first: mini/200)" in lost.reason
    (sample,) = select([Dataset("mini", "perception", None, tuple(QUESTIONS), "x")], limit=200, seed=3)
    chosen = [answered(q, "Yes") for q in sample.items]
    new = results(list(sample.items), chosen, selection={"limit": 200, "seed": 3})
    (row,) = gate(new, base).rows
    assert (row.value, row.n) == (1.0, 200)
    assert row.baseline == sum(int(q.id.removeprefix("mini/")) < 200 for q in sample.items) / 200
    vanished = results(list(sample.items[1:]), chosen[1:], selection={"limit": 200, "seed": 3})
    assert "1 of the 200 perception items of baseline old are not in this data" in gate(vanished, base).reason


def test_hidden_answers_cannot_be_gated() -> None:
    items = [question(i, answer=None) for i in range(5)]
    found = gate(
        results(items, [Record.of(q, "measured", choice="Yes") for q in items]), MissingBaseline("no baseline")
    )
    assert found.nothing


def test_a_task_that_neither_data_nor_baseline_has_is_not_judged(stored: Any) -> None:
    good = perception(set())
    lacking = Results(good.records, good.expected, good.fingerprint, absent=frozenset({"assessment"}))
    assert gate(lacking, stored(good), "assessment.srcc").nothing
    assert gate(lacking, MissingBaseline("no baseline"), "assessment.srcc").nothing
    assert not gate(lacking, stored(assessed(0.1)), "assessment.srcc").nothing  # the baseline has it
    assert not gate(good, stored(good), "assessment.srcc").nothing  # no suite asked
    assert gate(lacking, stored(good), "assessment.srcc", dataset="koniq", margin=0.01).verdict == "invalid"
    assert not gate(lacking, stored(good), "assessment.srcc", dataset="koniq", margin=0.01).nothing


def test_floors_and_ceilings_need_no_baseline() -> None:
    new = perception(set(range(40)))
    assert gate(new, NO_BASELINE, minimum=0.9).verdict == "pass"
    assert gate(new, NO_BASELINE, minimum=0.91).verdict == "regressed"
    assert gate(new, NO_BASELINE, "perception.unparsed_rate", maximum=0.0).verdict == "pass"
    with pytest.raises(ValueError, match="give margin="):
        evaluate("perception.accuracy", new, NO_BASELINE, Limits())
    with pytest.raises(ValueError, match="no metric"):
        gate(new, NO_BASELINE, "perception.accurracy")


def inside(score: float) -> float:
    """Return a score of a few units as one from 0 to 1, with the same correlations."""
    return (score + 20) / 40


def assessed(noise: float, seed: int = 0, anti: bool = False) -> Results:
    rng = np.random.default_rng(seed)
    items, records = [], []
    for dataset in ("mini_a", "mini_b"):
        for i in range(150):
            mos = float(rng.uniform())
            items.append(picture(i, mos, dataset))
            score = mos + noise * float(rng.standard_normal())
            records.append(scored(items[-1], inside(-score if anti and dataset == "mini_b" else score)))
    return results(items, records)


def test_each_dataset_is_a_row_and_the_worst_decides(stored: Any) -> None:
    base = stored(assessed(0.1))
    assert gate(assessed(0.1), base, "assessment.srcc", margin=0.05).verdict == "pass"
    assert gate(assessed(0.1), base, "assessment.srcc", margin=0.01).verdict == "inconclusive"  # 150 items each
    found = gate(assessed(0.1, anti=True), base, "assessment.srcc", margin=0.05)
    assert found.verdict == "regressed"
    assert {row.dataset: row.verdict for row in found.rows} == {
        "mini_a": "pass", "mini_b": "regressed", None: "regressed",
    }  # fmt: skip


def test_the_mean_of_the_datasets_decides_that_a_correlation_passes(stored: Any) -> None:
    base, new = stored(assessed(0.3)), assessed(0.3, seed=0)
    moved = [
        replace(r, score=(r.score or 0.0) + 0.03 * float(e))
        for r, e in zip(new.records, np.random.default_rng(4).normal(size=len(new.records)), strict=True)
    ]
    new = Results(moved, new.expected, new.fingerprint)
    loose = gate(new, base, "assessment.srcc", margin=0.03)
    rows = {row.dataset: row for row in loose.rows}
    mean = rows[None]
    assert mean.delta == pytest.approx(((rows["mini_a"].delta or 0) + (rows["mini_b"].delta or 0)) / 2)
    assert mean.delta_ci is not None
    widths = [(row.delta_ci or (0, 0))[1] - (row.delta_ci or (0, 0))[0] for row in loose.rows]
    assert widths[-1] < min(widths[:-1])
    margin = 0.5 * (-mean.delta_ci[0] + max(-(rows[d].delta_ci or (0, 0))[0] for d in ("mini_a", "mini_b")))
    assert gate(new, base, "assessment.srcc", margin=margin).verdict == "pass"
    strict = evaluate("assessment.srcc", new, base, Limits(), margin=margin, each_dataset=True)
    assert strict.verdict == "inconclusive"


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
    same = results(items, [judged(t, 2, 2) for t in items])
    # With 60 texts of 6 points, 5 % of the runs miss that a hundredth of the texts is broken.
    assert gate(same, base, "description.sum", margin=0.05).verdict == "inconclusive"
    assert gate(same, base, "description.sum", margin=0.3).verdict == "pass"
    worse = results(items, [judged(t, 1, 1) if i % 2 else judged(t, 2, 2) for i, t in enumerate(items)])
    assert gate(worse, base, "description.sum", margin=0.05).verdict == "regressed"
    mute = results(items, [judged(t, None) if i == 0 else judged(t, 2, 2) for i, t in enumerate(items)])
    for bounds in ({"margin": 0.05}, {"minimum": 3.0}):
        found = gate(mute, base, "description.sum", **bounds)
        assert found.verdict == "invalid"
        assert "1 of 60 items have no readable verdict" in found.reason


@pytest.mark.parametrize(
    "photos, message",
    [(1, "1 item: too few"), (3, "3 items: too few"), (0, "6 items of 1 photo: too few")],
)
def test_too_few_texts_to_judge_are_named(stored: Any, photos: int, message: str) -> None:
    items = [text(i) for i in range(photos)] or [replace(text(i), group="one") for i in range(6)]
    base = stored(results(items, [judged(t, 2, 2) for t in items]))
    found = gate(results(items, [judged(t, 0, 0) for t in items]), base, "description.sum", margin=0.05)
    assert found.verdict == "invalid"
    assert f"{message} to tell noise from change; measure at least four photos" in found.reason


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


def test_replacing_a_baseline_leaves_one_complete_folder(tmp_path: Path) -> None:
    write_baseline(tmp_path, "x", assessed(0.3))
    write_baseline(tmp_path, "x", perception(set()))
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == ["anchor", "baseline.yaml", "perception.mini.jsonl"]


@pytest.mark.parametrize("halves", [False, True])
def test_a_database_of_two_halves_is_judged_by_its_published_value(stored: Any, halves: bool) -> None:
    rng = np.random.default_rng(1)
    items = [replace(picture(i, float(m), "cgiqa"), slices={"half": "game" if i % 2 else "movie"}) for i, m in enumerate(rng.normal(size=N))]  # fmt: skip
    scoring = {"words": ["good", "poor"], "temperature": 100.0, **({"halves": "mean"} if halves else {})}

    def run(noise: float, shift: float = 0.0) -> Results:
        scores = [float(i.target or 0) + shift * (i.slices["half"] == "game") + noise * rng.normal() for i in items]
        return results(items, [scored(i, inside(s)) for i, s in zip(items, scores, strict=True)], scoring=scoring)

    old = stored(run(0.1))
    shifted = gate(run(0.1, shift=9.0), old, "assessment.srcc")
    # Another scale in one half ruins the correlation over both halves, but not the correlation within either half.
    assert (shifted.verdict == "regressed") is not halves
    worse = gate(run(3.0), old, "assessment.srcc")
    assert worse.verdict == "regressed"
    (row,) = worse.rows
    assert row.value is not None
    assert row.baseline is not None
    assert row.delta == pytest.approx(row.value - row.baseline, abs=1e-9)


def several(wrong: dict[str, int], n: int = 300) -> Results:
    """Return three datasets of yes-or-no and how questions; the first `wrong` of each are answered wrong."""
    items, records = [], []
    for dataset in ("kadid", "koniq", "spaq"):
        for i in range(n):
            item = replace(
                question(i, type_="how" if i % 2 else "yes_or_no"),
                id=f"{dataset}/{i}",
                dataset=dataset,
                group=f"{dataset}/{i}",
            )
            items.append(item)
            records.append(answered(item, "No" if i < wrong.get(dataset, 0) else "Yes"))
    return results(items, records)


def verdicts(found: GateResult) -> dict[tuple[str | None, str | None], str | None]:
    return {(row.dataset, row.slice): row.verdict for row in found.rows}


def test_a_pattern_chooses_datasets_and_slices(stored: Any) -> None:
    base = stored(several({}))
    found = gate(several({"kadid": 40}), base, dataset="k*", margin=0.01)
    assert verdicts(found) == {("kadid", None): "regressed", ("koniq", None): "pass", (None, None): "regressed"}
    found = gate(several({"kadid": 40}), base, dataset="kadid", slice="type=*", margin=0.01)
    assert verdicts(found) == {("kadid", "type=how"): "regressed", ("kadid", "type=yes_or_no"): "regressed"}
    assert (
        "no item in slice type=what; kadid"
        in gate(several({}), base, dataset="kadid", slice="type=what", margin=0).reason
    )
    assert (
        "x* was not measured; perception has kadid, koniq, spaq"
        in gate(several({}), base, dataset="x*", margin=0).reason
    )


def test_rows_share_alpha_by_holm_and_each_has_its_verdict(stored: Any) -> None:
    base = stored(several({}))
    # Mid-p = 2^-9 = 0.002 in each of two datasets, 2^-17 over both: below 0.05 / 4, 0.05 / 3, ... in any order.
    found = gate(several({"kadid": 8, "koniq": 8}), base)
    assert verdicts(found) == {
        ("kadid", None): "regressed", ("koniq", None): "regressed", ("spaq", None): "pass", (None, None): "regressed",
    }  # fmt: skip
    # Mid-p = 2^-6 = 0.0156: significant alone at 0.05, but not as the smallest of four at 0.0125.
    found = gate(several({"kadid": 5}), base, margin=0.0)
    assert verdicts(found)[("kadid", None)] == "inconclusive"
    assert [row.alpha for row in found.rows] == [0.05 / 4] * 4
    assert gate(several({"kadid": 6}), base, dataset="kadid", margin=0.01).verdict == "regressed"


def test_rows_without_false_alarms_use_no_alpha(stored: Any) -> None:
    # Five changed answers can be a drop beyond three of 300. The other rows, where nothing changed or five of 900 did,
    # cannot show a drop beyond the margin at all.
    found = gate(several({"kadid": 5}), stored(several({})))
    assert verdicts(found)[("kadid", None)] == "regressed"
    assert [row.alpha for row in found.rows] == [0.05] * 4
    assert found.unspent == 0.0


def test_a_gate_leaves_unused_alpha_to_later_gates(stored: Any) -> None:
    base = stored(perception(set(range(20))))
    quiet, noisy = perception(set(range(20))), perception(set(range(16)) | set(range(100, 112)))
    first = evaluate("perception.accuracy", quiet, base, Limits(comparisons=3), margin=0.01)
    assert (first.rows[0].alpha, first.unspent) == pytest.approx((0.045, 0.05 / 3))
    alone = evaluate("perception.accuracy", noisy, base, Limits(comparisons=3), margin=0.01)
    after = evaluate("perception.accuracy", noisy, base, Limits(comparisons=3, leftover=first.unspent), margin=0.01)
    assert (alone.rows[0].alpha, after.rows[0].alpha) == pytest.approx((0.05 / 3, 0.1 / 3))
    # 12 lost and 4 gained: mid-p = 0.0245.
    assert (alone.verdict, after.verdict) == ("inconclusive", "regressed")
    assert after.unspent == 0.0
    for bounds, results_ in (({"minimum": 0.1}, quiet), ({"minimum": 0.99}, quiet), ({"margin": 0.1}, several({}))):
        assert evaluate("perception.accuracy", results_, base, Limits(leftover=0.01), **bounds).unspent == 0.01


def test_a_small_drop_in_every_dataset_is_found_over_all_items(stored: Any) -> None:
    found = gate(several({"kadid": 4, "koniq": 4, "spaq": 4}), stored(several({})))
    assert verdicts(found) == {
        ("kadid", None): "inconclusive", ("koniq", None): "inconclusive", ("spaq", None): "inconclusive",
        (None, None): "regressed",
    }  # fmt: skip
    pooled = found.rows[-1]
    assert pooled.p_value == pytest.approx(2**-13)
    assert (pooled.value, pooled.baseline, pooled.n) == (888 / 900, 1.0, 900)
    assert "all items together" in found.reason


def test_an_inconclusive_gate_names_the_items_or_margin_that_would_decide(stored: Any) -> None:
    found = gate(perception({1, 2, 3}), stored(perception(set())))
    assert found.verdict == "inconclusive"
    (row,) = found.rows
    assert row.items_to_pass is not None
    assert row.delta_ci is not None
    assert f"CANNOT TELL: between {100 * row.delta_ci[0]:+.1f} and +0.0 points; " in found.reason
    assert " items or a margin of 0.019 would decide" in found.reason
    needed = int(found.reason.partition("points; ")[2].partition(" items")[0].replace(",", ""))
    lower, _ = tango(3 * needed / N, 0, needed, 0.05)
    assert lower == pytest.approx(-0.01, abs=2e-3)  # the same change among this number of items is close to a decision
    # With this number an unchanged model of the same discordance passes in 80 %; with this margin it passes now.
    assert pass_probability(0.0, 3 / N, row.items_to_pass, 0.05, 0.01) > 0.75
    assert gate(perception({1, 2, 3}), stored(perception(set())), margin=0.019).verdict == "pass"


def test_verdicts_are_sentences(stored: Any) -> None:
    base = stored(perception(set(range(100, 104))))
    assert "mini: PASS: a drop of more than 0.7 points is excluded (identical on 400 items, " in (
        gate(perception(set(range(100, 104))), base).reason
    )
    found = gate(perception(set(range(30))), stored(perception(set())))
    (row,) = found.rows
    assert row.delta_ci is not None
    assert f"mini: REGRESSED: 7.5 points lost, at least {-100 * row.delta_ci[1]:.1f} (" in found.reason
    assert "by McNemar, mid-p" in found.reason
    assert "IMPROVED: 7.5 points gained, at least" in gate(perception(set()), stored(perception(set(range(30))))).reason


def test_a_regression_lies_below_zero_and_fewer_changes_never_widen_the_interval(stored: Any) -> None:
    """450 questions about 25 photos, as in mini; the lost and gained answers are spread over the photos."""
    questions = [question(i, group=f"photo{i % 25}") for i in range(450)]

    def run(wrong: set[int]) -> Results:
        return results(questions, [answered(q, "No" if i in wrong else "Yes") for i, q in enumerate(questions)])

    widths = []
    for k in (0, 1, 3, 6, 12, 20):
        (row,) = gate(run(set(range(200, 200 + k))), stored(run(set(range(k)))), margin=0.01).rows
        assert row.delta_ci is not None
        widths.append(row.delta_ci[1] - row.delta_ci[0])
    assert widths == sorted(widths)
    assert widths[0] < 0.06  # 25 independent items would give 0.2
    for k in (5, 6, 10):
        found = gate(run(set(range(k))), stored(run(set())), margin=0.01)
        (row,) = found.rows
        assert found.verdict == "regressed"
        assert row.delta_ci is not None
        assert row.delta_ci[1] < 0


def test_identical_means_equal_answers(stored: Any) -> None:
    items = [replace(q, options=("Yes", "No", "Perhaps")) for q in QUESTIONS]

    def run(choice: str) -> Results:
        return results(items, [answered(q, choice if i < 200 else "Yes") for i, q in enumerate(items)])

    assert "identical" in gate(run("No"), stored(run("No"))).reason
    assert "identical" not in gate(run("Perhaps"), stored(run("No"))).reason


def likely(noise: float, shift: float = 0.0, seed: int = 0) -> Results:
    """Return answers by likelihood: the margin of the right option is that of the item, less a shift, with noise."""
    own = np.random.default_rng(99).normal(1.5, 3, N)
    margins = own - shift + noise * np.random.default_rng(seed).normal(size=N)
    records = [
        Record.of(q, "correct" if m > 0 else "wrong", choice="Yes" if m > 0 else "No",
                  logprobs={"Yes": float(-np.logaddexp(0, -m)), "No": float(-np.logaddexp(0, m))})
        for q, m in zip(QUESTIONS, margins, strict=True)
    ]  # fmt: skip
    return results(QUESTIONS, records)


def test_accuracy_is_tested_on_likelihoods_where_both_runs_have_them(stored: Any) -> None:
    base = stored(likely(0.3, seed=1))
    found = gate(likely(0.3, seed=2), base, margin=0.02)
    (row,) = found.rows
    assert "smoothed accuracy" in (row.test or "")
    assert row.value == likely(0.3, seed=2).metric("perception.accuracy", "mini").value  # printed plain
    without_them = [replace(r, logprobs=None) for r in likely(0.3, seed=2).records]
    plain = gate(Results(without_them, base_items(), found_conditions()), base, margin=0.02)
    (other,) = plain.rows
    assert other.test == "McNemar, mid-p"
    assert row.delta_ci is not None
    assert other.delta_ci is not None
    assert row.delta_ci[1] - row.delta_ci[0] < other.delta_ci[1] - other.delta_ci[0]
    worse = gate(likely(0.3, shift=0.5, seed=2), base, margin=0.01)
    assert worse.verdict == "regressed"


def base_items() -> Any:
    return likely(0.3).expected


def found_conditions() -> Any:
    return likely(0.3).fingerprint


def test_one_equal_answer_is_not_green(stored: Any) -> None:
    one = results([question(0)], [answered(question(0), "Yes")])
    found = gate(one, stored(one))
    assert (found.verdict, found.rows[0].verdict) == ("invalid", None)
    assert "too few for this gate to fail" in found.reason


@pytest.mark.parametrize("margin", [1, 0.5])
def test_a_margin_that_allows_any_drop_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="would allow any drop; give less than 0.5, such as 0.01 for one point"):
        gate(perception(set()), NO_BASELINE, margin=margin)


@pytest.mark.parametrize("margin", [-0.1, float("nan"), float("inf")])
def test_a_margin_is_a_finite_drop(margin: float) -> None:
    with pytest.raises(ValueError, match="must be >= 0|is not a finite number"):
        gate(perception(set()), NO_BASELINE, margin=margin)


def test_confidence_finds_a_change_that_accuracy_misses(stored: Any) -> None:
    def sure(by: float) -> Results:
        rng = np.random.default_rng(1)
        logprobs = [{"Yes": -0.2 - by * float(rng.uniform()), "No": -1.5} for _ in QUESTIONS]
        records = [
            Record.of(q, "correct", choice="Yes", logprobs=own) for q, own in zip(QUESTIONS, logprobs, strict=True)
        ]
        return results(QUESTIONS, records)

    base = stored(sure(0.0))
    assert gate(sure(0.2), base).verdict == "pass"  # no answer changed
    found = gate(sure(0.5), base, "perception.confidence", margin=0.01)
    assert found.verdict == "regressed"
    (row,) = found.rows
    assert row.baseline == pytest.approx(1 / (1 + np.exp(-1.3)))
    half = sure(0.5)
    half.records[0] = replace(half.records[0], logprobs=None)
    partly = gate(half, base, "perception.confidence", minimum=0.1)
    assert partly.verdict == "invalid"
    assert "1 of 400 items have no recorded likelihoods" in partly.reason
    assert "undefined" in gate(perception(set()), base, "perception.confidence", margin=0.01).reason


def test_the_items_behind_a_judged_and_a_ranked_drop_are_named(stored: Any) -> None:
    items = [text(i) for i in range(30)]
    base = stored(results(items, [judged(t, 2, 2) for t in items]))
    worse = results(
        items, [judged(t, *((0, 1) if i == 7 else (1, 2) if i < 12 else (2, 2))) for i, t in enumerate(items)]
    )
    found = gate(worse, base, "description.sum", margin=0.05)
    assert [f.item for f in found.lost][:2] == ["mini/7-d", "mini/0-d"]
    assert (len(found.lost), len(found.gained)) == (12, 0)
    assert (found.lost[0].before, found.lost[0].after) == ("6.00", "1.50")
    pictures = [picture(i, float(i)) for i in range(60)]
    base = stored(results(pictures, [scored(p, i / 60) for i, p in enumerate(pictures)]))
    moved = results(pictures, [scored(p, 0.99 if i == 3 else i / 60) for i, p in enumerate(pictures)])
    found = gate(moved, base, "assessment.srcc")
    assert [(f.item, f.question, f.before, f.after) for f in found.lost] == [
        ("mini_a/3", "MOS ranks it at 7 %", "7 %", "100 %")
    ]


def test_scores_that_differ_by_rounding_alone_are_identical_to_srcc(stored: Any) -> None:
    """Another batch size moves scores by 1e-7 and no rank: there is no change that could be noise."""
    old = assessed(0.1)
    new = Results([replace(r, score=(r.score or 0.0) * (1 + 1e-9)) for r in old.records], old.expected, old.fingerprint)
    found = gate(new, stored(old), "assessment.srcc", margin=0.02)
    assert found.verdict == "pass"
    assert "identical on 300 items" in found.reason
    swapped = [replace(r, score=-(r.score or 0.0)) if i < 1 else r for i, r in enumerate(old.records)]
    assert (
        "identical"
        not in gate(
            Results(swapped, old.expected, old.fingerprint),
            stored(old),
            "assessment.srcc",
            dataset="mini_a",
            margin=0.01,
        ).reason
    )


@pytest.mark.parametrize("n", range(1, 9))
@pytest.mark.parametrize("comparisons", [1, 3])
def test_a_gate_judges_only_where_the_loss_of_all_items_would_fail(stored: Any, n: int, comparisons: int) -> None:
    """The mid-p value of n of n lost answers is half of 2 ** -n: SciPy's sign test, less half of its last term."""
    questions = [question(i) for i in range(n)]
    old, new = (results(questions, [answered(q, choice) for q in questions]) for choice in ("Yes", "No"))
    found = gate(new, stored(old), limits=Limits(comparisons=comparisons))
    can_fail = binom.pmf(n, n, 0.5) / 2 < 0.05 / comparisons
    assert found.verdict == ("regressed" if can_fail else "invalid")
    if not can_fail:
        assert f"{n} items of {n} photos: too few for this gate to fail" in found.reason


def test_a_baseline_without_right_answers_cannot_drop(stored: Any) -> None:
    nothing = perception(set(range(N)))
    found = gate(nothing, stored(nothing))
    assert found.verdict == "invalid"
    assert "the baseline is so low that no drop could exceed the margin" in found.reason


def test_all_items_together_are_identical_where_every_dataset_is(stored: Any) -> None:
    base = stored(several({}))
    assert [row.identical for row in gate(several({}), base).rows] == [True] * 4
    assert [row.identical for row in gate(several({"koniq": 1}), base).rows] == [True, None, True, None]


def test_a_task_without_data_and_baseline_is_named() -> None:
    nothing = Results([], {}, absent=frozenset({"perception"}))
    found = gate(nothing, MissingBaseline("none"))
    assert (found.verdict, found.nothing) == ("invalid", True)
    assert found.reason == "perception was not measured: no such items were selected"
    assert not gate(nothing, MissingBaseline("none"), dataset="mini", margin=0.01).nothing
