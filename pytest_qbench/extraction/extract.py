"""Find the option that a free-text reply chooses. The rules are deterministic, give their reason and never guess.

Rules find options in the words of a reply by letter and by text (word boundaries, longest match). Each mention is
affirmed, rejected ("not A", "A is wrong"), in passing ("than A") or ignored because it is in a question or condition
("A?", "if A"). A reply chooses an option in one of three ways:

- it affirms this option, names no other one and nowhere rejects this one;
- it opens with the option's letter, alone or with the option's text, and nothing after that withdraws or contradicts
  this answer;
- it concludes with the option ("Answer: B", "so it must be B"), whatever it weighed before.

A refusal is no answer, whatever it mentions. Replies are in English or Chinese.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_qbench.extraction.commitment import is_committed
from pytest_qbench.extraction.container import marked_answer
from pytest_qbench.extraction.mentions import Mention
from pytest_qbench.extraction.normalize import plain, plain_option, tokens
from pytest_qbench.extraction.parsed_reply import ParsedReply
from pytest_qbench.extraction.refusal import is_refusal
from pytest_qbench.extraction.vocabulary import (
    ERROR,
    NEGATORS,
    NO,
    NO_WORDS,
    NUMBERS,
    RELATED,
    REVISES,
    SELF_CONTRADICTION,
    YES,
)

NOTHING = "no option named"

LONGEST = 30_000  # characters of the longest reply that is searched for an answer


@dataclass(frozen=True, slots=True)
class Extraction:
    """The text of the chosen option (None: unparsed), and the rule that found it or the reason why none did."""

    choice: str | None
    rule: str


def extract_answer(reply: str, options: Sequence[str]) -> Extraction:
    """Return the option that `reply` chooses, or None with the reason; no text raises.

    Case, surrounding whitespace and Markdown emphasis do not matter. Options beyond the 26th have no letter. Replies
    that mean yes or no ("Absolutely.", "\u662f\u7684") count where the options are yes and no.
    """
    if len(reply) > LONGEST:
        return Extraction(None, "longer than any answer")
    if (marked := marked_answer(reply)) is not None:
        found = _extract(marked, options)
        if found.choice is not None or found.rule != NOTHING:
            return found
    return _extract(reply, options)


def _extract(reply: str, options: Sequence[str]) -> Extraction:
    """Return the option in a reply; where it names none, look again with words replaced by options of this meaning."""
    text = plain(reply)
    found = _read(text, reply, options)
    if found.rule == NOTHING and (other := _replace_synonyms(text, [plain_option(option) for option in options])):
        return _read(other, reply, options)
    return found


def _replace_synonyms(text: str, folded: Sequence[str]) -> str | None:
    """Return a reply with options in place of words that mean them; None where there are no such words.

    Such words are "three" for "3" and "overexposed" for "overexposure". A reply that is the beginning of only one
    option, such as "left" for "the left side", stands for this option.
    """
    words = tokens(text)[0]
    words = words[1:] if words[:1] in (["the"], ["a"], ["an"]) else words
    if words and not (NEGATORS | NO | {"a", "i"}).intersection(words):
        begins = re.compile(rf"(?:(?:the|an?) )?{re.escape(' '.join(words))} ")
        if len(begun := [option for option in folded if begins.match(option)]) == 1:
            return begun[0]
    names = {word: name for word, name in {**NUMBERS, **RELATED}.items() if name in folded}
    if not names:
        return None
    other = re.sub(rf"\b(?:{'|'.join(names)})\b", lambda found: names[found[0]], text)
    return other if other != text else None


def _read(text: str, reply: str, options: Sequence[str]) -> Extraction:
    if not text:
        return Extraction(None, "empty reply")
    folded = {option: plain_option(option) for option in options}
    same = {option for option in options if folded[option] == text}
    if not same and ERROR.match(text):
        return Extraction(None, "error text")
    if not same and is_refusal(text, reply):
        return Extraction(None, "refusal")
    if {"yes", "no"} <= set(folded.values()) and not same:
        text = NO_WORDS.sub("no", text, count=1) if NO_WORDS.match(text) else text
        text = YES.sub("yes", text, count=1) if YES.match(text) else text
    reading = ParsedReply(text, options)
    if len(same) == 1 and all(m.option in same for m in reading.mentions if m.letter):
        return Extraction(same.pop(), "option text alone")
    return _decide(text, reading)


def _decide(text: str, reading: ParsedReply) -> Extraction:
    mentions = reading.mentions
    live = _concluding_mentions([m for m in mentions if m.polarity in ("affirmed", "in passing")])
    rejected = {m.option for m in mentions if m.polarity == "rejected"}
    named = {m.option for m in live}
    if not named:
        ignored = any(m.polarity == "ignored" for m in mentions)
        return Extraction(None, "negated" if rejected else "only asked about" if ignored else NOTHING)
    contradicts = re.search(SELF_CONTRADICTION.get(plain_option(live[0].option or ""), "(?!)"), text)
    if (len(named) > 1 or named & rejected) and not contradicts and is_committed(reading, live):
        return Extraction(live[0].option, _name_rule(live[:1]))
    if len(named) > 1:
        letters, texts = ({m.option for m in live if m.letter is kind} for kind in (True, False))
        contradiction = len(letters) == len(texts) == 1
        return Extraction(None, "letter and text contradict" if contradiction else "two options named")
    (choice,) = named
    if choice is None:
        return Extraction(None, "letter beyond the options")
    if choice in rejected or contradicts or REVISES.search(reading.text_after(live[-1].end)):
        return Extraction(None, "affirmed and negated")
    if all(m.polarity == "in passing" for m in live):
        return Extraction(None, "named only in passing")
    return Extraction(choice, _name_rule(live))


def _concluding_mentions(live: list[Mention]) -> list[Mention]:
    """Return the mentions from the first conclusion on.

    All mentions count where the reply opens with one option and names no other before the conclusion.
    """
    stated = [m.start for m in live if m.stated and m.polarity == "affirmed"]
    if not stated:
        return live
    before = [m for m in live if m.start < stated[0]]
    if before and before[0].opening and len({m.option for m in before}) == 1:
        return live
    return [m for m in live if m.start >= stated[0]]


def _name_rule(live: Sequence[Mention]) -> str:
    by_letter, by_text = any(m.letter for m in live), any(not m.letter for m in live)
    rule = "letter and option text" if by_letter and by_text else "letter" if by_letter else "option text"
    return f"{rule} alone" if live[0].alone else rule
