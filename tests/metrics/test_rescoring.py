from __future__ import annotations

import math
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from pytest_qbench.metrics.rescoring import compare_answers, compare_strategies, compare_two
from pytest_qbench.records import Record
from pytest_qbench.scoring.quality import FIVE_LEVELS
from pytest_qbench.scoring.score import DEFAULT, Scoring
from pytest_qbench.scoring.strategies import STRATEGY_WORDS, named
from tests.builders import picture, scored

RNG = np.random.default_rng(0)


def records(dataset: str, words: tuple[str, ...], n: int = 60) -> list[Record]:
    made = []
    for i in range(n):
        logits = {word: float(RNG.normal()) for word in words}
        made.append(replace(scored(picture(i, float(RNG.normal()), dataset), 0.0), logprobs=logits))
    return made


def value(compared: list, name: str, metric: str, dataset: str | None) -> float:  # type: ignore[type-arg]
    (one,) = [c for c in compared if c.strategy.name == name]
    (row,) = [m for m in one.metrics if (m.name, m.dataset) == (f"assessment.{metric}", dataset)]
    return row.value


def test_every_strategy_follows_its_formula() -> None:
    made = records("koniq", STRATEGY_WORDS)
    mos = [float(r.target or 0) for r in made]
    z = {word: np.array([(r.logprobs or {})[word] for r in made]) for word in STRATEGY_WORDS}
    e = {word: np.exp(values) for word, values in z.items()}
    triples = [
        z["good"] + z["fine"] + z["high"],
        z["average"] + z["medium"] + z["acceptable"],
        z["poor"] + z["low"] + z["bad"],
    ]
    high, middle, low = (np.exp(sums / 3) for sums in triples)
    formulas = {
        "softmax:good/poor": e["good"] / (e["good"] + e["poor"]),
        "softmax:good/poor@100": 1 / (1 + np.exp((z["poor"] - z["good"]) / 100)),
        "softmax:high/low": e["high"] / (e["high"] + e["low"]),
        "softmax:fine/bad": e["fine"] / (e["fine"] + e["bad"]),
        "argmax:good/poor": z["good"] > z["poor"],
        "argmax:high/low": z["high"] > z["low"],
        "logit-sum:good+high/poor+low": 1 / (1 + np.exp(z["poor"] + z["low"] - z["good"] - z["high"])),
        "logit-sum:good+high+fine/poor+low+bad": 1 / (1 + np.exp(triples[2] - triples[0])),
        "probability-sum:good+high+fine/poor+low+bad": (good := e["good"] + e["fine"] + e["high"]) / (good + e["poor"] + e["low"] + e["bad"]),
        "levels:good/average/poor": (e["good"] + e["average"] / 2) / (e["good"] + e["average"] + e["poor"]),
        "levels:excellent/good/fair/poor/bad": sum((5 - i) * e[w] for i, w in enumerate(FIVE_LEVELS)) / sum(e[w] for w in FIVE_LEVELS),
        "q-boost:good+fine+high/average+medium+acceptable/poor+low+bad": (high + middle / 2) / (high + middle + low),
    }  # fmt: skip
    compared = compare_strategies(made, DEFAULT)
    assert compared[0].strategy.name == "softmax:good/poor"
    assert not any(one.missing for one in compared)
    assert {one.strategy.name for one in compared} >= set(formulas)
    for name, expected in formulas.items():
        scores = np.asarray(expected, dtype=float)
        assert value(compared, name, "srcc", "koniq") == pytest.approx(spearmanr(scores, mos)[0]), name
        assert value(compared, name, "plcc", "koniq") == pytest.approx(pearsonr(scores, mos)[0]), name


def test_missing_words_are_listed() -> None:
    made = records("koniq", ("good", "poor"))
    made[3] = replace(made[3], logprobs={**(made[3].logprobs or {}), "high": -9.0})
    compared = {one.strategy.name: one for one in compare_strategies(made, DEFAULT)}
    assert compared["softmax:high/low"].missing == {"koniq": {"high": 1, "low": 0}}
    assert set(compared["levels:excellent/good/fair/poor/bad"].missing["koniq"]) == {"excellent", "fair", "bad"}
    assert not compared["argmax:good/poor"].missing


def test_a_database_without_the_words_is_left_out_of_a_row() -> None:
    made = records("koniq", ("good", "poor")) + records("spaq", ("good", "poor", "high", "low"))
    compared = {one.strategy.name: one for one in compare_strategies(made, DEFAULT)}
    assert {m.dataset for m in compared["argmax:high/low"].metrics} == {"spaq", None}
    assert {m.dataset for m in compared["argmax:good/poor"].metrics} == {"koniq", "spaq", None}


def test_the_scoring_of_the_run_comes_first_and_decides_about_halves() -> None:
    made = [replace(r, slices={"half": "ab"[i % 2]}) for i, r in enumerate(records("cgiqa", ("high", "low")))]
    compared = compare_strategies(made, Scoring(("high", "low"), 100.0, averages_halves=True))
    assert compared[0].strategy.name == "softmax:high/low@100"
    parts = [[r for r in made if r.slices["half"] == half] for half in "ab"]
    expected = fmean(
        spearmanr([(r.logprobs or {})["high"] - (r.logprobs or {})["low"] for r in part], [r.target for r in part])[0]
        for part in parts
    )
    assert value(compared, "softmax:high/low", "srcc", "cgiqa") == pytest.approx(expected)
    (hotter,) = [one for one in compared if one.strategy.name == "softmax:high/low"]
    assert {c.dataset: c.is_same for c in hotter.changes if c.metric == "assessment.srcc"} == {
        "cgiqa": True,
        None: True,
    }


def test_errors_and_records_without_logits_do_not_count() -> None:
    made = records("koniq", ("good", "poor"))
    extra = [replace(made[0], status="error", logprobs=None), replace(made[1], logprobs=None)]
    one, other = compare_strategies(made, DEFAULT), compare_strategies([*made, *extra], DEFAULT)
    assert value(one, "argmax:good/poor", "srcc", "koniq") == value(other, "argmax:good/poor", "srcc", "koniq")
    assert not math.isnan(value(one, "argmax:good/poor", "srcc", "koniq"))


def test_answers_by_the_mean_per_token_beside_those_by_the_sum() -> None:
    def answered(i: int, sums: dict[str, float], tokens: dict[str, int] | None, target: str) -> Record:
        choice = max(sums, key=lambda option: sums[option])
        status = "correct" if choice == target else "wrong"
        result: dict[str, Any] = {"choice": choice, "target": target, "logprobs": sums, "tokens": tokens}
        return Record(f"d/{i}", "perception", "d", None, f"d/{i}", status, **result)  # type: ignore[arg-type]

    long = {"Yes": -1.0, "a very long option": -3.0}
    records = [
        answered(0, long, {"Yes": 1, "a very long option": 4}, "a very long option"),
        answered(1, long, {"Yes": 1, "a very long option": 2}, "Yes"),
        answered(2, {"Yes": -1.0, "No": -2.0}, {"Yes": 2, "No": 4}, "No"),  # both -0.5: a tie is no answer
        answered(3, long, None, "Yes"),
    ]
    assert [(r.rule, r.items, r.correct, r.changed) for r in compare_answers(records)] == [
        ("sum over tokens", 3, 1, 0), ("mean per token", 3, 2, 2),
    ]  # fmt: skip


def test_a_change_that_is_undefined_in_a_database_says_where_and_its_mean_too() -> None:
    """In spaq every image is called good, so argmax gives one score to all."""
    certain = [replace(r, logprobs={"good": 0.0, "poor": -1.0 - i}) for i, r in enumerate(records("spaq", ("good",)))]
    compared = compare_strategies(records("koniq", ("good", "poor")) + certain, DEFAULT)
    (argmax,) = [one for one in compared if one.strategy.name == "argmax:good/poor"]
    found = {change.dataset: change for change in argmax.changes if change.metric == "assessment.srcc"}
    assert (found["koniq"].problem, found["koniq"].is_same) == ("", False)
    assert (found["spaq"].paired, found["spaq"].is_same, found["spaq"].p_value) == (None, False, None)
    assert found["spaq"].problem == "the correlation of a constant list"
    assert (found[None].paired, found[None].problem) == (None, "undefined in spaq")
    assert compared[0].changes == ()


def test_the_change_of_the_mean_is_the_mean_of_the_changes() -> None:
    """A database without a change has a change of zero, and counts."""
    changed = records("koniq", ("good", "poor", "high", "low"))
    same = [replace(r, logprobs={**(r.logprobs or {}), "high": (r.logprobs or {})["good"], "low": (r.logprobs or {})["poor"]})
            for r in records("spaq", ("good", "poor"))]  # fmt: skip
    new, old = named("softmax:high/low"), named("softmax:good/poor")
    both = compare_two([*changed, *same], new, old, averages_halves=False, seed=0)
    found = {c.dataset: c for c in both.changes if c.metric == "assessment.srcc"}
    paired = {name: change.paired for name, change in found.items()}
    assert None not in paired.values()
    assert found["spaq"].is_same
    assert not found["koniq"].is_same
    assert not found[None].is_same
    assert paired[None].delta == pytest.approx(paired["koniq"].delta / 2)  # type: ignore[union-attr]
    srcc = "assessment.srcc"
    assert paired["koniq"].delta == pytest.approx(both.new[srcc, "koniq"] - both.old[srcc, "koniq"])  # type: ignore[union-attr, operator]
    assert both.new[srcc, None] == pytest.approx((both.new[srcc, "koniq"] + both.new[srcc, "spaq"]) / 2)  # type: ignore[operator]
    assert found["koniq"].p_value == pytest.approx(2 * min(paired["koniq"].p_value, paired["koniq"].p_gain))  # type: ignore[union-attr]
    unchanged = compare_two(same, new, old, averages_halves=False, seed=0)
    assert all(change.is_same and change.p_value is None for change in unchanged.changes)
    assert not any(both.missing.values())


def test_two_strategies_are_compared_on_the_databases_that_have_the_words_of_both() -> None:
    made = records("koniq", ("good", "poor")) + records("spaq", ("good", "poor", "high", "low"))
    found = compare_two(made, named("softmax:high/low"), named("softmax:good/poor"), averages_halves=False, seed=0)
    assert {dataset for _, dataset in found.new} == {dataset for _, dataset in found.old} == {"spaq", None}
    assert {change.dataset for change in found.changes} == {"spaq", None}
    assert found.missing == {"softmax:good/poor": {}, "softmax:high/low": {"koniq": {"high": 0, "low": 0}}}
