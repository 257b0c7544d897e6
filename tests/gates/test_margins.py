"""Suggested margins against the normal approximation, the chance to see no change, and SciPy's quantiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm, t

from pytest_qbench.baseline.baseline import as_baseline
from pytest_qbench.gates import margins
from pytest_qbench.gates.comparison import Comparison
from pytest_qbench.gates.margins import Suggestion, suggest
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import Record
from tests.builders import answered, picture, question, results, scored, text

ACCURACY = "perception.accuracy"
FIRST = norm.isf(0.05) + norm.ppf(0.9)  # standard errors between the margin and an interval that 90 % of runs keep


def asked(sizes: Sequence[int], wrong: int = 0) -> Results:
    """A run over datasets of these sizes, in which the first `wrong` questions of each are answered wrongly."""
    items = [replace(question(i), id=f"d{d}/{i}", group=f"d{d}/{i}", dataset=f"d{d}") for d, n in enumerate(sizes) for i in range(n)]  # fmt: skip
    return results(items, [answered(q, "No" if int(q.id.partition("/")[2]) < wrong else "Yes") for q in items])


def one(name: str, old: Results, new: Results | None = None, gates: int = 3) -> Suggestion:
    (found,) = suggest([name], as_baseline(Path("b"), old), new, gates)
    return found


def above(value: float) -> float:
    """The next number with two digits."""
    digits = 1 - math.floor(math.log10(value))
    return round(math.ceil(value * 10**digits) / 10**digits, 12)


@pytest.mark.parametrize("gates", [1, 3])
def test_two_runs_give_the_error_of_their_own_difference(gates: int) -> None:
    """20 of 400 answers differ, none on balance: the standard error is sqrt(20) / 400."""
    found = one(ACCURACY, asked([400], 0), asked([400], 20), gates)
    error = (
        Comparison(ACCURACY, "d0", None, asked([400], 20), as_baseline(Path("b"), asked([400]))).paired(0.05, 0).error
    )
    assert error == pytest.approx(math.sqrt(20 / 400 - 0.05**2) / 20, rel=0.03)
    assert found.margin == pytest.approx(above(FIRST * error))
    wide = max(found.margin, norm.isf(0.05 / gates) * error)
    assert found.drop == pytest.approx(wide + norm.ppf(0.8) * error)
    assert (found.metric, found.datasets, found.items, found.basis) == (ACCURACY, 1, 400, "from two runs")


@pytest.mark.parametrize("n", [10, 1_495])
def test_a_baseline_alone_assumes_that_six_per_cent_of_the_answers_change(n: int) -> None:
    """Ten items cannot exclude the drop of which they show nothing with probability 0.05."""
    found, error = one(ACCURACY, asked([n])), math.sqrt(0.06 / n)
    assert found.margin == pytest.approx(above(max(FIRST * error, 1 - 0.05 ** (1 / n))))
    assert found.drop == pytest.approx(max(found.margin, norm.isf(0.05 / 3) * error) + norm.ppf(0.8) * error)
    assert found.basis == "assuming that 6 % of the answers change"


def test_where_two_datasets_have_to_pass_each_passes_more_often() -> None:
    """0.9 is the product of two probabilities; the smaller dataset decides."""
    found = one(ACCURACY, asked([400, 900]))
    power = norm.isf(0.05) + norm.ppf(math.sqrt(0.9))
    assert found.margin == pytest.approx(above(power * math.sqrt(0.06 / 400)))
    assert (found.datasets, found.items) == (2, 1_300)
    assert "mean of 2 datasets" in str(found)
    assert "mean of" not in str(one(ACCURACY, asked([400])))


def test_a_metric_that_one_dataset_cannot_compare_has_no_suggestion() -> None:
    old, new = as_baseline(Path("b"), asked([40, 40])), asked([40, 40], 3)
    assert len(suggest([ACCURACY], old, new, 3)) == 1
    other = results(list(new.expected.values()), new.records, answer="generate")
    assert suggest([ACCURACY], old, other, 3) == []
    assert suggest([ACCURACY, "description.sum"], old, asked([40]), 3) == []


def graded(rounds: Sequence[Sequence[int]], n: int = 50) -> Results:
    """Texts whose completeness gets these grades in turn, and whose other dimensions get 1 in each round."""
    items = [text(i) for i in range(n)]
    records = []
    for i, item in enumerate(items):
        grades = list(rounds[i % len(rounds)])
        plain: list[float | None] = [1 for _ in grades]
        judge = {"completeness": grades, "preciseness": plain, "relevance": plain}
        records.append(Record.of(item, "measured", response="t", judge=judge))
    return results(items, records)


def test_the_noise_of_a_judge_follows_from_its_rounds() -> None:
    """Rounds 0, 2, 1 have the variance 1, so their mean has 1/3; rounds 1, 1, 1 have none. Two runs: twice the mean."""
    found = one("description.sum", graded([(0, 2, 1), (1, 1, 1)]))
    error = math.sqrt(2 * (1 / 3 + 0) / 2 / 50)
    unseen = 3 * (1 - 0.05 ** (1 / 50))  # every sum is 3, which a broken text loses
    assert found.margin == pytest.approx(above(max(FIRST * error, unseen)))
    assert found.drop == pytest.approx(max(found.margin, norm.isf(0.05 / 3) * error) + norm.ppf(0.8) * error)
    assert found.basis == "from the judge's rounds"
    assert suggest(["description.sum"], as_baseline(Path("b"), graded([(1,)])), None, 3) == []
    assert suggest(["description.sum"], as_baseline(Path("b"), graded([(1, 1)])), None, 3) == []


def test_quality_scores_are_assumed_to_move_by_a_tenth_of_their_deviation() -> None:
    """Perfect scores with noise of 0.1 deviations in each run. Two databases: the mean decides, its error is smaller."""
    rng = np.random.default_rng(0)

    def rated(count: int) -> Results:
        pictures = [picture(i, float(m), f"p{d}") for d in range(count) for i, m in enumerate(rng.normal(size=400))]
        return results(pictures, [scored(p, 0.5 + 0.01 * float((p.target or 0) + rng.normal())) for p in pictures])

    alone = one("assessment.plcc", rated(1))
    # The correlation of x + e with y is r / sqrt(1 + 0.01); two such differ by noise whose deviation is
    # sqrt(2 * 0.01 * (1 - r^2) / n): the part of the noise that is not along y.
    expected = FIRST * math.sqrt(2 * 0.01 / 400)
    assert 0.6 * expected < alone.margin < 1.4 * expected
    assert alone.basis == "assuming noise of 0.1 standard deviations"
    both = one("assessment.plcc", rated(2))
    assert (both.datasets, both.items) == (2, 800)
    assert both.margin < 0.9 * alone.margin


def test_few_groups_of_images_need_a_far_larger_margin() -> None:
    """Oracle: t with three degrees of freedom has a quantile 1.43 times the normal one."""
    rng = np.random.default_rng(0)
    mos = rng.normal(size=200)
    scores = 0.5 + 0.01 * (mos + rng.normal(size=200))

    def margin(groups: int) -> float:
        pictures = [replace(picture(i, float(m)), group=f"g{i % groups}") for i, m in enumerate(mos)]
        return one(
            "assessment.srcc", results(pictures, [scored(p, s) for p, s in zip(pictures, scores, strict=True)])
        ).margin

    assert margin(4) > t.isf(0.05, 3) / norm.isf(0.05) * margin(200) / 1.5
    assert margin(4) > margin(200)


def test_a_constant_score_has_no_suggestion() -> None:
    pictures = [picture(i, float(i)) for i in range(20)]
    assert suggest(["assessment.srcc"], as_baseline(Path("b"), results(pictures, [scored(p, 0.5) for p in pictures])), None, 3) == []  # fmt: skip


@pytest.mark.parametrize("value, rounded", [
    (0.0101, 0.011), (0.01, 0.01), (0.0119, 0.012), (1.21, 1.3), (9.91, 10.0), (0.0, 0.0), (0.30000000000000004, 0.3),
])  # fmt: skip
def test_margins_are_rounded_up_to_two_digits(value: float, rounded: float) -> None:
    assert margins._round_up(value) == rounded
