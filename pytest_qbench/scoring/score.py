"""A response -> a record: which option was chosen, what the quality score is. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pytest_qbench.errors import ItemError
from pytest_qbench.extraction.extract import extract_answer
from pytest_qbench.extraction.reasoning import without_reasoning
from pytest_qbench.items import Item
from pytest_qbench.prompts import QUALITY_WORDS, token_option
from pytest_qbench.records import CUT, Record, Response, Status
from pytest_qbench.scoring.quality import quality_score, values_of


@dataclass(frozen=True, slots=True)
class Scoring:
    """How log-probabilities become quality scores and these correlations; part of a run's fingerprint.

    `words` are the good and the poor one. `halves`: a database of two halves (CGIQA-6K) counts by the mean of their
    correlations, as in the published tables.
    """

    KEYS: ClassVar = ("words", "temperature", "halves")  # of its JSON

    words: tuple[str, str] = QUALITY_WORDS
    temperature: float = 1.0
    halves: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the entry of the fingerprint."""
        entry: dict[str, Any] = {"words": list(self.words), "temperature": self.temperature}
        return {**entry, "halves": "mean"} if self.halves else entry

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Scoring:
        """Return the scoring of an entry; raises `ValueError` for other than two words."""
        good, poor = data["words"]
        return cls((good, poor), data["temperature"], data.get("halves") == "mean")


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


def score(item: Item, response: Response, scoring: Scoring = DEFAULT) -> Record:
    """Return the record of `item` for what a model returned.

    perception: the option that the text chooses, or without a text the likeliest one; `correct`, `wrong` or
    `unparsed`, and `measured` where the answer is hidden. assessment: the softmax of the log-probabilities of the two
    words of `scoring`; the record keeps those of all words. A score computed elsewhere is taken as it is. description:
    the text, for a judge to score.

    Reasoning is no part of a reply: `without_reasoning` removes it first. Raises `ItemError`, which names the item, for
    a missing or non-finite log-probability, for a description without an answer, and for a perception reply that the
    token limit ended before its answer.
    """
    try:
        if item.task == "perception":
            return _perception(item, response)
        if item.task == "description":
            if not _answer(item, response):
                raise ItemError("the reply is reasoning without an answer" if response.text else "the reply is empty")
            return Record.of(item, "measured", response=response.text, finish=response.finish)
        if response.score is not None and response.logprobs is None:
            return Record.of(item, "measured", response=response.text, score=response.score)
        words = _finite(response.logprobs)
        good, poor = values_of(words, scoring.words)
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


def answer_text(reply: str | None) -> str:
    """Return a reply without the reasoning before its answer; empty where there is no answer."""
    return without_reasoning(reply or "")


def _answer(item: Item, response: Response) -> str:
    """Return the text of a response without its reasoning; raises `ItemError` where there was no room for more."""
    if response.text is None:
        raise ItemError("the model returned no text")
    answer = answer_text(response.text)
    if not answer and response.finish == CUT:
        raise ItemError(
            f"the reply ended at the token limit before its answer; allow more tokens ({token_option(item.task)})"
        )
    return answer


def _perception(item: Item, response: Response) -> Record:
    logprobs = None if response.logprobs is None else _finite(response.logprobs)
    if response.text is not None:
        choice = extract_answer(_answer(item, response), item.options).choice
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
