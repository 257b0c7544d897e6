"""Turn a response into a record: find the chosen option or compute the quality score. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pytest_qbench.errors import ItemError
from pytest_qbench.extraction.extract import extract_answer
from pytest_qbench.extraction.reasoning import without_reasoning
from pytest_qbench.extraction.several import extract_several
from pytest_qbench.items import Item, joined_options
from pytest_qbench.prompts import QUALITY_WORDS, UNPARSED_HINT, token_option
from pytest_qbench.records import CUT, Record, Response, Status
from pytest_qbench.scoring.quality import level_score, quality_score, values_of


@dataclass(frozen=True, slots=True)
class Scoring:
    """Settings for quality scores and their correlations; part of a run's fingerprint.

    `words` go from good to poor: two, or a scale of levels (`quality.even_levels`). With `averages_halves`, the
    correlation of a database with two halves (CGIQA-6K) is the mean of the halves' correlations, as in the published
    tables.
    """

    KEYS: ClassVar = ("words", "temperature", "halves")  # keys of the JSON entry

    words: tuple[str, ...] = QUALITY_WORDS
    temperature: float = 1.0
    averages_halves: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the entry of the fingerprint."""
        entry: dict[str, Any] = {"words": list(self.words), "temperature": self.temperature}
        return {**entry, "halves": "mean"} if self.averages_halves else entry

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Scoring:
        """Return the scoring of an entry. Raises `ValueError` if it has fewer than two words."""
        if len(data["words"]) < 2:
            raise ValueError(f"scoring.words is {data['words']}")
        return cls(tuple(data["words"]), data["temperature"], data.get("halves") == "mean")


DEFAULT = Scoring()


PAPER_TEMPERATURE = 100.0


def explain_unparsed(record: Record) -> str:
    """Return why an unparsed item counts as such, where that is not obvious, and the remedy."""
    if record.logprobs and record.response is None:
        return "its best options are equally likely: let option_loglikelihoods return distinct values"
    return UNPARSED_HINT


def choose_by_likelihood(logprobs: Mapping[str, float]) -> str | None:
    """Return the likeliest key, or None for an exact tie: a coin toss is not an answer.

    Raises `ItemError` for NaN and for an empty mapping.
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
    """Return the record of `item` for a model's response.

    - perception: the choice is the option that the text names, or without a text the likeliest option. Where several
      answers are right, the choice is all options that the text chooses, and only the exact set is right. The status is
      `correct`, `wrong` or `unparsed`, or `measured` if the answer is hidden.
    - assessment: the score is the softmax over the log-probabilities of the two words of `scoring`, or the expected
      worth of more words. The record keeps the log-probabilities of all words. A score computed elsewhere is used
      unchanged.
    - description: the record holds the text, which a judge grades later.

    Reasoning is removed before a reply is read. Raises `ItemError`, which names the item, for a missing or non-finite
    log-probability, for a description without an answer, and for a perception reply that was cut off before its answer.
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
        if len(scoring.words) == 2:
            good, poor = values_of(words, scoring.words)
            value = quality_score(good, poor, scoring.temperature)
        else:
            value = level_score(words, scoring.words, scoring.temperature)
        return Record.of(item, "measured", response=response.text, score=value, logprobs=words)
    except ItemError as e:
        raise ItemError(f"{item.id}: {e}") from e


def apply_votes(item: Item, record: Record, votes: Sequence[int | None]) -> Record:
    """Return the record of an unparsed reply after a judge's votes on it.

    A vote is the position of an option, or None for no option. An option with more than half of all votes becomes the
    choice. Without such an option, the reply stays unparsed. `Record.judge` keeps the votes as ``choice``.
    """
    kept = replace(record, judge={"choice": list(votes)})
    for option in set(votes) - {None}:
        if option is not None and 2 * votes.count(option) > len(votes):
            choice = item.options[option]
            return replace(kept, status=_status(item, choice), choice=choice)
    return kept


def marked(item: Item, record: Record, votes: Sequence[int | None]) -> Record:
    """Return the record of a reply with a judge's votes on whether it is right: 1, 0, or None for an unreadable one.

    More than half of all votes decide; else the reply counts as unparsed. `choice` is the right option of a right
    reply, and of a wrong one what extraction found unless that is the right option. `Record.judge` keeps the votes as
    ``correct``.
    """
    kept = replace(record, judge={"correct": list(votes)})
    if 2 * votes.count(1) > len(votes):
        return replace(kept, status="correct", choice=item.answer)
    if 2 * votes.count(0) > len(votes):
        return replace(kept, status="wrong", choice=None if record.choice == item.answer else record.choice)
    return replace(kept, status="unparsed", choice=None)


def _status(item: Item, choice: str) -> Status:
    return "measured" if item.answer is None else "correct" if choice == item.answer else "wrong"


def answer_text(reply: str | None) -> str:
    """Return a reply without the reasoning before its answer. The result is empty if there is no answer."""
    return without_reasoning(reply or "")


def _answer(item: Item, response: Response) -> str:
    """Return the text of a response without its reasoning. Raises `ItemError` if it was cut off before its answer."""
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
    if item.answers:
        if response.text is None:
            raise ItemError("several answers are right; ask for a reply in text (--qbench-answer=generate)")
        several = extract_several(_answer(item, response), item.options).choices
        choice = None if several is None else joined_options(several)
    elif response.text is not None:
        choice = extract_answer(_answer(item, response), item.options).choice
    else:
        missing = [option for option in item.options if option not in (logprobs or {})]
        if logprobs is None or missing:
            raise ItemError(f"neither a text nor a log-probability of {', '.join(map(repr, missing)) or 'any option'}")
        choice = choose_by_likelihood({option: logprobs[option] for option in item.options})
    if choice is None:
        return Record.of(
            item, "unparsed", response=response.text, logprobs=logprobs, finish=response.finish, tokens=response.tokens
        )
    return Record.of(
        item, _status(item, choice), response=response.text, choice=choice, logprobs=logprobs, finish=response.finish,
        tokens=response.tokens,
    )  # fmt: skip


def _finite(logprobs: Mapping[str, float] | None) -> dict[str, float]:
    """Return a copy of the log-probabilities. Raises `ItemError` for NaN and infinity, which a record cannot hold."""
    for word, value in (logprobs or {}).items():
        if not math.isfinite(value):
            raise ItemError(f"the log-probability of {word!r} is {value}")
    return dict(logprobs or {})
