"""Golden texts against each other: the score of a human expert, and how far the experts agree."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from pytest_qbench.engine.grader import error_record
from pytest_qbench.errors import ItemError, UsageError
from pytest_qbench.items import DIMENSIONS, Item
from pytest_qbench.judges.base import Judge, Verdicts
from pytest_qbench.judges.lexicon import claims
from pytest_qbench.records import Record
from pytest_qbench.stats.agreement import alpha
from pytest_qbench.stats.resampling import Undefined


@dataclass(frozen=True, slots=True)
class Agreement:
    """Krippendorff's alpha of the experts on one aspect of the images. `note` says why it is undefined.

    `same` is the share of equal pairs of ratings, a mean over items. `items` counts the items that two experts rated.
    """

    aspect: str
    items: int
    same: float | None
    alpha: float | None
    note: str = ""


def items_of_several_experts(items: Iterable[Item]) -> list[Item]:
    """Return the items with at least two golden texts. Raises `UsageError` if there are none."""
    found = [item for item in items if len(item.golden) > 1]
    if not found:
        raise UsageError("no item has two golden texts: give a list of texts in the field golden (docs: studies)")
    return found


def repeated_texts(items: Iterable[Item]) -> int:
    """Return the number of golden texts that repeat another of their item word for word."""
    return sum(len(item.golden) - len(set(item.golden)) for item in items)


def grade_experts(judge: Judge, items: Sequence[Item], rounds: int) -> list[Record]:
    """Return a record per item with the verdicts on each golden text, each judged against the others of its item."""
    return _graded(judge, items, [item.golden for item in items], rounds)


def grade_replies(judge: Judge, items: Sequence[Item], replies: Sequence[str], rounds: int) -> list[Record]:
    """Return a record per item with the verdicts on a model's reply, judged by the same sets of texts as the experts.

    Each set leaves one golden text out, for more texts are easier to match.
    """
    repeated = [[reply] * len(item.golden) for item, reply in zip(items, replies, strict=True)]
    return _graded(judge, items, repeated, rounds)


def _graded(judge: Judge, items: Sequence[Item], texts: Sequence[Sequence[str]], rounds: int) -> list[Record]:
    golden = [_others(item.golden, i) for item in items for i in range(len(item.golden))]
    verdicts = iter(judge.judge([text for own in texts for text in own], golden, rounds))
    return [_record(item, own[0], [next(verdicts) for _ in own]) for item, own in zip(items, texts, strict=True)]


def _others(texts: Sequence[str], i: int) -> tuple[str, ...]:
    return (*texts[:i], *texts[i + 1 :])


def _record(item: Item, text: str, verdicts: Sequence[Verdicts | ItemError]) -> Record:
    read: list[Verdicts] = []
    for one in verdicts:
        if isinstance(one, ItemError):
            return error_record(item, one)
        read.append(one)
    joined = {dimension: [verdict for one in read for verdict in one[dimension]] for dimension in DIMENSIONS}
    return Record.of(item, "measured", response=text, judge=joined)


def agreement(items: Sequence[Item]) -> Iterator[Agreement]:
    """Yield the agreement of the experts on each aspect that the word list finds in their texts.

    The rating of an expert is the value that the text states of the whole image. A text that states none, or two,
    has no rating.
    """
    ratings = [[_ratings(text) for text in item.golden] for item in items]
    aspects = dict.fromkeys(aspect for texts in ratings for own in texts for aspect in own)
    for aspect in sorted(aspects):
        rows = [[own.get(aspect) for own in texts] for texts in ratings]
        rated = [row for row in rows if sum(value is not None for value in row) > 1]
        same = fmean(map(_share_of_equal_pairs, rated)) if rated else None
        try:
            yield Agreement(aspect, len(rated), same, alpha(rated))
        except Undefined as e:
            yield Agreement(aspect, len(rated), same, None, str(e))


def _share_of_equal_pairs(row: Sequence[float | None]) -> float:
    given = [value for value in row if value is not None]
    return fmean(a == b for a, b in itertools.combinations(given, 2))


def _ratings(text: str) -> dict[str, float]:
    values: dict[str, set[int]] = {}
    for claim in claims(text):
        if claim.side is None:
            values.setdefault(claim.aspect, set()).add(claim.value)
    return {aspect: float(*found) for aspect, found in values.items() if len(found) == 1}
