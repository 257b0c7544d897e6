"""Check the sentence beside a verdict: the excluded drop, the loss, and the items that would decide."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qbench.gates.reasons import amount, explain_inconclusive, explain_loss, explain_verdict
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.stats.paired_binary import paired_binary


def row(
    verdict: str, delta: float, ci: tuple[float, float], name: str = "perception.accuracy", **more: object
) -> Metric:
    return Metric(
        name, "mini", None, None, 0.8, 1_000, baseline=0.8, delta=delta, delta_ci=ci, p_value=0.04, alpha=0.0167,
        margin=0.01, verdict=verdict, test="McNemar, mid-p", **more,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    "found, sentence",
    [
        (row("pass", 0.0, (-0.0132, 0.013)), "PASS: a drop of more than 1.3 points is excluded"),
        (row("pass", 0.02, (0.004, 0.03)), "PASS: a drop of more than 0.0 points is excluded"),
        (row("regressed", -0.021, (-0.034, -0.009)), "REGRESSED: 2.1 points lost, at least 0.9"),
        (row("improved", 0.021, (0.009, 0.034)), "IMPROVED: 2.1 points gained, at least 0.9"),
        (row("pass", 0.0, (-0.05, 0.05), "description.sum"), "PASS: a drop of more than 0.050 is excluded"),
        (row("regressed", -0.045, (-0.095, -0.001), "assessment.srcc"), "REGRESSED: 0.045 lost, at least 0.001"),
    ],
)
def test_each_verdict_is_a_sentence_in_units(found: Metric, sentence: str) -> None:
    assert explain_verdict(found) == f"mini: {sentence} (margin 0.01, p = 0.04 by McNemar, mid-p)"


def test_an_inconclusive_verdict_names_the_items_or_margin_that_would_decide() -> None:
    found = row("inconclusive", -0.006, (-0.019, 0.007), items_to_pass=2_900)
    # The interval reaches 0.013 below; it has to reach 0.004: (0.013 / 0.004)^2 times the items.
    assert explain_inconclusive(found) == "between -1.9 and +0.7 points; 10,563 items or a margin of 0.02 would decide"
    assert explain_verdict(found).startswith("mini: CANNOT TELL: between -1.9 and +0.7 points; 10,563 items or ")
    quiet = row("inconclusive", -0.0004, (-0.0119, 0.011), items_to_pass=2_900)
    assert "; 2,900 items or a margin of 0.012 would decide" in explain_inconclusive(quiet)


def test_a_drop_seen_beyond_the_margin_needs_the_items_that_make_it_red() -> None:
    found = row("inconclusive", -0.02, (-0.045, 0.005))
    # z[0.0167] / z[0.05] times the reach of 0.025 has to be 0.02.
    assert explain_inconclusive(found) == "between -4.5 and +0.5 points; 2,614 items or a margin of 0.046 would decide"


def test_no_number_of_items_is_named_where_none_helps() -> None:
    unchanged = replace(row("inconclusive", 0.0, (-0.01, 0.01)), margin=0.0)  # no number of items excludes every drop
    assert explain_inconclusive(unchanged) == "between -1.0 and +1.0 points; a margin of 0.011 would decide"
    assert explain_inconclusive(row("inconclusive", -0.0099999, (-0.6, 0.5))) == "between -60.0 and +50.0 points"
    assert explain_inconclusive(row("inconclusive", -0.02, (-0.03, -0.02))).startswith(
        "between -3.0 and -2.0 points; a margin"
    )


def test_details_name_the_smallest_drop_that_is_found_and_identical_runs() -> None:
    sentence = explain_verdict(row("pass", 0.0, (-0.004, 0.004), mde=0.0123, identical=True))
    assert sentence.endswith(
        "(identical on 1,000 items, margin 0.01, p = 0.04 by McNemar, mid-p, finds drops of 1.2 points)"
    )


def test_a_number_that_rounds_to_zero_has_no_minus() -> None:
    assert amount("perception.accuracy", -0.0001) == "0.0 points"
    assert amount("assessment.srcc", -0.0001) == "0.000"
    assert "between +0.0 and +2.0 points" in explain_inconclusive(row("inconclusive", 0.01, (-0.0001, 0.02)))


def test_the_run_passes_with_the_named_margin() -> None:
    for lost in (3, 9, 20):
        old = [True] * 300
        new = [i >= lost for i in range(300)]
        found = paired_binary(new, old, range(300), 0.05)
        text = explain_inconclusive(row("inconclusive", found.delta, (found.lower, found.upper)))
        margin = float(text.partition("a margin of ")[2].partition(" ")[0])
        assert -margin < found.lower
        assert margin < 1.15 * -found.lower


@pytest.mark.parametrize("place, words", [
    ({"slice": "type=what"}, "mini type=what"),
    ({"dataset": None, "note": "all items together"}, "all items together"),
    ({"dataset": None}, "all datasets"),
])  # fmt: skip
def test_a_sentence_starts_with_its_place(place: dict[str, str | None], words: str) -> None:
    assert explain_verdict(replace(row("pass", 0.0, (-0.005, 0.005)), **place)).startswith(f"{words}: PASS")  # type: ignore[arg-type]


def test_a_loss_without_an_interval_is_the_loss_so_far() -> None:
    assert explain_loss(replace(row("regressed", -0.05, (0, 0)), delta_ci=None)) == "5.0 points lost so far"
    assert explain_loss(row("regressed", -0.05, (-0.07, -0.03))) == "5.0 points lost, at least 3.0"


@pytest.mark.parametrize("hundredths", range(1, 300))
def test_a_named_margin_is_the_next_of_two_digits_that_the_interval_excludes(hundredths: int) -> None:
    """Also where the bound itself has two digits: a drop of exactly the margin is not excluded."""
    lower = hundredths / 100
    sentence = explain_inconclusive(row("inconclusive", -0.005, (-lower, 0.0), "description.sum"))
    named = float(sentence.partition("a margin of ")[2].partition(" ")[0])
    assert lower < named <= 1.1 * lower + 1e-12


def test_a_margin_of_half_the_range_would_allow_any_drop() -> None:
    assert "margin" in explain_inconclusive(row("inconclusive", -0.005, (-0.499, 0.0)))
    assert "margin" not in explain_inconclusive(row("inconclusive", -0.005, (-0.5, 0.0)))


def test_items_beyond_a_hundred_thousand_are_no_advice() -> None:
    below, beyond = (row("inconclusive", 0.0, (-0.02, 0.02), items_to_pass=n) for n in (99_999, 100_000))
    assert "99,999 items" in explain_inconclusive(below)
    assert "items" not in explain_inconclusive(beyond)
    enough = row("inconclusive", 0.0, (-0.01, 0.02), items_to_pass=1_000)  # as many as there are
    assert "items" not in explain_inconclusive(enough)
