from __future__ import annotations

import pytest

from pytest_qbench.metrics.direction import reversed_scales
from pytest_qbench.metrics.metric import Metric


def srcc(lower: float, upper: float, dataset: str | None = "csiq", slice_: str | None = None) -> Metric:
    return Metric("assessment.srcc", dataset, None, slice_, (lower + upper) / 2, 100, (lower, upper))


def test_an_interval_below_zero_names_the_setting() -> None:
    (text,) = reversed_scales([srcc(-0.99, -0.97)])
    assert text.startswith("csiq: SRCC -0.9800 in [-0.9900, -0.9700] is below zero")
    assert "higher_is_better: false in datasets.yaml" in text


@pytest.mark.parametrize(
    "metric", [srcc(-0.5, 0.1), srcc(0.1, 0.5), srcc(-0.9, -0.8, None), srcc(-0.9, -0.8, slice_="half=game")]
)
def test_other_intervals_give_no_sentence(metric: Metric) -> None:
    assert reversed_scales([metric]) == []


def test_a_stated_direction_gives_no_sentence() -> None:
    assert reversed_scales([srcc(-0.99, -0.97)], ["csiq"]) == []
