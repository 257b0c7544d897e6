"""Compare diagnostics with SciPy, closed forms and counts by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit, minimize_scalar
from scipy.special import expit
from scipy.stats import binomtest, kendalltau

from pytest_qbench.items import Item
from pytest_qbench.metrics.compute import compute_metrics
from pytest_qbench.metrics.diagnostics import diagnose
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.records import Record
from pytest_qbench.stats.agreement import golden_agreement
from pytest_qbench.stats.correlation import krcc, plcc
from pytest_qbench.stats.logistic import logistic_fit
from pytest_qbench.stats.resampling import Undefined
from tests.builders import answered, judged, picture, question, results, scored, text

Values = dict[tuple[str, str | None], Metric]


def diagnosed(records: list[Record], items: list[Item]) -> Values:
    found = diagnose(records, {(i.task, i.id): i for i in items})
    return {(m.name.partition(".")[2], m.slice): m for m in found}


def test_perception() -> None:
    items = [question(i, answer="Yes" if i < 6 else "No") for i in range(10)]
    # Of six yes: four right, one wrong, one unparsed; of four no: one right, three wrong.
    choices = ["Yes"] * 4 + ["No", None] + ["No"] + ["Yes"] * 3
    records = [answered(item, choice) for item, choice in zip(items, choices, strict=True)]
    found = diagnosed(records, items)
    assert found["accuracy_parsed", None].value == pytest.approx(5 / 9)
    assert (found["accuracy_yes", None].value, found["accuracy_yes", None].n) == (pytest.approx(4 / 6), 6)
    assert (found["accuracy_no", None].value, found["accuracy_no", None].n) == (pytest.approx(1 / 4), 4)
    # Parsed: A (yes) chosen seven times, right five times of nine.
    assert found["position_bias", "position=A"].value == pytest.approx(2 / 9)
    assert found["position_bias", "position=B"].value == pytest.approx(-2 / 9)
    assert found["position_bias", None].value == pytest.approx(2 / 9)


def test_accuracy_by_position_counts_unparsed_replies_as_wrong() -> None:
    items = [replace(question(i), options=("Yes", "No") if i % 3 else ("No", "Yes")) for i in range(12)]
    # Right option at B in four: one right, two wrong, one unparsed; at A in eight: six right.
    choices = ["Yes", "Yes", "Yes", "No", "Yes", "No", "No", "Yes", "Yes", None, "Yes", "No"]
    found = diagnosed([answered(item, choice) for item, choice in zip(items, choices, strict=True)], items)
    for position, right, n in (("A", 6, 8), ("B", 1, 4)):
        row = found["accuracy_at", f"position={position}"]
        assert (row.value, row.n) == (right / n, n)
        interval = binomtest(right, n).proportion_ci(method="wilson")
        assert row.ci == pytest.approx((interval.low, interval.high))


def test_hidden_answers_have_no_accuracy() -> None:
    hidden = question(0, answer=None)
    found = diagnosed([Record.of(hidden, "measured", choice="Yes"), Record.of(question(1), "error")], [hidden])
    assert found.pop(("chance", None)).value == 0.5  # known without the answer
    others = [m for (name, _), m in found.items() if name != "chance"]
    assert {m.value for m in others} == {None}
    assert all(m.note for m in others)


@given(st.lists(st.tuples(st.integers(2, 6), st.sampled_from(["what", "how"])), min_size=1, max_size=30))
def test_chance_is_the_mean_accuracy_of_all_ways_to_answer_at_random(questions: list[tuple[int, str]]) -> None:
    items = [
        replace(question(i, answer="0", type_=kind), options=tuple(map(str, range(count))))
        for i, (count, kind) in enumerate(questions)
    ]
    found = diagnosed([answered(item, "1") for item in items], items)
    for slice_ in (None, "type=what", "type=how"):
        part = [item for item in items if slice_ in (None, f"type={item.slices['type']}")]
        right = [sum(option == item.answer for option in item.options) / len(item.options) for item in part]
        if part:
            assert found["chance", slice_].value == pytest.approx(sum(right) / len(part))
            assert found["chance", slice_].n == len(part)


@pytest.mark.parametrize(("yes", "no"), [("Yes", "No"), ("yes", "no."), ("是", "否"), ("是", "不是")])
def test_the_true_share_of_yes_stands_beside_the_yes_rate(yes: str, no: str) -> None:
    options = (yes, no)
    items = [replace(question(i, answer=yes if i < 3 else no), options=options) for i in range(8)]
    other = [replace(question(8, answer="Clear"), options=("Clear", "Not clear")), question(9, type_="what")]
    records = [answered(item, yes if i < 6 else no) for i, item in enumerate(items)]
    records += [answered(item, item.answer) for item in other]
    found = diagnosed(records, [*items, *other])
    assert (found["true_yes_rate", None].value, found["true_yes_rate", None].n) == (3 / 8, 8)
    assert (found["accuracy_yes", None].value, found["accuracy_yes", None].n) == (1.0, 3)
    assert (found["accuracy_no", None].value, found["accuracy_no", None].n) == (2 / 5, 5)
    rate = next(m for m in compute_metrics(records) if m.name == "perception.yes_rate")
    assert (rate.value, rate.n) == (6 / 8, 8)


def test_a_hidden_answer_counts_for_the_yes_rate_by_its_choice() -> None:
    items = [replace(question(i, answer=None), slices={}) for i in range(3)]
    records = [Record.of(items[0], "measured", choice="Yes"), Record.of(items[1], "measured", choice="No")]
    rate = next(m for m in compute_metrics(records) if m.name == "perception.yes_rate")
    assert (rate.value, rate.n) == (0.5, 2)


def test_tied_scores_are_counted() -> None:
    items = [picture(i, float(i)) for i in range(6)]
    found = diagnosed([scored(item, s) for item, s in zip(items, [0.1, 0.1, 0.2, 0.3, 0.3, 0.3], strict=True)], items)
    assert found["distinct_scores", None].value == 3
    assert found["tied_share", None].value == pytest.approx(5 / 6)
    assert found["krcc", None].value == pytest.approx(kendalltau([1, 1, 2, 3, 3, 3], range(6))[0])


def test_constant_scores_are_undefined_with_a_reason() -> None:
    items = [picture(i, float(i)) for i in range(6)]
    found = diagnosed([scored(item, 0.5) for item in items], items)
    assert found["distinct_scores", None].value == 1
    for name in ("krcc", "plcc_fitted", "rmse_fitted"):
        assert found[name, None].value is None
        assert "constant" in (found[name, None].note or "")


def logistic(x: np.ndarray, b: float, a: float, c: float, s: float) -> np.ndarray:
    return b + a / (1 + np.exp(-(x - c) / s))


def test_the_fit_finds_the_function_that_made_the_scores() -> None:
    x = np.linspace(0, 1, 200)
    y = logistic(x, 10, 60, 0.4, 0.1)
    assert logistic_fit(x, y) == pytest.approx(y, abs=1e-4)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_the_fit_equals_scipys_if_both_converge(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, 300)
    y = logistic(x, 1, 4, 0.5, 0.12) + rng.normal(0, 0.3, 300)
    p, _ = curve_fit(logistic, x, y, p0=[1, 4, 0.5, 0.1], maxfev=20_000)
    ours, theirs = logistic_fit(x, y), logistic(x, *p)
    assert np.sum((ours - y) ** 2) == pytest.approx(np.sum((theirs - y) ** 2), rel=1e-4)


@pytest.mark.parametrize("curve", [lambda x: x, lambda x: np.exp(4 * x), lambda x: x**3, lambda x: x > 0.5])
def test_the_fit_raises_plcc_for_any_rising_curve(curve: Callable[[np.ndarray], np.ndarray]) -> None:
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 1, 500)
    y = curve(x) + rng.normal(0, 0.02, 500)
    assert plcc(logistic_fit(x, y), y) >= plcc(x, y) - 1e-6
    assert np.mean((logistic_fit(x, y) - y) ** 2) <= np.mean((np.polyval(np.polyfit(x, y, 1), x) - y) ** 2) * (1 + 1e-4)


def test_the_fit_follows_a_step() -> None:
    x = np.linspace(0, 1, 1000)
    assert plcc(logistic_fit(x, x > 0.5), x > 0.5) > 0.9999


@pytest.mark.parametrize("sign", [1, -1])
def test_the_middle_of_the_fit_lies_at_most_one_deviation_beyond_the_scores(sign: int) -> None:
    """Where the MOS rises like an exponential, the best middle is that bound: SciPy searches the slope there alone."""
    u = np.random.default_rng(0).uniform(size=200)
    u = (u - u.mean()) / u.std()
    mos = sign * np.exp(sign * 2 * u)
    bound = sign * (float((sign * u).max()) + 1)
    best = minimize_scalar(
        lambda s: -float(np.corrcoef(expit((u - bound) * np.exp(-s)), mos)[0, 1]), bounds=(-3, 2), method="bounded"
    )
    assert plcc(logistic_fit(u, mos), mos) == pytest.approx(-best.fun, abs=1e-6)


def test_the_fit_does_not_raise_plcc_for_reversed_ranks() -> None:
    x = np.linspace(0, 1, 50)
    with pytest.raises(Undefined, match="do not rise"):
        logistic_fit(x, -x)


def test_a_fit_that_does_not_converge_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_qbench.stats.logistic.EVALUATIONS", 1)
    rng = np.random.default_rng(0)
    with pytest.raises(Undefined, match="did not converge"):
        logistic_fit(rng.uniform(size=50), rng.uniform(size=50))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=30))
def test_krcc_is_a_count_of_pairs(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs).T
    if len(set(x)) == 1 or len(set(y)) == 1:
        with pytest.raises(Undefined):
            krcc(x, y)
        return
    signs = [(np.sign(x[i] - x[j]), np.sign(y[i] - y[j])) for i in range(len(x)) for j in range(i)]
    agree = sum(a * b for a, b in signs)
    norm = np.sqrt(sum(a * a for a, _ in signs) * sum(b * b for _, b in signs))
    assert krcc(x, y) == pytest.approx(agree / norm)


def test_golden_texts_agree_by_their_words() -> None:
    assert golden_agreement(["The image is blurry."]) is None
    assert golden_agreement(["The image is blurry.", "the image is BLURRY"]) == 1
    assert golden_agreement(["a b", "c d"]) == 0
    assert golden_agreement(["a b c", "a b", "x"]) == pytest.approx((2 * 2 / 5 + 0 + 0) / 3)
    several = Item("mini/0-d", "description", "mini", None, "g", (), golden=("a b", "a c"))
    single = Item("mini/1-d", "description", "mini", None, "g", (), golden=("a",))
    found = diagnosed([judged(several, 1), judged(single, 1)], [several, single])
    assert (found["golden_agreement", None].value, found["golden_agreement", None].n) == (0.5, 1)
    assert ("golden_agreement", None) not in diagnosed([judged(single, 1)], [single])


def test_shares_of_verdicts_are_means_over_items_of_their_rounds() -> None:
    items = [text(0), text(1), text(2)]
    records = [judged(items[0], 2, 2, None, 0), judged(items[1], 1), judged(items[2], None)]
    rows = {m.name: m for m in results(items, records).diagnostics}
    found = [rows[f"description.relevance_p{k}"] for k in (0, 1, 2)]
    assert [m.value for m in found] == pytest.approx([1 / 6, 1 / 2, 1 / 3])
    assert [m.n for m in found] == [2, 2, 2]
    assert rows["description.unreadable_rate"].value == pytest.approx(2 / 6)
    assert all(m.ci and m.ci[0] <= m.value <= m.ci[1] for m in found if m.value is not None)


def test_expectations_have_no_shares_and_a_single_round_no_agreement() -> None:
    items = [text(0), text(1)]
    records = [
        replace(judged(i), judge={d: [1.37] for d in ("completeness", "preciseness", "relevance")}) for i in items
    ]
    rows = {m.name: m for m in results(items, records).diagnostics}
    assert rows["description.completeness_p1"].value is None
    assert rows["description.completeness_p1"].note == "expectations have no shares"
    assert rows["description.completeness_alpha"].note == "no item has two ratings"
    assert results(items, records).metric("description.sum", "mini").value == pytest.approx(4.11)


def test_degradation_is_the_paired_difference_to_the_clean_twins() -> None:
    clean = [question(i) for i in range(8)]
    degraded = [
        replace(question(10 + i), clean=f"mini/{i}", group=f"mini/{i}", slices={"severity": str(i % 2)})
        for i in range(8)
    ]
    right = ["Yes"] * 6 + ["No", None]  # of the clean images
    then = ["Yes"] * 3 + ["No"] * 4 + ["Yes"]
    records = [answered(i, c) for i, c in zip([*clean, *degraded], [*right, *then], strict=True)]
    found = diagnosed(records, [*clean, *degraded])
    assert (found["degradation", None].value, found["degradation", None].n) == (pytest.approx(6 / 8 - 4 / 8), 8)
    low, high = found["degradation", None].ci or (0, 0)
    assert -1 <= low < 0.25 < high <= 1
    assert found["degradation", "severity=0"].value == pytest.approx(3 / 4 - 2 / 4)
    assert found["degradation", "severity=1"].value == pytest.approx(3 / 4 - 2 / 4)
    found = diagnosed(records[1:], [*clean, *degraded])
    assert (found["degradation", None].n, found["degradation", None].note) == (
        7, "1 of 8 items lack a record of their clean twin",
    )  # fmt: skip
    assert found["degradation", None].value == pytest.approx(5 / 7 - 3 / 7)
    found = diagnosed(records[8:], [*clean, *degraded])
    assert found["degradation", None].value is None
    assert ("degradation", None) not in diagnosed(records[:8], clean)


def test_severities_are_listed_from_weak_to_strong() -> None:
    named = [replace(question(i), slices={"severity": s}) for i, s in enumerate(["high", "low", "mid"])]
    numbered = [replace(question(i), slices={"severity": s}) for i, s in enumerate(["10", "9", "0.5"])]
    for items, order in ((named, ["low", "mid", "high"]), (numbered, ["0.5", "9", "10"])):
        found = diagnosed([answered(item, "Yes") for item in items], items)
        assert [s for name, s in found if name == "chance" and s] == [f"severity={s}" for s in order]


def test_pairs_that_are_complete_have_no_note() -> None:
    clean = [question(i) for i in range(4)]
    degraded = [replace(question(10 + i), clean=f"mini/{i}", group=f"mini/{i}") for i in range(4)]
    found = diagnosed([answered(i, "Yes") for i in (*clean, *degraded)], [*clean, *degraded])
    assert (found["degradation", None].n, found["degradation", None].note) == (4, None)
