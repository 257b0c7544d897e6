"""Decide whether the first option that a reply names is its answer, and the rest an explanation."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_qbench.extraction.mentions import Mention
from pytest_qbench.extraction.parsed_reply import ParsedReply
from pytest_qbench.extraction.vocabulary import OF_THE_IMAGE, REVISES

_STOP = re.compile(r"\s*[.!\n]")


def is_committed(reading: ParsedReply, live: Sequence[Mention]) -> bool:
    """Whether the first of the `live` mentions is the answer although the reply names other options too.

    It is the answer if it opens or concludes the reply: by letter, or by text that ends a sentence. Nothing may
    contradict it: no letter of another option, no other conclusion, no other option right beside it. A letter without
    text is also contradicted by a statement about the whole image that names another option or rejects this one.
    """
    first = live[0]
    if first.option is None or first.polarity != "affirmed" or not (first.leading or first.stated):
        return False
    gap = reading.gaps[first.end]
    if not first.letter and not (_ends_sentence(reading, first) or (first.leading and re.match(r"\s*[,;:]", gap))):
        return False
    if REVISES.search(reading.text_after(first.end)):
        return False
    later = [m for m in reading.mentions if m.start >= first.start and m is not first and m.polarity != "ignored"]
    return not any(_is_contradiction(reading, first, m) for m in later)


def _is_contradiction(reading: ParsedReply, first: Mention, m: Mention) -> bool:
    """Whether a later mention contradicts the first one as the answer."""
    labelled = first.letter and first.end > first.start + 1
    if m.option == first.option:
        same_clause = reading.clause(m.start) == reading.clause(first.start)
        return m.polarity == "rejected" and (m.letter or same_clause or _is_of_the_image(reading, m))
    if m.polarity == "in passing":
        return m.letter and reading.labels(m.start, strictly=True) is not None
    if m.polarity == "rejected":
        return False
    if m.letter or (m.stated and reading.pause_follows(m)) or (not labelled and _is_of_the_image(reading, m)):
        return True
    between = reading.words[first.end : m.start]
    listed = all(word in ("and", "or", "also", "plus", "the", "a", "an", "as", "well") for word in between)
    if listed and not first.letter:
        return True
    beside = m.start == first.end or (m.start == first.end + 1 and between[0] in ("the", "a", "an"))
    return beside and (_ends_sentence(reading, m) or not (labelled or "\n" in reading.gaps[first.end]))


def _ends_sentence(reading: ParsedReply, m: Mention) -> bool:
    """Whether a sentence or line ends right after a mention."""
    return m.end == len(reading.words) or bool(_STOP.match(reading.gaps[m.end]))


def _is_of_the_image(reading: ParsedReply, m: Mention) -> bool:
    """Whether a mention is about the whole image: "the image is blurry", not "the background is blurry"."""
    start = reading.clause(m.start)
    return bool(OF_THE_IMAGE.match(" ".join(word for word in reading.words[start : m.start] if word != "not")))
