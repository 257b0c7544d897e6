"""Find the mentions of options in a reply, by their text or by their letter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pytest_qbench.extraction.normalize import pieces, plain_option, tokens
from pytest_qbench.extraction.vocabulary import (
    AFTER_LETTER,
    BEFORE_LETTER,
    CLOSES,
    DEGREES,
    GLUE,
    IDIOMS,
    INTRODUCING,
    NAMES_LETTER,
    NO,
    OPENS,
    PAUSE,
    STOP,
    SUBJECTS,
    VERBS,
)

Polarity = Literal["affirmed", "rejected", "in passing", "ignored"]


@dataclass(frozen=True, slots=True)
class Mention:
    """The words from `start` to `end` (exclusive) that name an option; `option` is None for a letter without one."""

    option: str | None
    start: int
    end: int
    letter: bool
    polarity: Polarity = "affirmed"
    stated: bool = False  # introduced as the answer: "the answer is", "I would say"
    opening: bool = False  # the reply begins with it and a pause follows
    leading: bool = False  # only words that introduce an answer come before it
    alone: bool = False  # nothing else is in the reply


@lru_cache(maxsize=4096)
def _spelling(option: str) -> tuple[str | None, str, str]:
    """Return an option's leading article, its spelling without the article and its whole spelling."""
    words, _ = tokens(plain_option(option))
    article = words[0] if len(words) > 1 and words[0] in ("a", "an", "the") else None
    return article, "".join(pieces(words[1:] if article else words)), "".join(pieces(words))


def _is_single(word: str) -> bool:
    return len(word) == 1 and "a" <= word <= "z"


class MentionFinder:
    """The words of one reply, its clauses and its mentions of options.

    `clause_starts` has for each word the first word of its clause, `clause_ends` the word after its last. `taken` are
    the words that belong to options' texts. `found` are the mentions in order, without their polarity.
    """

    def __init__(self, text: str, options: Sequence[str]) -> None:
        self._options = options
        self._spellings = {option: _spelling(option) for option in options}
        self.words, self.gaps = tokens(text)
        self._pieces = pieces(self.words)
        self.clause_starts, self.clause_ends = self._clauses()
        texts = list(self._find_texts())
        long = [m for m in texts if m.end - m.start > 1]
        covered: dict[int, list[Mention]] = {}
        for m in long:
            for i in range(m.start, m.end):
                covered.setdefault(i, []).append(m)
        self._texts = [m for m in texts if not any(_is_inside(m, other) for other in covered.get(m.start, ()))]
        self.taken = {i for m in self._texts for i in range(m.start, m.end)}
        self.found = sorted([*self._texts, *self._find_letters()], key=lambda m: (m.start, m.end))

    def word_at(self, i: int) -> str:
        """Return word i, empty beyond the reply."""
        return self.words[i] if 0 <= i < len(self.words) else ""

    def pause_follows(self, i: int) -> bool:
        """Whether a sign that separates clauses, or nothing, follows word i."""
        return i + 1 == len(self.words) or bool(PAUSE.match(self.gaps[i + 1]))

    def _spelled(self, target: str, start: int) -> int | None:
        """Return the end of the words from `start` on that spell `target`, or None."""
        text, end = "", start
        while target.startswith(text) and text != target and end < len(self.words):
            if end > start and re.search(r"[.!?;:\n]", self.gaps[end]):
                return None
            text, end = text + self._pieces[end], end + 1
        return end if text and text == target else None

    def _find_texts(self) -> Iterator[Mention]:
        for option, (article, target, _) in self._spellings.items():
            for start in range(len(self.words)):
                end = self._spelled(target, start)
                if end and self._is_option_text(start, end):
                    with_article = article is not None and self.word_at(start - 1) == article
                    yield Mention(option, start - with_article, end, letter=False)

    def _is_option_text(self, start: int, end: int) -> bool:
        """Whether these words mean the option, not one of their other meanings in English."""
        word = self.words[start]
        if end - start > 1:
            return True
        if _is_ideograph(word):
            return self._is_whole_word(start)
        if _is_single(word):
            return self._is_letter(start) and not self.labels(start, strictly=True)
        if word in NO:
            return self.is_reply(start)
        return (self.word_at(start - 1), word) not in IDIOMS and (word, self.word_at(end)) not in IDIOMS

    def _is_whole_word(self, i: int) -> bool:
        """Whether a Chinese option of one character is a word, as in "很高", and not part of one, as in "提高"."""
        before = not i or not _is_ideograph(self.words[i - 1]) or self.words[i - 1] in DEGREES or self.gaps[i] != ""
        after = not _is_ideograph(self.word_at(i + 1)) or self.gaps[i + 1] != ""
        return before and after

    def is_reply(self, i: int) -> bool:
        """Whether "no" or "none" at word i is a reply ("No, it is", "None of these"), not a negation ("no noise")."""
        after = self.word_at(i + 1)
        goes_on = after in SUBJECTS or after in ("because", "since") or (after == "of" and self.words[i] != "no")
        return self.pause_follows(i) or (goes_on and self.gaps[i + 1].isspace())

    def _find_letters(self) -> Iterator[Mention]:
        long = {i for m in self._texts if m.end - m.start > 1 for i in range(m.start, m.end)}
        for i, word in enumerate(self.words):
            if not _is_single(word) or i in long:
                continue
            if self._is_letter(i):
                option = self._option_of(i)
                labelled = i > 0 and self.labels(i - 1, strictly=True)  # "A. B": the text of A is B
                if not (labelled or (option is None and i in self.taken)):
                    yield Mention(option, i, self.labels(i) or i + 1, letter=True)
            elif self._may_be_letter(i):
                yield Mention(self._option_of(i), i, i + 1, letter=True, polarity="in passing")

    def _option_of(self, i: int) -> str | None:
        """Return the option that has word i as its letter; None beyond the options."""
        index = ord(self.words[i]) - ord("a")
        return self._options[index] if index < len(self._options) else None

    def _is_letter(self, i: int) -> bool:
        """Whether word i is an option's letter, and not the article, the pronoun or another single letter."""
        word, before, after, next_word = self.words[i], self.gaps[i], self.gaps[i + 1], self.word_at(i + 1)
        if i and GLUE.fullmatch(before):
            return False
        if next_word and (re.fullmatch("[-'&+@]", after) or (after == "." and len(next_word) == 1)):
            return self.labels(i) is not None
        if before[-1:] and after[:1] and before[-1] in OPENS and after[0] in CLOSES:
            return True
        previous = self.word_at(i - 1) if not STOP.search(before) else ""
        if word == "i":
            return len(self.words) == 1 or previous in NAMES_LETTER
        pause = self.pause_follows(i)
        labelled = self.labels(i) is not None and self._is_introduced(i)
        if word == "a" and not pause and after.isspace() and next_word not in AFTER_LETTER and not labelled:
            # "A sharp" is the article, or a letter with another option's text: a contradiction, so no answer.
            whole = any(self._spelled(full, 1) == len(self.words) for _, _, full in self._spellings.values())
            return previous in NAMES_LETTER or (i == 0 and whole)
        if not previous or re.search("[:=>]", before) or previous in NAMES_LETTER or previous in BEFORE_LETTER:
            return True
        if before.strip() in {",", "/", "&"} and len(previous) == 1:
            return pause
        return "," in before and (not next_word or next_word in VERBS)

    def _is_introduced(self, i: int) -> bool:
        """Whether word i begins a line, or only words that introduce an answer come before it in its clause."""
        before = self.words[self.clause_starts[i] : i]
        return i == 0 or "\n" in self.gaps[i] or (bool(before) and all(word in INTRODUCING for word in before))

    def _may_be_letter(self, i: int) -> bool:
        """Whether word i may be a letter ("leaves B") though its use is unclear.

        Such a letter is no answer, but it counts against other options.
        """
        article = self.words[i] == "a" and not self.pause_follows(i)
        glued = GLUE.fullmatch(self.gaps[i]) or (GLUE.fullmatch(self.gaps[i + 1]) and self.word_at(i + 1))
        return not (article or glued or self.words[i] == "i" or self._option_of(i) is None or i in self.taken)

    def labels(self, i: int, strictly: bool = False) -> int | None:
        """Return the end of the option's text if it follows its letter at word i, or None.

        With `strictly` there has to be a sign between letter and text.
        """
        option = self._option_of(i) if _is_single(self.words[i]) else None
        if option is None or (strictly and not re.search(r"[.):\]-]", self.gaps[i + 1])):
            return None
        _, target, full = self._spellings[option]
        return self._spelled(full, i + 1) or self._spelled(target, i + 1)

    def _clauses(self) -> tuple[list[int], list[int]]:
        """Return for each word the first word of its clause and the word after its last; "A." does not end a clause."""
        n = len(self.words)
        starts, ends = [0] * n, [n] * n
        for i in range(1, n):
            starts[i] = i if STOP.search(self.gaps[i]) and not self.labels(i - 1) else starts[i - 1]
        for i in range(n - 2, -1, -1):
            ends[i] = ends[i + 1] if starts[i] == starts[i + 1] else i + 1
        return starts, ends


def _is_ideograph(word: str) -> bool:
    return len(word) == 1 and "\u3400" <= word <= "\u9fff"


def _is_inside(m: Mention, other: Mention) -> bool:
    return other.start <= m.start and m.end <= other.end and other.end - other.start > m.end - m.start
