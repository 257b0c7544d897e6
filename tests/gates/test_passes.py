"""Gates on items that were asked several times: outcomes, K against M passes, ranks of equally many passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pytest_qbench.baseline.baseline import Baseline, as_baseline
from pytest_qbench.gates.comparison import Comparison
from pytest_qbench.gates.evaluate import Limits, evaluate
from pytest_qbench.gates.passes import equal_passes, paired_passes
from pytest_qbench.gates.targets import InvalidError
from pytest_qbench.items import Item
from pytest_qbench.metrics.results import Results, share
from pytest_qbench.records import Record, repeated
from pytest_qbench.stats.correlation import srcc
from tests.builders import answered, picture, question, results, scored, text

ITEMS = [question(i) for i in range(120)]


def asked(items: list[Item], right: np.ndarray) -> Results:
    """A run whose answer to item i in pass j is right where `right[i, j]`."""
    records = [
        repeated([answered(item, "Yes" if value else "No") for value in row])
        for item, row in zip(items, right, strict=True)
    ]
    return results(items, records)


def base(of: Results) -> Baseline:
    return as_baseline(Path("b"), of)


def drawn(seed: int, chances: np.ndarray, passes: int) -> np.ndarray:
    return np.random.default_rng(seed).random((chances.size, passes)) < chances[:, None]


def test_a_flaky_model_against_itself_is_no_regression_and_a_worse_one_is() -> None:
    chances = np.random.default_rng(0).beta(1, 0.5, 120)
    old = base(asked(ITEMS, drawn(1, chances, 5)))
    same = evaluate("perception.accuracy", asked(ITEMS, drawn(2, chances, 2)), old, Limits(), margin=0.01)
    assert same.verdict in ("inconclusive", "pass")
    assert same.rows[0].test == "generalised McNemar, mid-p"
    worse = evaluate("perception.accuracy", asked(ITEMS, drawn(3, chances * 0.7, 2)), old, Limits(), margin=0.01)
    assert worse.verdict == "regressed"


def test_values_are_means_over_the_outcomes() -> None:
    right = np.array([[True, False, True, True]] * 120)
    run = asked(ITEMS, right)
    assert run.metric("perception.accuracy", "mini").value == pytest.approx(0.75)
    assert all(record.status == "correct" for record in run.records)  # the most frequent outcome
    row = evaluate("perception.accuracy", run, base(asked(ITEMS, right[:, :2])), Limits(), margin=0.01).rows[0]
    assert (row.value, row.baseline, row.delta) == pytest.approx((0.75, 0.5, 0.25))


def test_one_failed_pass_is_an_error_of_the_item_and_unparsed_passes_are_counted() -> None:
    item = ITEMS[0]
    failed = repeated([answered(item, "Yes"), Record.of(item, "error", error="x"), answered(item, "No")])
    assert (failed.status, failed.repeats) == ("error", None)
    quarter = repeated([answered(item, choice) for choice in ("Yes", "Yes", None, "No")])
    assert share([quarter], "unparsed") == 0.25
    run = results(ITEMS, [repeated([answered(i, "Yes"), answered(i, "Yes"), answered(i, None)]) for i in ITEMS])
    found = evaluate("perception.accuracy", run, base(run), Limits(), margin=0.01)
    assert found.verdict == "invalid"
    assert "120 of 360 answers unparsed" in found.reason


def test_items_that_were_asked_unequally_often_are_not_compared() -> None:
    uneven = asked(ITEMS, drawn(1, np.full(120, 0.7), 3))
    uneven.records[5] = answered(ITEMS[5], "Yes")
    found = evaluate(
        "perception.accuracy", uneven, base(asked(ITEMS, drawn(2, np.full(120, 0.7), 3))), Limits(), margin=0
    )
    assert found.verdict == "invalid"
    assert "1 to 3 times" in found.reason


def test_only_constant_answers_are_identical() -> None:
    constant = np.repeat(np.arange(120)[:, None] % 3 > 0, 3, axis=1)
    run = asked(ITEMS, constant)
    assert Comparison("perception.accuracy", "mini", None, run, base(asked(ITEMS, constant[:, :2]))).identical
    flaky = constant.copy()
    flaky[0] = [True, False, True]
    assert not Comparison("perception.accuracy", "mini", None, asked(ITEMS, flaky), base(asked(ITEMS, flaky))).identical
    found = Comparison("perception.accuracy", "mini", None, asked(ITEMS, flaky), base(asked(ITEMS, constant)))
    assert found.discordance == pytest.approx(2 / 3 / 120)  # item 0 is always wrong in the baseline


def test_ranks_are_of_the_mean_scores_of_equally_many_passes() -> None:
    """A mean of more scores correlates better, also where nothing has changed."""
    rng = np.random.default_rng(0)
    items = [picture(i, float(i)) for i in range(80)]
    scores = np.arange(80)[:, None] / 80 + rng.normal(size=(80, 6)) / 3
    one = results(items, [scored(item, float(row[0])) for item, row in zip(items, scores, strict=True)])
    five = results(
        items, [repeated([scored(i, float(s)) for s in row[1:]]) for i, row in zip(items, scores, strict=True)]
    )
    assert five.metric("assessment.srcc", "mini_a").value == pytest.approx(srcc(scores[:, 1:].mean(axis=1), range(80)))
    row = evaluate("assessment.srcc", one, base(five), Limits(), margin=0.1).rows[0]
    assert row.baseline == pytest.approx(srcc(scores[:, 1], range(80)))
    back = evaluate("assessment.srcc", five, base(one), Limits(), margin=0.1).rows[0]
    assert back.value == pytest.approx(srcc(scores[:, 1], range(80)))
    assert back.delta == pytest.approx(back.value - back.baseline)


def test_judged_texts_count_with_the_mean_of_their_grades() -> None:
    items = [text(i) for i in range(40)]

    def graded(grades: list[int]) -> Results:
        parts = ("completeness", "preciseness", "relevance")
        records = [
            repeated([Record.of(i, "measured", response="t", judge={part: [g] for part in parts}) for g in grades])
            for i in items
        ]
        return results(items, records)

    assert graded([0, 2]).metric("description.sum", "mini").value == pytest.approx(3)
    lower = evaluate("description.sum", graded([0, 1]), base(graded([0, 2])), Limits(), margin=0.1)
    assert lower.verdict == "regressed"
    assert lower.lost_count == 40
    unread = graded([1, 1])
    unread.records[0] = replace(
        unread.records[0], repeats=(unread.records[0].outcomes[0], replace(unread.records[0].outcomes[1], judge={}))
    )
    assert evaluate("description.sum", unread, base(graded([1, 1])), Limits(), margin=0.1).verdict == "invalid"


def test_a_rate_that_should_be_low_is_compared_by_its_opposite() -> None:
    """Parsed replies are worth 1 and can lose it."""
    spoken = [repeated([answered(i, "Yes"), answered(i, "No")]) for i in ITEMS]
    half = [repeated([answered(i, None), answered(i, "No")]) for i in ITEMS]
    found = paired_passes("perception.unparsed_rate", list(zip(half, spoken, strict=True)), 0.05, False)
    assert (found.delta, found.possible_loss) == (-0.5, 1)
    assert found.p_value < 1e-6 < found.p_gain


def test_the_first_passes_of_the_longer_run_count() -> None:
    items = [picture(i, float(i)) for i in range(3)]
    five = [repeated([scored(i, s / 10) for s in (1, 3, 8, 9, 9)]) for i in items]
    two = [repeated([scored(i, s / 10) for s in (2, 4)]) for i in items]
    one = [scored(i, 0.7) for i in items]
    ((new, old), *_) = equal_passes(list(zip(five, two, strict=True)))
    assert (new.score, old.score, len(new.outcomes), len(old.outcomes)) == (
        pytest.approx(0.2),
        pytest.approx(0.3),
        2,
        2,
    )
    ((new, old), *_) = equal_passes(list(zip(one, five, strict=True)))
    assert (new, old.score, old.repeats) == (one[0], pytest.approx(0.1), None)
    ((new, old), *_) = equal_passes(list(zip(two, two, strict=True)))
    assert new.score == old.score == pytest.approx(0.3)
    with pytest.raises(InvalidError, match="2 to 5 times"):
        equal_passes([(one[0], five[0]), (one[1], two[1]), (one[2], two[2])])


def test_a_first_pass_without_a_score_leaves_the_item_without_one() -> None:
    items = [picture(i, float(i)) for i in range(3)]
    broken = [repeated([scored(i, 0.1), scored(i, 0.3), scored(i, 0.9)]) for i in items]
    broken[1] = replace(broken[1], repeats=(replace(broken[1].outcomes[0], score=None), *broken[1].outcomes[1:]))
    two = [repeated([scored(i, 0.2), scored(i, 0.4)]) for i in items]
    assert [new.score for new, _ in equal_passes(list(zip(broken, two, strict=True)))] == [
        pytest.approx(0.2),
        None,
        pytest.approx(0.2),
    ]
