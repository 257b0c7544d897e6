"""The strategies of quality scores by name: which words they need and how they compute a score. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from pytest_qbench.errors import UsageError
from pytest_qbench.scoring.quality import (
    FIVE_LEVELS,
    GOOD_WORDS,
    MIDDLE_WORDS,
    POOR_WORDS,
    THREE_LEVELS,
    argmax_score,
    level_score,
    logit_sum_score,
    mean_logit_score,
    quality_score,
    values_of,
    word_set_score,
)
from pytest_qbench.scoring.score import PAPER_TEMPERATURE, Scoring

FORMS = (
    "softmax:good/poor", "argmax:good/poor", "logit-sum:good+fine/poor+bad", "probability-sum:good+fine/poor+bad",
    "levels:good/average/poor", "q-boost:good+high/average+medium/poor+low",
)  # fmt: skip
"""An example of each kind of strategy."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to compute a quality score: `score` takes the log-probabilities of `words`."""

    name: str
    words: tuple[str, ...]
    score: Callable[[Mapping[str, float]], float]


Levels = Sequence[tuple[str, ...]]


class _Formula(Protocol):
    def __call__(self, logits: Mapping[str, float], levels: Levels, temperature: float) -> float: ...


def _softmax(logits: Mapping[str, float], levels: Levels, temperature: float) -> float:
    good, poor = values_of(logits, (levels[0][0], levels[1][0]))
    return quality_score(good, poor, temperature)


def _argmax(logits: Mapping[str, float], levels: Levels, temperature: float) -> float:
    return argmax_score(logits, levels[0][0], levels[1][0])


def _probability_sum(logits: Mapping[str, float], levels: Levels, temperature: float) -> float:
    return word_set_score(logits, levels[0], levels[1], temperature)


def _logit_sum(logits: Mapping[str, float], levels: Levels, temperature: float) -> float:
    return logit_sum_score(logits, levels[0], levels[1], temperature)


def _levels(logits: Mapping[str, float], levels: Levels, temperature: float) -> float:
    return level_score(logits, [word for (word,) in levels], temperature)


_FORMULAS: Mapping[str, _Formula] = {
    "softmax": _softmax, "argmax": _argmax, "logit-sum": _logit_sum, "probability-sum": _probability_sum,
    "levels": _levels, "q-boost": mean_logit_score,
}  # fmt: skip
_HAS_SYNONYMS = ("logit-sum", "probability-sum", "q-boost")
_HAS_LEVELS = ("levels", "q-boost")


def named(text: str) -> Strategy:
    """Return the strategy of a name such as ``softmax:good/poor@100``: kind, words from good to poor, temperature.

    ``/`` separates levels and ``+`` synonyms; without ``@`` the temperature is 1. Raises `UsageError` in one line.
    """
    kind, _, rest = text.strip().partition(":")
    spelled, at, number = rest.partition("@")
    levels = [tuple(word.strip() for word in level.split("+")) for level in spelled.split("/")]
    words = [word for level in levels for word in level]
    if kind not in _FORMULAS or len(levels) < 2 or not all(words):
        raise UsageError(
            f"scoring {text!r}: no such strategy; write one such as {', '.join(FORMS)}, with @T for a temperature"
        )
    if len(set(words)) < len(words):
        raise UsageError(f"scoring {text!r}: a word stands twice")
    if kind not in _HAS_LEVELS and len(levels) > 2:
        raise UsageError(f"scoring {text!r}: {kind} takes two sides, good/poor; levels takes more")
    if kind not in _HAS_SYNONYMS and len(words) > len(levels):
        raise UsageError(
            f"scoring {text!r}: {kind} takes one word a level; {' and '.join(_HAS_SYNONYMS)} take synonyms"
        )
    if kind == "logit-sum" and len(levels[0]) != len(levels[1]):
        raise UsageError(f"scoring {text!r}: sums of logits need as many good as poor words")
    if kind == "argmax" and at:
        raise UsageError(f"scoring {text!r}: argmax has no temperature")
    return _strategy(kind, levels, _temperature(text, number) if at else 1.0)


def _temperature(text: str, number: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise UsageError(f"scoring {text!r}: the temperature after @ is a positive number")
    return value


def _strategy(kind: str, levels: Levels, temperature: float = 1.0) -> Strategy:
    heat = "" if temperature == 1 else f"@{temperature:g}"
    name = f"{kind}:{'/'.join('+'.join(level) for level in levels)}{heat}"
    score = partial(_FORMULAS[kind], levels=tuple(levels), temperature=temperature)
    return Strategy(name, tuple(word for level in levels for word in level), score)


def chosen_strategy(scoring: Scoring) -> Strategy:
    """Return the strategy of a run's own scoring."""
    kind = "softmax" if len(scoring.words) == 2 else "levels"
    return _strategy(kind, [(word,) for word in scoring.words], scoring.temperature)


def packaged_strategies() -> list[Strategy]:
    """Return the published strategies: two words, argmax, synonyms by both formulas, three and five levels, Q-Boost."""
    pairs = (("good", "poor"), ("high", "low"), ("fine", "bad"))
    found = []
    for pair in pairs:
        sides = [(word,) for word in pair]
        found += [
            _strategy("softmax", sides),
            _strategy("softmax", sides, PAPER_TEMPERATURE),
            _strategy("argmax", sides),
        ]
    for kind in ("logit-sum", "probability-sum"):
        for chosen in (pairs[:2], (pairs[0], pairs[2]), pairs):
            found.append(_strategy(kind, list(zip(*chosen, strict=True))))
    found += [_strategy("levels", [(word,) for word in words]) for words in (THREE_LEVELS, FIVE_LEVELS)]
    return [*found, _strategy("q-boost", (GOOD_WORDS, MIDDLE_WORDS, POOR_WORDS))]


STRATEGY_WORDS = tuple(dict.fromkeys(word for strategy in packaged_strategies() for word in strategy.words))
"""All words that the packaged strategies need."""
