"""A reply as words: where it names options, and what is said of them there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pytest_qbench.extraction.normalize import pieces, plain, tokens
from pytest_qbench.extraction.vocabulary import (
    AFFIRMING_PAIRS,
    AFTER_LETTER,
    BEFORE_LETTER,
    CLOSES,
    COMPARED,
    GLUE,
    IDIOMS,
    JOINS,
    LINKS,
    NAMES_LETTER,
    NEGATED_AFTER,
    NEGATING_PAIRS,
    NEGATORS,
    NO,
    OPENS,
    PAUSE,
    RETRACTED,
    RETRACTING,
    STATING,
    STATING_LINKS,
    STOP,
    SUBJECTS,
    TURNS,
    VERBS,
)

Polarity = Literal["affirmed", "rejected", "in passing", "ignored"]


@dataclass(frozen=True, slots=True)
class Mention:
    """The words from `start` to `end` (exclusive) name an option; `option` is None for a letter beyond the options."""

    option: str | None
    start: int
    end: int
    letter: bool
    polarity: Polarity = "affirmed"
    stated: bool = False  # introduced as the answer: "the answer is", "I would say"
    opening: bool = False  # the reply begins with it and a pause follows
    alone: bool = False  # nothing else is in the reply


def _spelling(option: str) -> tuple[str | None, str, str]:
    """Return an option's leading article, what spells it without the article and what spells all of it."""
    words, _ = tokens(plain(option))
    article = words[0] if len(words) > 1 and words[0] in ("a", "an", "the") else None
    return article, "".join(pieces(words[1:] if article else words)), "".join(pieces(words))


def _is_single(word: str) -> bool:
    return len(word) == 1 and "a" <= word <= "z"


class Reading:
    """The words of one reply, its clauses and the options it mentions."""

    def __init__(self, text: str, options: Sequence[str]) -> None:
        self._options = options
        self._spellings = {option: _spelling(option) for option in options}
        self._words, self._gaps = tokens(text)
        self._pieces = pieces(self._words)
        texts = list(self._find_texts())
        self._texts = [m for m in texts if not any(_inside(m, other) for other in texts)]
        self._taken = {i for m in self._texts for i in range(m.start, m.end)}
        self._starts, self._ends = self._clauses()
        found = sorted([*self._texts, *self._find_letters()], key=lambda m: (m.start, m.end))
        self.mentions = [self._judged(m) for m in found]

    def _word(self, i: int) -> str:
        return self._words[i] if 0 <= i < len(self._words) else ""

    def _pause_after(self, i: int) -> bool:
        return i + 1 == len(self._words) or bool(PAUSE.match(self._gaps[i + 1]))

    # where options are named

    def _spelled(self, target: str, start: int) -> int | None:
        """Return the end of the words from `start` on that spell `target`, or None."""
        text, end = "", start
        while target.startswith(text) and text != target and end < len(self._words):
            if end > start and re.search(r"[.!?;:\n]", self._gaps[end]):
                return None
            text, end = text + self._pieces[end], end + 1
        return end if text and text == target else None

    def _find_texts(self) -> Iterator[Mention]:
        for option, (article, target, _) in self._spellings.items():
            for start in range(len(self._words)):
                end = self._spelled(target, start)
                if end and self._is_text(start, end):
                    with_article = article is not None and self._word(start - 1) == article
                    yield Mention(option, start - with_article, end, letter=False)

    def _is_text(self, start: int, end: int) -> bool:
        """Tell whether these words mean the option, not something else that they also mean in English."""
        word = self._words[start]
        if end - start > 1:
            return True
        if _is_single(word):
            return self._is_letter(start) and not self._labels(start, strictly=True)
        if word in NO:
            return self._is_reply(start)
        return (self._word(start - 1), word) not in IDIOMS and (word, self._word(end)) not in IDIOMS

    def _is_reply(self, i: int) -> bool:
        """Tell "No, it is" and "None of these" from "no noise"."""
        after = self._word(i + 1)
        goes_on = after in SUBJECTS or after in ("because", "since") or (after == "of" and self._words[i] != "no")
        return self._pause_after(i) or (goes_on and self._gaps[i + 1].isspace())

    def _find_letters(self) -> Iterator[Mention]:
        long = {i for m in self._texts if m.end - m.start > 1 for i in range(m.start, m.end)}
        for i, word in enumerate(self._words):
            if not _is_single(word) or i in long:
                continue
            if self._is_letter(i):
                option = self._option(i)
                labelled = i > 0 and self._labels(i - 1, strictly=True)  # "A. B": the text of A is B
                if not (labelled or (option is None and i in self._taken)):
                    yield Mention(option, i, self._labels(i) or i + 1, letter=True)
            elif self._may_be_letter(i):
                yield Mention(self._option(i), i, i + 1, letter=True, polarity="in passing")

    def _option(self, i: int) -> str | None:
        """The option whose letter word i is; None beyond the options."""
        index = ord(self._words[i]) - ord("a")
        return self._options[index] if index < len(self._options) else None

    def _is_letter(self, i: int) -> bool:
        """Tell an option's letter from the article, the pronoun and other single letters."""
        word, before, after, next_word = self._words[i], self._gaps[i], self._gaps[i + 1], self._word(i + 1)
        if i and GLUE.fullmatch(before):
            return False
        if next_word and (re.fullmatch("[-'&+@]", after) or (after == "." and len(next_word) == 1)):
            return self._labels(i) is not None
        if before[-1:] and after[:1] and before[-1] in OPENS and after[0] in CLOSES:
            return True
        previous = self._word(i - 1) if not STOP.search(before) else ""
        if word == "i":
            return len(self._words) == 1 or previous in NAMES_LETTER
        pause = self._pause_after(i)
        if word == "a" and not pause and after.isspace() and next_word not in AFTER_LETTER and not self._labels(i):
            # "A sharp" is the article, or a letter with another option's text: a contradiction, so no answer.
            whole = any(self._spelled(full, 1) == len(self._words) for _, _, full in self._spellings.values())
            return previous in NAMES_LETTER or (i == 0 and whole)
        if not previous or re.search("[:=>]", before) or previous in NAMES_LETTER or previous in BEFORE_LETTER:
            return True
        if before.strip() in {",", "/", "&"} and len(previous) == 1:
            return pause
        return "," in before and (not next_word or next_word in VERBS)

    def _may_be_letter(self, i: int) -> bool:
        """Tell a letter of unclear use ("leaves B") from an article; it is no answer, but speaks against others."""
        article = self._words[i] == "a" and not self._pause_after(i)
        glued = GLUE.fullmatch(self._gaps[i]) or (GLUE.fullmatch(self._gaps[i + 1]) and self._word(i + 1))
        return not (article or glued or self._words[i] == "i" or self._option(i) is None or i in self._taken)

    def _labels(self, i: int, strictly: bool = False) -> int | None:
        """Return the end of its own option's text if that follows letter i; `strictly`: with a sign between them."""
        option = self._option(i) if _is_single(self._words[i]) else None
        if option is None or (strictly and not re.search(r"[.):\]-]", self._gaps[i + 1])):
            return None
        _, target, full = self._spellings[option]
        return self._spelled(full, i + 1) or self._spelled(target, i + 1)

    # what is said of them

    def _clauses(self) -> tuple[list[int], list[int]]:
        """Return for each word the first word of its clause and the one after its last; a label's "." ends none."""
        n = len(self._words)
        starts, ends = [0] * n, [n] * n
        for i in range(1, n):
            starts[i] = i if STOP.search(self._gaps[i]) and not self._labels(i - 1) else starts[i - 1]
        for i in range(n - 2, -1, -1):
            ends[i] = ends[i + 1] if starts[i] == starts[i + 1] else i + 1
        return starts, ends

    def _judged(self, m: Mention) -> Mention:
        asked = "?" in self._gaps[self._ends[m.start]]
        polarity: Polarity = "ignored" if asked else self._said_before(m) or self._said_after(m)
        if polarity == "affirmed":
            polarity = m.polarity
        opening = m.start == 0 and self._pause_after(m.end - 1)
        alone = m.start == 0 and m.end == len(self._words)
        return replace(m, polarity=polarity, stated=self._is_stated(m.start), opening=opening, alone=alone)

    def _negates(self, i: int) -> bool:
        word, after = self._words[i], self._word(i + 1)
        no_doubt = word == "without" and after in ("a", "any") and self._word(i + 2) == "doubt"
        if i in self._taken or ((word, after) in AFFIRMING_PAIRS and i + 1 not in self._taken) or no_doubt:
            return False
        if word == "no":
            return not self._is_reply(i) or (i + 1 in self._taken and self._gaps[i + 1].isspace())  # "no the sky"
        return self._excepts(i) or word in NEGATORS or (word, after) in NEGATING_PAIRS

    def _excepts(self, i: int) -> bool:
        """Tell "all of them but A" from "all is dark but sharp"."""
        if self._words[i] != "but":
            return False
        for word in reversed(self._words[self._starts[i] : i]):
            if word in VERBS or word in ("all", "any", "anything", "every", "everything"):
                return word not in VERBS
        return False

    def _said_before(self, m: Mention) -> Polarity | None:
        """What the words before a mention, in its clause, do to it; None: nothing."""
        first, previous = self._starts[m.start], self._word(m.start - 1)
        if m.start > first and previous in COMPARED and self._word(m.start - 2) not in ("rather", "other"):
            return "in passing"
        comma = False
        for i in range(m.start - 1, first - 1, -1):
            comma = comma or "," in self._gaps[i + 1]
            if self._turns(i + 1, m):
                return None
            if self._negates(i):
                return "rejected"
            if self._words[i] in ("if", "whether") and not comma:
                return "ignored"
        return None

    def _turns(self, i: int, m: Mention) -> bool:
        """Tell whether something new is said from word i on, out of the reach of a "not" before it."""
        word, before = self._words[i], self._word(i - 1)
        pause = bool(re.search(r"[,:()]|\s-", self._gaps[i]))
        if word == "but":
            return before != "nothing" and not self._excepts(i)
        if word in TURNS:
            return pause
        if i == m.start:  # "A is wrong, B is right"
            return pause and self._word(m.end) in VERBS
        verb = any(w in VERBS for w in self._words[i + 1 : m.start])
        return verb and ((pause and word in SUBJECTS) or (word in JOINS and before != "not"))

    def _said_after(self, m: Mention) -> Polarity:
        """What the words after a mention, in its clause, do to it."""
        if self._words[m.start] in NO and m.end == m.start + 1:  # "No it is not"
            return "affirmed"
        for i in range(m.end, self._ends[m.start]):
            word, gap = self._words[i], self._gaps[i]
            if ("," in gap and word != "which") or (word == "no" and re.search(r"[:(=]|\s-", gap)):
                retracts = word in RETRACTING and i not in self._taken and self._pause_after(i)  # "A, no", "A: no"
                return "rejected" if retracts else "affirmed"
            if word == "free" and i == m.end:  # "noise-free"
                return "rejected"
            if word in NEGATED_AFTER and (word, self._word(i + 1)) not in AFFIRMING_PAIRS:
                of_the_next = i == m.end and word == "not" and self._word(i + 1) != ""  # "B not A"
                return "affirmed" if of_the_next else "rejected"
            if word not in LINKS:
                break
        next_clause = self._ends[m.start]
        return "rejected" if RETRACTED.match(" ".join(self._words[next_clause : next_clause + 6])) else "affirmed"

    def _is_stated(self, start: int) -> bool:
        first = self._starts[start]
        for i in range(start - 1, first - 1, -1):
            word = self._words[i]
            if word in STATING or (word == "so" and (i == first or "," in self._gaps[i])):
                return True
            if word not in STATING_LINKS:
                break
        return False


def _inside(m: Mention, other: Mention) -> bool:
    return other.start <= m.start and m.end <= other.end and other.end - other.start > m.end - m.start
