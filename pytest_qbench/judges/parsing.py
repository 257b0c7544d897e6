"""Reads what a judge wrote. Whatever is not exactly a verdict is none."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

_DECORATION = r"[*_`]*"
_LEAST = 0.5  # probability that the answers together must have for their shares to say anything


def read_vote(text: str, answers: Sequence[str], label: str) -> int | None:
    """Return the position in `answers` of what a reply says, or None where that cannot be read.

    Read are a line of its own, ``Score: 2`` (`label`, a colon, the answer), and a reply that is the bare answer.
    Markdown's stars and a full stop may stand around. Lines that contradict each other say nothing.
    """
    d, one_of = _DECORATION, "|".join(map(re.escape, answers))
    line = rf"^\s*{d}{re.escape(label)}{d}\s*:{d}\s*{d}({one_of}){d}\s*\.?{d}\s*$"
    found = set(re.findall(line, text, re.IGNORECASE | re.MULTILINE))
    if not found and (bare := re.fullmatch(rf"\s*{d}({one_of}){d}\.?\s*", text, re.IGNORECASE)):
        found = {bare[1]}
    named = {answer.casefold() for answer in found}
    if len(named) != 1:
        return None
    return [answer.casefold() for answer in answers].index(named.pop())


def shares(top: Mapping[str, float] | None, answers: Sequence[str]) -> list[float] | None:
    """Return the probability of each answer from log-probabilities by token, scaled to sum to 1.

    None where the answers together are less likely than not: then the first token is something else.
    """
    if top is None:
        return None
    sums = [
        math.fsum(math.exp(value) for token, value in top.items() if token.strip() == answer and math.isfinite(value))
        for answer in answers
    ]
    total = math.fsum(sums)
    return [each / total for each in sums] if total > _LEAST else None
