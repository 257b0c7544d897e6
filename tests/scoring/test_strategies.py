"""The names of scoring strategies and their formulas."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_qbench.errors import ItemError, UsageError
from pytest_qbench.prompt_sets.read import packaged_set
from pytest_qbench.prompts import QUALITY_WORDS
from pytest_qbench.scoring.protocols import protocol_scoring
from pytest_qbench.scoring.quality import FIVE_LEVELS
from pytest_qbench.scoring.score import Scoring
from pytest_qbench.scoring.strategies import STRATEGY_WORDS, chosen_strategy, named, packaged_strategies

PROPERTY = settings(deadline=None)  # a busy machine may be slow
LOGITS = st.fixed_dictionaries(dict.fromkeys(STRATEGY_WORDS, st.floats(-40, 0)))


@pytest.mark.parametrize("strategy", packaged_strategies(), ids=lambda strategy: strategy.name)
def test_the_name_of_a_packaged_strategy_is_read_as_that_strategy(strategy: object) -> None:
    read = named(strategy.name)  # type: ignore[attr-defined]
    logits = {word: -0.7 * i for i, word in enumerate(STRATEGY_WORDS)}
    assert (read.name, read.words) == (strategy.name, strategy.words)  # type: ignore[attr-defined]
    assert read.score(logits) == strategy.score(logits)  # type: ignore[attr-defined]


@PROPERTY
@given(LOGITS, st.floats(-50, 50))
def test_logits_and_log_probabilities_give_the_same_score(logits: dict[str, float], offset: float) -> None:
    moved = {word: value + offset for word, value in logits.items()}
    for strategy in packaged_strategies():
        if not strategy.name.startswith("argmax"):
            assert strategy.score(moved) == pytest.approx(strategy.score(logits), abs=1e-9), strategy.name
            assert 0 <= strategy.score(logits) <= 1


def test_formulas_by_hand() -> None:
    z = {
        "good": math.log(3),
        "high": math.log(2),
        "poor": 0.0,
        "low": math.log(4),
        "average": math.log(2),
        "medium": 0.0,
    }
    assert named("logit-sum:good+high/poor+low").score(z) == pytest.approx(6 / 10)
    assert named("probability-sum:good+high/poor+low").score(z) == pytest.approx(5 / 10)
    assert named("levels:good/average/poor").score(z) == pytest.approx((3 + 2 / 2) / 6)
    means = math.sqrt(6), math.sqrt(2), 2
    assert named("q-boost:good+high/average+medium/poor+low").score(z) == pytest.approx(
        (means[0] + means[1] / 2) / sum(means)
    )
    assert named("softmax:good/low@2").score(z) == pytest.approx(1 / (1 + math.sqrt(4 / 3)))
    with pytest.raises(ItemError, match="'bad'"):
        named("softmax:good/bad").score(z)


@pytest.mark.parametrize("text, why", [
    ("", "no such strategy"), ("softmax", "no such strategy"), ("good/poor", "no such strategy"), ("softmax:good", "no such"),
    ("softmax:good/", "no such strategy"), ("ITU:good/poor", "no such strategy"), ("softmax:good/poor/bad", "two sides"),
    ("softmax:good+fine/poor", "one word a level"), ("levels:good+fine/average/poor", "one word a level"),
    ("logit-sum:good+fine/poor", "as many good as poor"), ("softmax:good/good", "stands twice"),
    ("argmax:good/poor@2", "no temperature"), ("softmax:good/poor@0", "positive"), ("softmax:good/poor@", "positive"),
    ("softmax:good/poor@nan", "positive"), ("softmax:good/poor@inf", "positive"), ("levels:a/b@-1", "positive"),
])  # fmt: skip
def test_a_name_that_is_none_is_one_line(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as error:
        named(text)
    assert "\n" not in str(error.value)


def test_the_scoring_of_a_run_is_a_strategy() -> None:
    assert chosen_strategy(Scoring()).name == "softmax:good/poor"
    assert chosen_strategy(Scoring(("high", "low"), 100.0)).name == "softmax:high/low@100"
    assert chosen_strategy(Scoring(FIVE_LEVELS)).name == "levels:excellent/good/fair/poor/bad"


def test_protocols() -> None:
    assert protocol_scoring("default", QUALITY_WORDS) == Scoring()
    assert protocol_scoring("paper", ("high", "low"), packaged_set("default")) == Scoring(("high", "low"), 100.0, True)
    for prompts in ("default", "q-align"):
        assert protocol_scoring("qalign", QUALITY_WORDS, packaged_set(prompts)) == Scoring(FIVE_LEVELS)
    assert protocol_scoring("default", QUALITY_WORDS, packaged_set("q-align")) == Scoring(FIVE_LEVELS)


def test_a_protocol_keeps_the_words_of_a_prompt_set() -> None:
    """The words of the model in the published tables replace those of the paper alone."""
    assert protocol_scoring("paper", ("high", "low"), packaged_set("q-align")) == Scoring(FIVE_LEVELS, 100.0, True)
    own = replace(packaged_set("default"), name="own", words=("sharp", "blurred"))
    assert protocol_scoring("paper", ("high", "low"), own) == Scoring(("sharp", "blurred"), 100.0, True)
    assert protocol_scoring("default", ("high", "low"), own) == Scoring(("sharp", "blurred"))
    with pytest.raises(UsageError, match="--qbench-prompts=own by sharp, blurred: drop one of the two"):
        protocol_scoring("qalign", ("high", "low"), own)
    assert protocol_scoring("qalign", ("high", "low")) == Scoring(FIVE_LEVELS)
    assert protocol_scoring("paper", ("high", "low")) == Scoring(("high", "low"), 100.0, True)


@pytest.mark.parametrize(
    "good, poor, score", [((-math.inf, -math.inf), (-1.0, -2.0), 0), ((-1.0, -math.inf), (-math.inf, -math.inf), 1)]
)
def test_words_without_any_probability_lose_to_others(
    good: tuple[float, float], poor: tuple[float, float], score: float
) -> None:
    logits = dict(zip(("good", "high", "poor", "low"), (*good, *poor), strict=True))
    assert named("probability-sum:good+high/poor+low").score(logits) == score
