"""Parse a judge's reply. Anything but an exact verdict is unreadable, and the reason quotes the reply."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_qbench.extraction.reasoning import without_reasoning

_DECORATION = r"[*_`]*"
_LEAST = 0.5  # minimum total probability of the answers; below it, the likeliest first token is something else
_QUOTED = 80  # maximum characters of a reply in a message


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The reason why a reply is not a verdict. `cut`: whether the reply ended at the token limit."""

    reason: str
    cut: bool = False

    def __str__(self) -> str:
        """Return the reason and the remedy, in one line."""
        remedy = "give it more tokens with --qbench-judge-arg=max_new_tokens=N" if self.cut else "take another judge"
        return f"the judge's reply cannot be read: {self.reason}; {remedy}"


def read_vote(text: str, answers: Sequence[str], label: str, *, cut: bool = False) -> int | Unreadable:
    """Return the position in `answers` of the answer that a reply gives, or why the reply is unreadable.

    A reply gives its answer on a separate line, ``Score: 2`` (`label`, a colon, the answer), or consists of the answer
    alone. Markdown emphasis and a full stop may surround it. Reasoning before the answer does not count. Lines that
    contradict each other are unreadable. `cut`: whether the reply ended at the token limit.
    """
    reply = without_reasoning(text)
    d, one_of = _DECORATION, "|".join(map(re.escape, answers))
    line = rf"^\s*{d}{re.escape(label)}{d}\s*:{d}\s*{d}({one_of}){d}\s*\.?{d}\s*$"
    found = set(re.findall(line, reply, re.IGNORECASE | re.MULTILINE))
    if not found and (bare := re.fullmatch(rf"\s*{d}({one_of}){d}\.?\s*", reply, re.IGNORECASE)):
        found = {bare[1]}
    named = {answer.casefold() for answer in found}
    if len(named) == 1:
        return [answer.casefold() for answer in answers].index(named.pop())
    if cut:
        return Unreadable(f"it ran out of tokens after {quoted(text)}", cut=True)
    return Unreadable(f'{quoted(text)} is not "{label}: {"|".join(answers)}"')


def answer_probabilities(top: Mapping[str, float], answers: Sequence[str]) -> list[float] | Unreadable:
    """Return the probability of each answer, scaled to sum to 1, from log-probabilities of first tokens.

    The result is unreadable if the answers together have a probability of at most one half.
    """
    sums = [
        math.fsum(math.exp(value) for token, value in top.items() if token.strip() == answer and math.isfinite(value))
        for answer in answers
    ]
    total = math.fsum(sums)
    if total > _LEAST:
        return [each / total for each in sums]
    likeliest = max(top, key=lambda token: top[token], default="")
    return Unreadable(f"its likeliest first token is {quoted(likeliest)}, not {'|'.join(answers)}")


def quoted(text: str) -> str:
    """Return a text in quotes on one line, shortened and with control characters escaped."""
    short = text if len(text) <= _QUOTED else text[: _QUOTED - 3] + "..."
    return repr(short)
