"""From a response to a record: which option was chosen, which quality the log-probabilities mean. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from pytest_qbench.errors import ItemError
from pytest_qbench.extraction import Extraction, extract_answer
from pytest_qbench.extraction.reasoning import without_reasoning
from pytest_qbench.items import Item
from pytest_qbench.models.base import Response
from pytest_qbench.prompts import QUALITY_WORDS
from pytest_qbench.records import CUT, Record, Status

__all__ = [
    "FIVE_LEVELS",
    "GOOD_WORDS",
    "POOR_WORDS",
    "THREE_LEVELS",
    "Extraction",
    "Scoring",
    "argmax_score",
    "choose_by_likelihood",
    "decided",
    "extract_answer",
    "level_score",
    "quality_score",
    "score",
    "without_reasoning",
    "word_set_score",
]

GOOD_WORDS, POOR_WORDS = ("good", "fine", "high"), ("poor", "low", "bad")
# What a word is worth. Five: Q-Align (arXiv 2312.17090), levels of ITU-R BT.500.
THREE_LEVELS: Mapping[str, float] = MappingProxyType({"good": 1.0, "average": 0.5, "poor": 0.0})
FIVE_LEVELS: Mapping[str, float] = MappingProxyType(
    {"excellent": 5.0, "good": 4.0, "fair": 3.0, "poor": 2.0, "bad": 1.0}
)


@dataclass(frozen=True, slots=True)
class Scoring:
    """How log-probabilities become quality scores and these correlations; part of a run's fingerprint.

    `words` are the good and the poor one. `halves`: a database of two halves (CGIQA-6K) counts by the mean of their
    correlations, as in the published tables.
    """

    words: tuple[str, str] = QUALITY_WORDS
    temperature: float = 1.0
    halves: bool = False

    def describe(self) -> dict[str, Any]:
        """Return the entry of the fingerprint."""
        described: dict[str, Any] = {"words": list(self.words), "temperature": self.temperature}
        return {**described, "halves": "mean"} if self.halves else described


DEFAULT = Scoring()
PAPER_TEMPERATURE = 100.0


def choose_by_likelihood(logprobs: Mapping[str, float]) -> str | None:
    """Return the likeliest key; None where several are exactly equally likely, for a coin toss is no answer.

    Raises `ItemError` for NaN and for no options at all.
    """
    if not logprobs:
        raise ItemError("no log-probabilities to choose from")
    for word, value in logprobs.items():
        if math.isnan(value):
            raise ItemError(f"the log-probability of {word!r} is NaN")
    best = max(logprobs.values())
    winners = [word for word, value in logprobs.items() if value == best]
    return winners[0] if len(winners) == 1 else None


def quality_score(good: float, poor: float, temperature: float = 1.0) -> float:
    """Return the probability of `good` under a softmax over two logits or log-probabilities, in [0, 1].

    Q-Bench (arXiv 2309.14181), section on assessment; its published tables divide the logits by 100. Computed from the
    difference, so that common offsets cancel and nothing overflows. Raises `ItemError` where the difference is NaN and
    `ValueError` for a temperature that is not positive.
    """
    _check(temperature)
    x = (good - poor) / temperature
    if math.isnan(x):
        raise ItemError(f"no quality score from the log-probabilities {good} and {poor}")
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def word_set_score(
    logits: Mapping[str, float],
    good: Sequence[str] = GOOD_WORDS,
    poor: Sequence[str] = POOR_WORDS,
    temperature: float = 1.0,
) -> float:
    """Return the share of the good words in the probability of all words given, in [0, 1].

    For other word pairs (`("high",)`, `("low",)`) and synonyms ("good+fine+high / poor+low+bad"): a side counts by the
    sum of its exponentials. Raises as `quality_score` does, and `ItemError` for a word without a logit.
    """
    _check(temperature)
    sides = (_log_sum_exp([value / temperature for value in _values(logits, side)]) for side in (good, poor))
    return quality_score(*sides)


def argmax_score(logits: Mapping[str, float], good: str = "good", poor: str = "poor") -> float:
    """Return 1.0 where `good` is likelier than `poor`, else 0.0.

    The argmax strategy of Q-Bench. Its published cells come out only where a tie counts as poor (within 0.001; with
    ties at one half two cells miss by up to 0.008). Raises `ItemError` for NaN and for a word without a logit.
    """
    a, b = _values(logits, (good, poor))
    return float(a > b)


def level_score(
    logits: Mapping[str, float], levels: Mapping[str, float] = FIVE_LEVELS, temperature: float = 1.0
) -> float:
    """Return the expected worth of a word under a softmax over the words of `levels`, within their least and greatest.

    With `FIVE_LEVELS` in [1, 5], with `THREE_LEVELS` in [0, 1]. Raises as `word_set_score` does.
    """
    _check(temperature)
    values = [value / temperature for value in _values(logits, levels)]
    total = _log_sum_exp(values)
    if not math.isfinite(total):
        raise ItemError(f"the log-probabilities of {', '.join(levels)} have no finite sum")
    expected = math.fsum(worth * math.exp(value - total) for worth, value in zip(levels.values(), values, strict=True))
    return min(max(expected, min(levels.values())), max(levels.values()))


def score(item: Item, response: Response, scoring: Scoring = DEFAULT) -> Record:
    """Return the record of `item` for what a model returned.

    perception: the option that the text chooses, or without a text the likeliest one; `correct`, `wrong` or
    `unparsed`, and `measured` where the answer is hidden. assessment: the softmax of the log-probabilities of the two
    words of `scoring`; the record keeps those of all words. description: the text, for a judge to score.

    Reasoning is no part of a reply: `without_reasoning` removes it first. Raises `ItemError`, which names the item, for
    a missing or non-finite log-probability, for a description without an answer, and for a perception reply that the
    token limit ended before its answer.
    """
    try:
        if item.task == "perception":
            return _perception(item, response)
        if item.task == "description":
            if not _answer(response):
                raise ItemError("the reply is reasoning without an answer" if response.text else "the reply is empty")
            return Record.of(item, "measured", response=response.text, finish=response.finish)
        words = _finite(response.logprobs)
        good, poor = _values(words, scoring.words)
        value = quality_score(good, poor, scoring.temperature)
        return Record.of(item, "measured", response=response.text, score=value, logprobs=words)
    except ItemError as e:
        raise ItemError(f"{item.id}: {e}") from e


def decided(item: Item, record: Record, votes: Sequence[int | None]) -> Record:
    """Return the record of an unparsed reply with a judge's votes on it: positions of options, None for neither.

    An option with more than half of all votes is the choice; else the reply stays unparsed. `Record.judge` keeps the
    votes as ``choice``.
    """
    kept = replace(record, judge={"choice": list(votes)})
    for option in set(votes) - {None}:
        if option is not None and 2 * votes.count(option) > len(votes):
            choice = item.options[option]
            return replace(kept, status=_status(item, choice), choice=choice)
    return kept


def _status(item: Item, choice: str) -> Status:
    return "measured" if item.answer is None else "correct" if choice == item.answer else "wrong"


def _answer(response: Response) -> str:
    """Return the text of a response without its reasoning; raises `ItemError` where there was no room for more."""
    if response.text is None:
        raise ItemError("the model returned no text")
    answer = without_reasoning(response.text)
    if not answer and response.finish == CUT:
        raise ItemError("the reply ended at the token limit before its answer; give the model more tokens")
    return answer


def _perception(item: Item, response: Response) -> Record:
    logprobs = None if response.logprobs is None else _finite(response.logprobs)
    if response.text is not None:
        choice = extract_answer(_answer(response), item.options).choice
    else:
        missing = [option for option in item.options if option not in (logprobs or {})]
        if logprobs is None or missing:
            raise ItemError(f"neither a text nor a log-probability of {', '.join(map(repr, missing)) or 'any option'}")
        choice = choose_by_likelihood({option: logprobs[option] for option in item.options})
    if choice is None:
        return Record.of(item, "unparsed", response=response.text, logprobs=logprobs, finish=response.finish)
    return Record.of(
        item, _status(item, choice), response=response.text, choice=choice, logprobs=logprobs, finish=response.finish
    )


def _finite(logprobs: Mapping[str, float] | None) -> dict[str, float]:
    """Copy log-probabilities; a record cannot hold NaN or infinity, and neither says anything."""
    for word, value in (logprobs or {}).items():
        if not math.isfinite(value):
            raise ItemError(f"the log-probability of {word!r} is {value}")
    return dict(logprobs or {})


def _values(logits: Mapping[str, float], words: Iterable[str]) -> list[float]:
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
