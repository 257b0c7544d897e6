"""Which option a free-text reply chooses: deterministic rules that explain themselves and never guess.

A reply is read as words. Options are found in it by letter and by text (word boundaries, longest match); each mention
is affirmed, rejected ("not A", "A is wrong"), in passing ("than A") or merely asked ("A?", "if A"). An answer comes out
only where one option is affirmed, no other is named in passing and it is nowhere rejected itself. English only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_qbench.extraction.mentions import Mention, Reading
from pytest_qbench.extraction.normalize import plain
from pytest_qbench.extraction.vocabulary import ERROR, SELF_CONTRADICTION


@dataclass(frozen=True, slots=True)
class Extraction:
    """The text of the chosen option (None: unparsed) and, in words, the rule that matched or why none did."""

    choice: str | None
    rule: str


def extract_answer(reply: str, options: Sequence[str]) -> Extraction:
    """Return the option that `reply` chooses, or None with the reason; no text raises.

    Case, surrounding whitespace and Markdown emphasis do not matter. A conclusion ("Answer: B", "so it must be B")
    overrides what was weighed before it, but not what follows. Options beyond the 26th can be chosen by text only.
    """
    text = plain(reply)
    if not text:
        return Extraction(None, "empty reply")
    same = {o for o in options if plain(o) == text}
    if not same and ERROR.match(text):
        return Extraction(None, "error text")
    mentions = Reading(text, options).mentions
    if len(same) == 1 and all(m.option in same for m in mentions if m.letter):
        return Extraction(same.pop(), "option text alone")
    return _decide(text, mentions)


def _decide(text: str, mentions: list[Mention]) -> Extraction:
    live = [m for m in mentions if m.polarity in ("affirmed", "in passing")]
    rejected = {m.option for m in mentions if m.polarity == "rejected"}
    stated = [m.start for m in live if m.stated and m.polarity == "affirmed"]
    if stated:
        before = [m for m in live if m.start < stated[0]]
        if not before or not before[0].opening or len({m.option for m in before}) > 1:
            live = [m for m in live if m.start >= stated[0]]
    named = {m.option for m in live}
    if not named:
        asked = any(m.polarity == "ignored" for m in mentions)
        return Extraction(None, "negated" if rejected else "only asked about" if asked else "no option named")
    if len(named) > 1:
        letters, texts = ({m.option for m in live if m.letter is kind} for kind in (True, False))
        contradiction = len(letters) == len(texts) == 1
        return Extraction(None, "letter and text contradict" if contradiction else "two options named")
    (choice,) = named
    if choice is None:
        return Extraction(None, "letter beyond the options")
    if choice in rejected or re.search(SELF_CONTRADICTION.get(plain(choice), "(?!)"), text):
        return Extraction(None, "affirmed and negated")
    if all(m.polarity == "in passing" for m in live):
        return Extraction(None, "named only in passing")
    by_letter, by_text = any(m.letter for m in live), any(not m.letter for m in live)
    rule = "letter and option text" if by_letter and by_text else "letter" if by_letter else "option text"
    return Extraction(choice, f"{rule} alone" if live[0].alone else rule)
