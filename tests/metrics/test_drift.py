"""Compare drift with an independent computation, and its verdict with the noise floor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import binomtest

from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
from pytest_qbench.baseline.store import read_baseline, write_baseline
from pytest_qbench.gates.comparison import drifts
from pytest_qbench.gates.evaluate import Limits, evaluate
from pytest_qbench.metrics.drift import compare_with_floor, drift, judge_drifts
from pytest_qbench.metrics.noise_floor import NoiseFloor, SecondMeasurement, noise_floor, noise_items
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
    # At temperature 100, scores would change a hundred times less. Drift always uses temperature 1.
    pairs = [(seen(i, *new[i], score=0.501), seen(i, *old[i], score=0.5)) for i in range(50)]
    assert drift("assessment.drift", "mini_a", pairs, WORDS).value == pytest.approx(expected[:, 0].mean())


def test_drift_is_undefined_unless_every_pair_has_its_probabilities() -> None:
    row = drift("perception.drift", "mini", [(asked(0, [-1.0, -2.0]), asked(0, None))], WORDS)
    assert row.value is None
    assert row.note == "1 of 1 items have no recorded probabilities"


def second_measurement(rng: np.random.Generator, sensitivity: np.ndarray, ratio: float) -> list[tuple[Record, Record]]:
    """Return pairs of records whose log-odds differ by noise in proportion to each item's sensitivity."""
    return [
        (asked(i, [float(ratio * s * e), 0.0]), asked(i, [0.0, 0.0]))
        for i, (s, e) in enumerate(zip(sensitivity, rng.normal(size=sensitivity.size), strict=True))
    ]


def test_drift_at_the_noise_floor_rarely_warns_and_twice_as_much_does() -> None:
    rng = np.random.default_rng(2)
    warned = {1.0: 0, 3.0: 0}
    for _ in range(100):
        sensitivity = np.exp(rng.normal(-6, 2, 64))  # as heavy-tailed as that of the embedded model
        records = {(old.task, old.item): old for _, old in second_measurement(rng, sensitivity, 1.0)}
        twice = [new for new, _ in second_measurement(rng, sensitivity, 1.0)]
        floor = noise_floor(SecondMeasurement("again", twice), records, WORDS).of("perception.drift", "mini")
        for ratio in warned:
            pairs = second_measurement(rng, sensitivity, ratio)
            found = compare_with_floor(drift("perception.drift", "mini", pairs, WORDS), pairs, WORDS, floor)
            warned[ratio] += judge_drifts([found])[0][1]
    assert binomtest(warned[1.0], 100, 0.05, alternative="greater").pvalue > 0.01
    assert warned[3.0] > 95


def test_datasets_share_alpha_and_no_floor_means_no_judgement() -> None:
    rng = np.random.default_rng(0)
    pairs = second_measurement(rng, np.full(40, 0.01), 1.6)
    row = drift("perception.drift", "mini", pairs, WORDS)
    floor = {new.item: 0.0025 for new, _ in pairs}
    found = compare_with_floor(row, pairs, WORDS, floor)
    assert found.p_value is not None
    alpha = 1.5 * found.p_value
    assert judge_drifts([found], alpha)[0][1]
    assert not any(moved for _, moved in judge_drifts([found, found], alpha))
    unknown = compare_with_floor(row, pairs, WORDS, {})
    assert judge_drifts([unknown])[0][0].note == "not judged: the baseline stores no noise floor"
    other = compare_with_floor(row, pairs, WORDS, {f"mini/{i}": 0.1 for i in range(1000, 1040)})
    assert judge_drifts([other])[0] == (
        replace(row, note="not judged: 0 items of the noise floor were measured"),
        False,
    )


def test_noise_items_are_64_of_every_dataset() -> None:
    items = [picture(i, 0.1, "big") for i in range(1000)] + [picture(i, 0.1, "small") for i in range(5)]
    chosen = noise_items([*items, *(question(i) for i in range(200))])
    assert len(chosen) == len({(i.task, i.id) for i in chosen})
    assert {d: [i.dataset for i in chosen].count(d) for d in ("big", "small", "mini")} == {
        "big": 64, "small": 5, "mini": 64,
    }  # fmt: skip
    assert max(int(i.id.partition("/")[2]) for i in chosen if i.dataset == "big") > 950  # not only the first items
    assert len(noise_items([text(0)])) == 1


def assessed(shift: float) -> Results:
    items = [picture(i, i / 40) for i in range(40)]
    return results(items, [seen(i, -1.0 + shift * (i % 5), -1.0, score=i / 40) for i in range(40)])


def stored(tmp_path: Path, how_far: float | None) -> Baseline:
    old = assessed(0.0)
    records = {(r.task, r.item): r for r in old.records}
    found = (
        None
        if how_far is None
        else noise_floor(SecondMeasurement("bfloat16", assessed(how_far).records), records, WORDS)
    )
    return read_baseline(write_baseline(tmp_path, "x", old, found))


def test_drift_is_judged_against_the_noise_floor_of_the_baseline(tmp_path: Path) -> None:
    for floor, moved in ((0.5, False), (0.05, True), (None, False)):
        ((row, found),) = drifts(assessed(0.2), stored(tmp_path, floor))
        assert found is moved
        assert (floor is None) == ("not judged" in (row.note or ""))
        assert row.value == pytest.approx(np.mean([1 / (1 + np.exp(-0.2 * (i % 5))) - 0.5 for i in range(40)]))


def test_drift_gates_only_where_asked(tmp_path: Path) -> None:
    base = stored(tmp_path, 0.05)
    value = drifts(assessed(0.2), base)[0][0].value
    assert value is not None
    for maximum, verdict in ((value + 0.001, "pass"), (value - 0.001, "regressed")):
        found = evaluate("assessment.drift", assessed(0.2), base, Limits(), maximum=maximum)
        assert found.verdict == verdict
    assert (
        evaluate("assessment.drift", assessed(0.2), MissingBaseline("none"), Limits(), maximum=0.1).verdict == "invalid"
    )
    for bounds in ({"margin": 0.1}, {"minimum": 0.1}, {"maximum": 0.1, "margin": 0.1}):
        with pytest.raises(ValueError, match="takes maximum= alone"):
            evaluate("assessment.drift", assessed(0.2), base, Limits(), **bounds)


def test_without_probabilities_a_drift_gate_is_invalid(tmp_path: Path) -> None:
    items = [picture(i, i / 40) for i in range(40)]
    bare = results(items, [Record.of(p, "measured", score=i / 40) for i, p in enumerate(items)])
    found = evaluate("assessment.drift", bare, stored(tmp_path, 0.05), Limits(), maximum=0.1)
    assert found.verdict == "invalid"
    assert "40 of 40 items have no recorded probabilities" in found.reason


@pytest.mark.parametrize("found", [0.01, {"mini": 0.01}, {"mini": {"mini/0": 0.1}, "other": 0.01}])
def test_a_noise_floor_of_another_shape_is_refused(found: Any) -> None:
    with pytest.raises(TypeError, match="noise of perception.drift"):
        NoiseFloor.from_json({"how": "again", "perception.drift": found})


def test_a_noise_floor_is_stored_with_six_digits_and_read_back() -> None:
    floor = NoiseFloor("again", {"perception.drift": {"mini": {"mini/0": 0.123456789, "mini/1": 0.0}}})
    entry = floor.to_json()
    assert entry == {"how": "again", "perception.drift": {"mini": {"mini/0": 0.123457, "mini/1": 0.0}}}
    back = NoiseFloor.from_json(entry)
    assert (back.how, back.of("perception.drift", "mini")) == ("again", entry["perception.drift"]["mini"])
    assert back.of("perception.drift", "other") == back.of("assessment.drift", "mini") == {}


def test_a_second_measurement_without_probabilities_has_no_floor() -> None:
    first = {("perception", "mini/0"): asked(0, [-1.0, -2.0])}
    silent, other = SecondMeasurement("again", [asked(0, None)]), SecondMeasurement("again", [asked(1, [-1.0, -2.0])])
    for second in (None, silent, other, SecondMeasurement("again", [])):
        assert noise_floor(second, first, WORDS) is None
    found = noise_floor(SecondMeasurement("again", [asked(0, [-2.0, -1.0]), asked(1, [-1.0, -2.0])]), first, WORDS)
    moved = float(softmax([-1.0, -2.0])[0] - softmax([-2.0, -1.0])[0])
    assert found == NoiseFloor("again", {"perception.drift": {"mini": {"mini/0": pytest.approx(moved, rel=1e-4)}}})


@pytest.mark.parametrize("n, most", [(7, 7), (8, 7), (100, 64), (3, 64)])
def test_noise_items_are_spread_evenly(n: int, most: int) -> None:
    items = [question(i) for i in range(n)]
    chosen = [items.index(item) for item in noise_items(items, most)]
    assert chosen == ([int(i * n / most) for i in range(most)] if n > most else list(range(n)))
