"""Whether a gate could fail: the drop that is possible, and the p-value of a loss of everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import pytest
from scipy.stats import binom

from pytest_qbench.gates.decidable import check_can_fail
from pytest_qbench.gates.targets import InvalidError
from pytest_qbench.records import Record
from tests.builders import answered, judged, picture, question, scored, text


def complaint(name: str, olds: Sequence[Record], margin: float = 0.01, level: float = 0.05) -> str | None:
    """The complaint about these records of the baseline, given as two comparisons."""
    parts = [SimpleNamespace(pairs=[(old, old) for old in part]) for part in (olds[:1], olds[1:])]
    try:
        check_can_fail(name, parts, margin, level)  # type: ignore[arg-type]
    except InvalidError as e:
        return str(e)
    return None


def questions(right: int, n: int = 40, per_photo: int = 1, **fields: object) -> list[Record]:
    items = [question(i, group=f"p{i // per_photo}") for i in range(n)]
    return [replace(answered(q, "Yes" if i < right else "No"), **fields) for i, q in enumerate(items)]  # type: ignore[arg-type]


@pytest.mark.parametrize("photos", range(1, 8))
@pytest.mark.parametrize("level", [0.5**4, 0.5**6, 0.05])
def test_as_many_photos_are_needed_as_signs_reach_the_level(photos: int, level: float) -> None:
    """The mid-p value of k signs of k, against the level: at the level itself a test does not reject."""
    said = complaint("perception.accuracy", questions(2 * photos, n=20, per_photo=2), level=level)
    assert (said is None) == (binom.pmf(photos, photos, 0.5) / 2 < level)
    if said is not None:
        assert said.startswith("20 items of 10 photos: too few for this gate to fail")


@pytest.mark.parametrize("margin, is_low", [(0.24, False), (0.25, True), (0.3, True)])
def test_a_drop_of_everything_has_to_exceed_the_margin(margin: float, is_low: bool) -> None:
    said = complaint("perception.accuracy", questions(10), margin)
    assert ("the baseline is so low" in (said or "")) is is_low


def test_a_likelihood_can_fall_also_where_the_answer_is_wrong() -> None:
    assert complaint("perception.accuracy", questions(0)) is not None
    assert complaint("perception.accuracy", questions(0, logprobs={"Yes": -2.0, "No": -0.1})) is None
    assert complaint("perception.unparsed_rate", questions(0, logprobs={"Yes": -2.0, "No": -0.1})) is None


def test_a_rate_that_should_be_low_gets_worse_by_rising() -> None:
    assert complaint("perception.unparsed_rate", questions(40)) is None
    silent = [answered(question(i), None) for i in range(40)]
    assert "the baseline is so low" in (complaint("perception.unparsed_rate", silent) or "")


def test_scores_can_always_fall_and_texts_by_their_sum() -> None:
    assert complaint("assessment.srcc", [scored(picture(i, 1.0), 0.0) for i in range(10)]) is None
    assert complaint("description.sum", [judged(text(i), 2) for i in range(10)], margin=5.9) is None
    assert complaint("description.sum", [judged(text(i), 0) for i in range(10)]) is not None


def test_items_that_do_not_count_are_no_items() -> None:
    """The yes rate counts yes-or-no questions only."""
    other = [replace(r, target="Blur", choice="Blur") for r in questions(20, n=20)]
    own = questions(3, n=3)
    assert (complaint("perception.yes_rate", [*own, *other]) or "").startswith("3 items of 3 photos: too few")
    assert "too few for this gate to fail" in (complaint("perception.yes_rate", other) or "")
