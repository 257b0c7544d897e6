"""Compute quality scores from the log-probabilities of quality words. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from pytest_qbench.errors import ItemError

GOOD_WORDS, POOR_WORDS = ("good", "fine", "high"), ("poor", "low", "bad")
"""The synonyms of Q-Bench+ (arXiv 2402.07116), which Q-Boost uses, too."""
MIDDLE_WORDS = ("average", "medium", "acceptable")
"""The middle level of Q-Boost (Q-Instruct, boost_qa/model.py)."""
THREE_LEVELS = ("good", "average", "poor")
FIVE_LEVELS = ("excellent", "good", "fair", "poor", "bad")
"""The levels of Q-Align (arXiv 2312.17090), after ITU-R BT.500."""


def quality_score(good: float, poor: float, temperature: float = 1.0) -> float:
    """Return the probability of `good` under a softmax over two logits or log-probabilities, in [0, 1].

    Formula: Q-Bench (arXiv 2309.14181), section on assessment. Its published tables divide the logits by 100. The score
    depends on the difference alone, so that common offsets cancel and nothing overflows. Raises `ItemError` if the
    difference is NaN and `ValueError` if the temperature is not positive.
    """
    _check(temperature)
    x = (good - poor) / temperature
    if math.isnan(x):
        raise ItemError(f"no quality score from the log-probabilities {good} and {poor}")
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def word_set_score(
    logits: Mapping[str, float], good: Sequence[str], poor: Sequence[str], temperature: float = 1.0
) -> float:
    """Return the probability of the `good` words under a softmax over all `good` and `poor` words, in [0, 1].

    The probabilities of synonyms add up. Raises the errors of `quality_score`, and `ItemError` for a word without a
    logit.
    """
    _check(temperature)
    sums = (_log_sum_exp([value / temperature for value in values_of(logits, words)]) for words in (good, poor))
    return quality_score(*sums)


def logit_sum_score(
    logits: Mapping[str, float], good: Sequence[str], poor: Sequence[str], temperature: float = 1.0
) -> float:
    """Return the softmax over the sums of the logits of the `good` and the `poor` words, in [0, 1].

    This is equation 2 of Q-Bench+ (arXiv 2402.07116). Log-probabilities give the same score as logits, because both
    sides have as many words. Raises `ValueError` if they have not, and the errors of `word_set_score`.
    """
    if len(good) != len(poor):
        raise ValueError(f"{len(good)} good and {len(poor)} poor words: sums of logits need as many of both")
    better, worse = (math.fsum(values_of(logits, words)) for words in (good, poor))
    return quality_score(better, worse, temperature)


def argmax_score(logits: Mapping[str, float], good: str, poor: str) -> float:
    """Return 1.0 if `good` is likelier than `poor`, else 0.0.

    This is the argmax strategy of Q-Bench. A tie counts as poor: with this rule the published cells are reproduced
    within 0.001. If ties count one half, two cells are off by up to 0.008. Raises `ItemError` for NaN and for a word
    without a logit.
    """
    a, b = values_of(logits, (good, poor))
    return float(a > b)


def level_score(logits: Mapping[str, float], words: Sequence[str], temperature: float = 1.0) -> float:
    """Return the expected worth of `words` under a softmax over them, from 1 (all the first) to 0 (all the last).

    The worth of words from good to poor is that of `even_levels`. Raises the errors of `word_set_score`.
    """
    _check(temperature)
    levels = even_levels(words)
    values = [value / temperature for value in values_of(logits, levels)]
    total = _log_sum_exp(values)
    if not math.isfinite(total):
        raise ItemError(f"the log-probabilities of {', '.join(levels)} have no finite sum")
    expected = math.fsum(level * math.exp(value - total) for level, value in zip(levels.values(), values, strict=True))
    return min(max(expected, 0.0), 1.0)


def mean_logit_score(logits: Mapping[str, float], levels: Sequence[Sequence[str]], temperature: float = 1.0) -> float:
    """Return the expected worth of levels, each with the mean logit of its words, from 1 (first level) to 0 (last).

    With three levels of three words this is Q-Boost. Raises the errors of `level_score`.
    """
    means = {"+".join(words): math.fsum(values_of(logits, words)) / len(words) for words in levels}
    return level_score(means, list(means), temperature)


def even_levels(words: Sequence[str]) -> dict[str, float]:
    """Return the worth of words from good to poor: evenly from 1 to 0, as Q-Instruct and Q-Align have it."""
    return {word: 1 - i / (len(words) - 1) for i, word in enumerate(words)}


def values_of(logits: Mapping[str, float], words: Iterable[str]) -> list[float]:
    """Return the logit of each word. Raises `ItemError` for a word that is missing or NaN."""
    values = []
    for word in words:
        if word not in logits or math.isnan(logits[word]):
            raise ItemError(f"the log-probability of {word!r} is {'NaN' if word in logits else 'missing'}")
        values.append(logits[word])
    return values


def _check(temperature: float) -> None:
    if not temperature > 0:
        raise ValueError(f"the temperature must be positive, not {temperature}")


def _log_sum_exp(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(math.fsum(math.exp(v - top) for v in values)) if math.isfinite(top) else top
