"""The smoke judge: a word list that compares the low-level attributes in two descriptions.

It runs offline, costs nothing and is deterministic, so that descriptions can be tested without an endpoint. It knows
about two hundred English words and almost no grammar. **It never replaces a language model as judge**, and its scores
are comparable only with each other.

It splits a text into segments and finds the claims of each segment. A claim is an aspect (sharpness, cause of blur,
noise, artifacts, brightness, contrast, color, quality) with a value on a scale. It may be negated ("no noise", "free of
artifacts") and have a degree (slight to extreme) and a part of the image.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_qbench.items import DIMENSIONS
from pytest_qbench.judges.base import Verdicts
from pytest_qbench.judges.lexicon_words import (
    DEFECTS,
    DEGREES,
    NEAR,
    NEGATED,
    NEGATORS,
    NOUNS,
    OTHER_LOW_LEVEL,
    OTHER_MEANINGS,
    PARTS,
    SAYS,
    SAYS_OF,
    SIDES,
)

VERSION = 3
OVERALL = "quality"  # the aspect that sums up all others

_SEGMENTS = re.compile(
    r"[.!?;\n]+|,? \b(?:but|however|while|whereas|although|though)\b"
    r"|(?:,| and\b|, and\b)(?= (?:the|it|its|there|this|which|is|are|has|have|looks|shows|with|making|so|resulting)\b)"
)
_SIDE = re.compile(rf"\b({'|'.join(SIDES)})(?:most|[ -]hand)? (?:{PARTS})s?\b|\b(?:on|at) the ({'|'.join(SIDES)})\b")


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement about an image: `value` on the aspect's scale, `degree` from 1 to 4, `side` of the image."""

    aspect: str
    value: int
    degree: int | None = None
    side: str | None = None


class LexiconJudge:
    """Compares low-level attributes with a word list, deterministically and offline. A smoke judge only."""

    name = "lexicon"

    def describe(self) -> dict[str, Any]:
        """Return name, version of the rules and hash of the word list (16 hex digits)."""
        return {"name": self.name, "version": VERSION, "lexicon": _digest()}

    def judge(self, descriptions: Sequence[str], golden: Sequence[Sequence[str]], rounds: int) -> list[Verdicts]:
        """Return the same verdict in every round. Of several golden texts, the one with the greatest sum counts."""
        return [
            {
                dimension: [verdict] * rounds
                for dimension, verdict in zip(DIMENSIONS, _best(text, references), strict=True)
            }
            for text, references in zip(descriptions, golden, strict=True)
        ]


def verdict(description: str, golden: str) -> tuple[int | None, int | None, int | None]:
    """Return completeness, preciseness and relevance, each 0, 1 or 2, following Q-Bench's rubric.

    Completeness is 2 if the text has 95% of the golden text's claims, 0 if it has none, else 1. A claim counts half for
    a neighbouring value ("vivid" for "natural"), for a degree two steps away and for a missing part of the image.

    Preciseness is 2 if no claim contradicts the golden text. It is 1 if at most as many claims contradict as agree, and
    0 if more contradict or none agrees. A defect in an aspect that the golden text does not mention contradicts it. A
    text that names none of the golden text's defects gets 0, even if it agrees in the rest: "the brightness is normal"
    is true of most images. A text that states the overall quality alone gets 1 at most, where the golden text says
    more: "average" is near everything and describes nothing. So one sentence for all images is worth no more than the
    golden text of another image. Completeness and preciseness are None if the word list finds no claim in the golden
    text.

    Relevance depends on the share of words in segments about low-level attributes. It is 2 for three quarters (or as
    many as in the golden text), 0 for less than a quarter, else 1. An empty description gets 0, 0, 0.
    """
    if not description.strip():
        return 0, 0, 0
    said, about = _read(description)
    expected, usual = _read(golden)
    relevance = 2 if about and about >= min(0.75, usual) else 1 if about >= 0.25 else 0
    if not expected:
        return None, None, relevance
    found = sum(max((_credit(claim, other) for claim in said), default=0.0) for other in expected) / len(expected)
    completeness = 2 if found >= 0.95 else 1 if found > 0 else 0
    mentioned = {other.aspect for other in expected}
    right = wrong = 0
    for claim in said:
        rivals = [
            other for other in expected if other.aspect == claim.aspect and not _about_different_parts(claim, other)
        ]
        if any(_credit(claim, other) > 0 for other in rivals):
            right += 1
        elif rivals or (_is_defect(claim) and claim.aspect not in mentioned):
            wrong += 1
    is_vague = {claim.aspect for claim in said} == {OVERALL} != mentioned
    defects = [other for other in expected if _is_defect(other)]
    misses_all = bool(defects) and not any(
        _is_defect(claim) and _credit(claim, other) > 0 for claim in said for other in defects
    )
    preciseness = 0 if not right or wrong > right or misses_all else 1 if wrong or is_vague else 2
    return completeness, preciseness, relevance


def claims(text: str) -> list[Claim]:
    """Return the claims of `text` about low-level attributes, in order and without repetition."""
    return _read(text)[0]


def _best(description: str, golden: Sequence[str]) -> tuple[int | None, int | None, int | None]:
    verdicts = [verdict(description, text) for text in golden] or [verdict(description, "")]
    return max(verdicts, key=lambda v: sum(-1 if x is None else x for x in v))


def _credit(claim: Claim, expected: Claim) -> float:
    """Return how much of the expected claim a claim covers, in [0, 1]."""
    if claim.aspect != expected.aspect or (claim.side and expected.side and claim.side != expected.side):
        return 0.0
    same = claim.value == expected.value
    pair = min(claim.value, expected.value), max(claim.value, expected.value)
    if not same and pair not in NEAR.get(claim.aspect, ()):
        return 0.0
    far = claim.degree and expected.degree and abs(claim.degree - expected.degree) > 1
    return (1.0 if same else 0.5) * (0.5 if far else 1) * (0.5 if claim.side != expected.side else 1)


def _is_defect(claim: Claim) -> bool:
    return claim.value in DEFECTS.get(claim.aspect, ())


def _about_different_parts(claim: Claim, other: Claim) -> bool:
    """Return whether two claims differ in value and are about different parts of the image."""
    return bool(claim.side and other.side and claim.side != other.side and claim.value != other.value)


# --- parsing ---


def _table(entries: dict[str, dict[int, str]], separator: str | None) -> dict[str, list[tuple[str, int]]]:
    table: dict[str, list[tuple[str, int]]] = {}
    for aspect, values in entries.items():
        for value, phrases in values.items():
            for phrase in phrases.split(separator):
                table.setdefault(phrase.strip(), []).append((aspect, value))
    return table


_PHRASES = {**_table(SAYS, ","), **{phrase.strip(): [] for phrase in OTHER_MEANINGS.split(",")}}
_ADJECTIVES = {(aspect, word): value for word, says in _table(SAYS_OF, None).items() for aspect, value in says}
_ADJECTIVE_WORDS = {word for _, word in _ADJECTIVES}
_NOUN_ASPECT = {noun: aspect for aspect, nouns in NOUNS.items() for noun in nouns.split()}
_DEGREE = {word: degree for degree, words in DEGREES.items() for word in words.split()}
_NEGATOR_WORDS = set(NEGATORS.split())
_LOW_LEVEL_WORDS = {*OTHER_LOW_LEVEL.split(), *_NOUN_ASPECT}
_LONGEST = max(len(phrase.split()) for phrase in _PHRASES)


def _digest() -> str:
    words = [SAYS, SAYS_OF, NOUNS, DEGREES, NEGATORS, OTHER_LOW_LEVEL, OTHER_MEANINGS, SIDES, PARTS]
    tables = [VERSION, words, NEGATED, NEAR, DEFECTS]
    return hashlib.sha256(json.dumps(tables).encode()).hexdigest()[:16]


def _read(text: str) -> tuple[list[Claim], float]:
    """Return the claims of a text, and the share of words in segments about low-level attributes, in [0, 1]."""
    text = text.lower().replace("’", "'").replace("n't", " not").replace("colour", "color")
    text = re.sub(r"\b(over|under|de)-(?=expos|satur|focus)", r"\1", text).replace("-", " ")
    # The first degree of a claim counts, as in "slightly out of focus".
    degrees: dict[tuple[str, int, str | None], int | None] = {}
    words = relevant = 0
    for segment in _SEGMENTS.split(text):
        tokens = re.findall(r"[^\W_]+", segment)
        said = list(_segment_claims(tokens, _side(segment)))
        for claim in said:
            key = claim.aspect, claim.value, claim.side
            degrees[key] = degrees.get(key) or claim.degree
        words += len(tokens)
        relevant += len(tokens) if said or not _LOW_LEVEL_WORDS.isdisjoint(tokens) else 0
    found = [Claim(aspect, value, degree, side) for (aspect, value, side), degree in degrees.items()]
    return found, relevant / words if words else 0.0


def _side(segment: str) -> str | None:
    match = _SIDE.search(segment)
    return SIDES[match[1] or match[2]] if match else None


def _segment_claims(tokens: list[str], side: str | None) -> Iterator[Claim]:
    in_phrase: set[int] = set()  # positions of words that belong to a phrase
    start = 0
    while start < len(tokens):
        lengths = range(min(_LONGEST, len(tokens) - start), 0, -1)
        end = next((start + n for n in lengths if " ".join(tokens[start : start + n]) in _PHRASES), None)
        if end is None:
            start += 1
            continue
        in_phrase.update(range(start, end))
        for aspect, value in _PHRASES[" ".join(tokens[start:end])]:
            yield from _claim(tokens, start, end, aspect, value, side)
        start = end
    nouns = {i: _NOUN_ASPECT[token] for i, token in enumerate(tokens) if token in _NOUN_ASPECT and i not in in_phrase}
    for i, token in enumerate(tokens):
        if token in _ADJECTIVE_WORDS and i not in in_phrase and nouns:
            nearest = min(nouns, key=lambda noun: (abs(noun - i), noun < i))
            value_of = _ADJECTIVES.get((nouns[nearest], token))
            if value_of is not None:
                yield from _claim(tokens, i, i + 1, nouns[nearest], value_of, side)


def _claim(tokens: list[str], start: int, end: int, aspect: str, value: int, side: str | None) -> Iterator[Claim]:
    """Yield the claim of words `start` to `end` with its degree, or with its negated value if there is one."""
    before, after = tokens[:start], tokens[end : end + 4]
    negated = any(w in _NEGATOR_WORDS and before[i + 1 : i + 2] != ["only"] for i, w in enumerate(before))
    negated = negated or after[:1] == ["free"] or "absent" in after
    negated = negated or (
        "not" in after and bool({"visible", "noticeable", "present", "obvious", "apparent"} & set(after))
    )
    if not negated:
        near = [_DEGREE[w] for w in [*reversed(before[-3:]), *after[:3]] if w in _DEGREE]
        yield Claim(aspect, value, near[0] if near else None, side)
    elif value in NEGATED.get(aspect, {}):
        yield Claim(aspect, NEGATED[aspect][value], None, side)
