"""Find the options that a free-text reply chooses where a question has several right answers."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_qbench.extraction.container import marked_answer
from pytest_qbench.extraction.normalize import plain, plain_option
from pytest_qbench.extraction.parsed_reply import ParsedReply
from pytest_qbench.extraction.refusal import is_refusal

LONGEST = 30_000  # characters of the longest reply that is searched for answers
_AND = r"(?:[,;/&+\n、，；]|\band\b|\bund\b|[和与])"
# "A, C", "A and C", "(A) (C)", "[A, C]", and letters without anything between them: "AC".
_LETTERS = re.compile(rf"\W*[A-Za-z](?:\W*{_AND}*\W*[A-Za-z])*\W*")
_INTRODUCTION = re.compile(
    r"(?is).*\b(?:answers?|options?|choices?)\b(?:\s+(?:is|are))?\s*[:：]?\s+|.*答案[是为:：]*\s*"
)
_LABEL = re.compile(r"\W*([A-Za-z])\s*[.):：]\W*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class SeveralExtraction:
    """The chosen options in the order of the question (None: unparsed), and the rule or the reason."""

    choices: tuple[str, ...] | None
    rule: str


def extract_several(reply: str, options: Sequence[str]) -> SeveralExtraction:
    """Return the options that `reply` chooses, or None with the reason; no text raises.

    A reply is a list of letters ("A, C", "AC"), a list of options by letter or text, or sentences that affirm or reject
    each option that they name. A list may follow words that introduce it ("The answers are A and C."). A letter beyond
    the options, an option named in passing and a refusal leave the reply unparsed.
    """
    if len(reply) > LONGEST:
        return SeveralExtraction(None, "longer than any answer")
    text = (marked_answer(reply) or reply).strip().replace("*", "")
    if not text:
        return SeveralExtraction(None, "empty reply")
    tail = _INTRODUCTION.sub("", text, count=1)
    for part in dict.fromkeys((text, tail, text.strip("([{}])"), tail.rstrip(".").strip("([{}])"))):
        for rule, found in (("letters", _letters(part, options)), ("list of options", _listed(part, options))):
            if found:
                return SeveralExtraction(tuple(option for option in options if option in found), rule)
    if is_refusal(plain(text), text):
        return SeveralExtraction(None, "refusal")
    return _in_sentences(text, options)


def _letters(text: str, options: Sequence[str]) -> set[str] | None:
    """Return the options of a text that holds letters alone; None for any other text."""
    if not _LETTERS.fullmatch(text):
        return None
    without = re.sub(r"\b(?:and|und)\b", " ", text)
    words = re.findall("[A-Za-z]+", without)
    if any(len(word) > 1 and (not word.isupper() or list(word) != sorted(set(word))) for word in words):
        return None  # "bad" and "BAD" are words
    places = [string.ascii_uppercase.index(letter) for letter in "".join(words).upper()]
    if max(places) >= len(options):
        return None
    return {options[place] for place in places}


def _listed(text: str, options: Sequence[str]) -> set[str] | None:
    """Return the options of a list whose every element is an option, by its text with or without its letter."""
    for separator in (r"\n", r"[;；\n]", r"[,，、;；\n]|\band\b"):
        found = [_option(part, options) for part in re.split(separator, text) if part.strip(" \t.-•")]
        if found and None not in found:
            return {option for option in found if option is not None}
    return None


def _option(part: str, options: Sequence[str]) -> str | None:
    """Return the option that a text is: "Blur", "B" or "B. Blur"; None for any other, or if letter and text differ."""
    folded = {plain_option(option): option for option in options}
    if (whole := folded.get(plain(part.strip(" \t-•.").strip()))) is not None:
        return whole
    letter = _LABEL.fullmatch(part) or re.fullmatch(r"\W*([A-Za-z])\W*()", part)
    if letter is None:
        return None
    place = string.ascii_uppercase.index(letter[1].upper())
    named = options[place] if place < len(options) else None
    rest = plain(letter[2].strip(" \t-•.").strip())
    return named if named is not None and rest in ("", plain_option(named)) else None


def _in_sentences(text: str, options: Sequence[str]) -> SeveralExtraction:
    mentions = ParsedReply(plain(text), options).mentions
    affirmed = {m.option for m in mentions if m.polarity == "affirmed"}
    if not affirmed:
        return SeveralExtraction(None, "no option named")
    if None in affirmed:
        return SeveralExtraction(None, "letter beyond the options")
    if affirmed & {m.option for m in mentions if m.polarity != "affirmed"}:
        return SeveralExtraction(None, "affirmed and negated")
    if any(m.polarity == "in passing" for m in mentions):
        return SeveralExtraction(None, "named only in passing")
    by_letter, by_text = ({m.option for m in mentions if m.letter is kind} for kind in (True, False))
    if by_letter and by_text and by_letter != by_text:
        return SeveralExtraction(None, "letter and text contradict")
    return SeveralExtraction(tuple(option for option in options if option in affirmed), "sentences")
