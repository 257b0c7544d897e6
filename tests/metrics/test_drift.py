"""Drift against an independent computation, and judged against the floor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from pytest_qbench.baseline.baseline import Baseline
from pytest_qbench.baseline.store import read_baseline, write_baseline
from pytest_qbench.gates.comparison import drifts
from pytest_qbench.gates.evaluate import Limits, evaluate
from pytest_qbench.metrics.drift import Floor, drift, judged, noise, noise_items
from pytest_qbench.metrics.probabilities import confidence, probabilities
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import Record
from tests.builders import picture, question, results, text

WORDS = ("good", "poor")


def asked(i: int, logprobs: list[float] | None) -> Record:
    options = dict(zip(("Yes", "No"), logprobs, strict=True)) if logprobs else None
    return Record.of(question(i), "correct", choice="Yes", logprobs=options)


def seen(i: int, good: float, poor: float, score: float = 0.5) -> Record:
    return Record.of(picture(i, 0.5), "measured", score=score, logprobs={"good": good, "poor": poor})


@given(st.dictionaries(st.text(), st.floats(-500, 0), min_size=1, max_size=5))
def test_probabilities_are_a_softmax(logprobs: dict[str, float]) -> None:
    assert list(probabilities(logprobs).values()) == pytest.approx(softmax(list(logprobs.values())))


def test_confidence_is_the_probability_of_the_right_option() -> None:
    assert confidence(asked(0, [np.log(0.3), np.log(0.1)])) == pytest.approx(0.75)
    assert confidence(asked(0, None)) is None
    assert confidence(replace(asked(0, [-1.0, -2.0]), target=None)) is None


def test_drift_of_options_and_scores_is_the_mean_absolute_change() -> None:
    rng = np.random.default_rng(0)
    new, old = rng.normal(size=(2, 50, 2))
    expected = np.abs(softmax(new, axis=1) - softmax(old, axis=1))
    row = drift("perception.drift", "mini", [(asked(i, [*new[i]]), asked(i, [*old[i]])) for i in range(50)], WORDS)
    assert row.value == pytest.approx(expected.mean())
    assert row.ci is not None
    assert row.ci[0] < row.value < row.ci[1]
    # The score of a run at temperature 100 moves a hundred times less; drift is always at temperature 1.
    pairs = [(seen(i, *new[i], score=0.501), seen(i, *old[i], score=0.5)) for i in range(50)]
    assert drift("assessment.drift", "mini_a", pairs, WORDS).value == pytest.approx(expected[:, 0].mean())


def test_drift_is_undefined_unless_every_pair_has_its_probabilities() -> None:
    row = drift("perception.drift", "mini", [(asked(0, [-1.0, -2.0]), asked(0, None))], WORDS)
    assert row.value is None
    assert row.note == "1 of 1 items have no recorded probabilities"


def test_it_moved_when_the_whole_interval_lies_above_the_floor() -> None:
    pairs = [(asked(i, [-0.5 - i / 50, -1.0]), asked(i, [-0.5, -1.0])) for i in range(50)]
    row = drift("perception.drift", "mini", pairs, WORDS)
    assert row.ci is not None
    low = row.ci[0]
    assert judged(row, Floor(0.0, low - 1e-6, 64))[1]
    assert not judged(row, Floor(0.0, low + 1e-6, 64))[1]
    unjudged, moved = judged(row, None)
    assert (unjudged.note, moved) == ("not judged: the baseline stores no noise floor", False)


def test_noise_items_are_few_and_from_every_dataset() -> None:
    items = [picture(i, 0.1, "big") for i in range(1000)] + [picture(i, 0.1, "small") for i in range(5)]
    chosen = noise_items(items)
    assert len(chosen) == len({i.id for i in chosen}) == 64
    assert [i.dataset for i in chosen].count("small") == 5
    assert max(int(i.id.partition("/")[2]) for i in chosen) > 800  # not the first of them alone
    assert len(noise_items([text(0)])) == 1


def assessed(shift: float) -> Results:
    items = [picture(i, i / 40) for i in range(40)]
    return results(items, [seen(i, -1.0 + shift * (i % 5), -1.0, score=i / 40) for i in range(40)])


def stored(tmp_path: Path, how_far: float | None) -> Baseline:
    old = assessed(0.0)
    records = {(r.task, r.item): r for r in old.records}
    found = None if how_far is None else noise("bfloat16", records, assessed(how_far).records, WORDS)
    return read_baseline(write_baseline(tmp_path, "x", old, found))


def test_drift_is_judged_against_what_the_baseline_stores(tmp_path: Path) -> None:
    for floor, moved in ((0.5, False), (0.05, True), (None, False)):
        ((row, found),) = drifts(assessed(0.2), stored(tmp_path, floor))
        assert found is moved
        assert row.value == pytest.approx(np.mean([1 / (1 + np.exp(-0.2 * (i % 5))) - 0.5 for i in range(40)]))


def test_drift_gates_only_where_asked(tmp_path: Path) -> None:
    base = stored(tmp_path, 0.05)
    value = drifts(assessed(0.2), base)[0][0].value
    assert value is not None
    for maximum, verdict in ((value + 0.001, "pass"), (value - 0.001, "regressed")):
        found = evaluate("assessment.drift", assessed(0.2), base, Limits(), maximum=maximum)
        assert found.verdict == verdict
    assert evaluate("assessment.drift", assessed(0.2), "none", Limits(), maximum=0.1).verdict == "invalid"
    for bounds in ({"margin": 0.1}, {"minimum": 0.1}, {"maximum": 0.1, "margin": 0.1}):
        with pytest.raises(ValueError, match="takes maximum= alone"):
            evaluate("assessment.drift", assessed(0.2), base, Limits(), **bounds)


def test_without_probabilities_a_drift_gate_is_invalid(tmp_path: Path) -> None:
    items = [picture(i, i / 40) for i in range(40)]
    bare = results(items, [Record.of(p, "measured", score=i / 40) for i, p in enumerate(items)])
    found = evaluate("assessment.drift", bare, stored(tmp_path, 0.05), Limits(), maximum=0.1)
    assert found.verdict == "invalid"
    assert "40 of 40 items have no recorded probabilities" in found.reason
