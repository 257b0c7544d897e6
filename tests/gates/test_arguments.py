"""Check that bounds without effect are refused for every metric."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.cli.main import main
from pytest_qbench.gates.arguments import check_bounds
from pytest_qbench.metrics.specs import DRIFTS, METRICS, SPECS

STRANGE = [math.nan, math.inf, -math.inf, True, False, np.bool_(True), "0.1", [0.1], 1j, 10**400]


@pytest.mark.parametrize("value", STRANGE, ids=repr)
@pytest.mark.parametrize("word", ["margin", "minimum", "maximum"])
def test_a_bound_must_be_a_finite_number(word: str, value: object) -> None:
    given_ = dict.fromkeys(("margin", "minimum", "maximum")) | {word: value}
    with pytest.raises((ValueError, OverflowError)):
        check_bounds("perception.accuracy", **given_)


@given(st.sampled_from(METRICS), st.floats(allow_nan=False, allow_infinity=False))
def test_a_bound_is_accepted_where_some_value_breaks_it_and_another_keeps_it(name: str, bound: float) -> None:
    least, greatest = (SPECS[name].least, SPECS[name].greatest)

    def taken(**bounds: float) -> bool:
        try:
            check_bounds(name, **{"margin": None, "minimum": None, "maximum": None, **bounds})
        except ValueError:
            return False
        return True

    assert taken(minimum=bound) == (least < bound <= greatest)
    assert taken(maximum=bound) == (least <= bound < greatest)
    assert taken(margin=bound) == (0 <= bound < (greatest - least) / 2)


@pytest.mark.parametrize("name, span", [
    ("perception.accuracy", (0, 1)), ("perception.confidence", (0, 1)), ("description.relevance", (0, 2)),
    ("description.sum", (0, 6)), ("assessment.srcc", (-1, 1)), ("assessment.plcc", (-1, 1)), *((name, (0, 1)) for name in DRIFTS),
])  # fmt: skip
def test_metrics_have_their_ranges(name: str, span: tuple[float, float]) -> None:
    assert (SPECS[name].least, SPECS[name].greatest) == span


def test_bounds_may_be_numbers_of_numpy() -> None:
    check_bounds("perception.accuracy", np.float32(0.01), Fraction(1, 2), None)


@pytest.mark.parametrize("name", DRIFTS)
def test_a_drift_takes_a_maximum_alone(name: str) -> None:
    check_bounds(name, None, None, 0.02)
    for bounds in [(0.01, None, None), (None, 0.1, None), (0.01, None, 0.02), (None, 0.01, 0.02)]:
        with pytest.raises(ValueError, match="takes maximum= alone"):
            check_bounds(name, *bounds)


def test_a_margin_of_any_drop_names_an_example_of_its_own_scale() -> None:
    with pytest.raises(ValueError, match=r"give less than 0\.5, such as 0\.01 for one point$"):
        check_bounds("perception.accuracy", 0.5, None, None)
    with pytest.raises(ValueError, match=r"give less than 3$"):
        check_bounds("description.sum", 3, None, None)


def test_a_minimum_above_the_maximum_is_refused() -> None:
    with pytest.raises(ValueError, match="is above maximum"):
        check_bounds("perception.accuracy", None, 0.9, 0.8)


@pytest.mark.parametrize("option", [
    "--gate=perception.accuracy=1", "--gate=perception.accuracy=nan", "--gate=perception.accuracy=inf", "--gate=perception.accuracy=1_0",
    "--gate=perception.accuracy=-0.1", "--gate=perception.accuracy=", "--max-errors=nan", "--max-errors=7", "--max-errors=-1",
    "--max-unparsed=inf", "--flips=-1", "--seed=-1",
])  # fmt: skip
def test_qbench_compare_refuses_the_same_bounds(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "a", "b", option]) == 4
    message = capsys.readouterr().err
    assert option.split("=")[0].split(",")[0] in message
    assert message.count("\n") == 1
