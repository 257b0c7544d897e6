"""Decide whether a reply affirms or rejects an option where it names it, and whether it states it as the answer."""

from __future__ import annotations

import re
from dataclasses import replace

from pytest_qbench.extraction.mentions import Mention, MentionFinder, Polarity
from pytest_qbench.extraction.vocabulary import (
    AFFIRMING_PAIRS,
    COMPARED,
    FOREMOST,
    INTRODUCING,
    JOINS,
    LINKS,
    NEGATED_AFTER,
    NEGATING_PAIRS,
    NEGATORS,
    NO,
    RETRACTED,
    RETRACTING,
    STATING,
    STATING_LINKS,
    SUBJECTS,
    TURNS,
    VERBS,
)

# Number of words before a mention that can affect it: a reply that repeats itself without end has no clauses.
REACH = 60


class PolarityJudge:
    """Judges the mentions in one reply by the words around them."""

    def __init__(self, reply: MentionFinder) -> None:
        self._reply = reply
        self._words, self._gaps, self._taken = reply.words, reply.gaps, reply.taken
        self._starts, self._ends = reply.clause_starts, reply.clause_ends

    def judge(self, m: Mention) -> Mention:
        """Return a mention with its polarity and its role: stated, opening, leading or alone."""
        is_question = "?" in self._gaps[self._ends[m.start]]
        polarity: Polarity = "ignored" if is_question else self._polarity_before(m) or self._polarity_after(m)
        if polarity == "affirmed":
            polarity = m.polarity
        opening = m.start == 0 and self._reply.pause_follows(m.end - 1)
        leading = all(word in INTRODUCING for word in self._words[: m.start])
        alone = m.start == 0 and m.end == len(self._words)
        return replace(
            m, polarity=polarity, stated=self._is_stated(m.start), opening=opening, leading=leading, alone=alone
        )

    def _is_negation(self, i: int) -> bool:
        word, after = self._words[i], self._reply.word_at(i + 1)
        no_doubt = word == "without" and after in ("a", "any") and self._reply.word_at(i + 2) == "doubt"
        if i in self._taken or ((word, after) in AFFIRMING_PAIRS and i + 1 not in self._taken) or no_doubt:
            return False
        if word == "no":
            return not self._reply.is_reply(i) or (i + 1 in self._taken and self._gaps[i + 1].isspace())  # "no the sky"
        return self._is_exception(i) or word in NEGATORS or (word, after) in NEGATING_PAIRS

    def _is_exception(self, i: int) -> bool:
        """Whether "but" at word i makes an exception: "all of them but A", not "all is dark but sharp"."""
        if self._words[i] != "but":
            return False
        for word in reversed(self._words[self._starts[i] : i]):
            if word in VERBS or word in ("all", "any", "anything", "every", "everything"):
                return word not in VERBS
        return False

    def _polarity_before(self, m: Mention) -> Polarity | None:
        """Return the polarity that the words before a mention, in its clause, give it; None where they give it none."""
        first, previous = max(self._starts[m.start], m.start - REACH), self._reply.word_at(m.start - 1)
        if m.start > first and previous in COMPARED and self._reply.word_at(m.start - 2) not in ("rather", "other"):
            return "in passing"
        comma = False
        for i in range(m.start - 1, first - 1, -1):
            comma = comma or "," in self._gaps[i + 1]
            if self._starts_statement(i + 1, m):
                return None
            if self._is_negation(i):
                return "rejected"
            if self._words[i] in ("if", "whether") and not comma:
                return "ignored"
        return None

    def _starts_statement(self, i: int, m: Mention) -> bool:
        """Whether a new statement begins at word i, beyond the reach of a "not" before it."""
        word, before = self._words[i], self._reply.word_at(i - 1)
        pause = bool(re.search(r"[,:()]|\s-", self._gaps[i]))
        if word == "but":
            return before != "nothing" and not self._is_exception(i)
        if word in TURNS:
            return pause
        if i == m.start:  # "A is wrong, B is right"
            return pause and self._reply.word_at(m.end) in VERBS
        begins = (pause and word in SUBJECTS) or (word in JOINS and before != "not")
        return begins and any(w in VERBS for w in self._words[i + 1 : m.start])

    def _polarity_after(self, m: Mention) -> Polarity:
        """Return the polarity that the words after a mention, in its clause, give it."""
        if self._words[m.start] in NO and m.end == m.start + 1:  # "No it is not"
            return "affirmed"
        for i in range(m.end, self._ends[m.start]):
            word, gap = self._words[i], self._gaps[i]
            if ("," in gap and word != "which") or (word == "no" and re.search(r"[:(=]|\s-", gap)):
                retracts = (
                    word in RETRACTING and i not in self._taken and self._reply.pause_follows(i)
                )  # "A, no", "A: no"
                return "rejected" if retracts else "affirmed"
            if word == "neither" and re.search(r"[:;(]|\s-", gap):  # "C. None - neither of them"
                return "affirmed"
            if word == "free" and i == m.end:  # "noise-free"
                return "rejected"
            if word in NEGATED_AFTER and (word, self._reply.word_at(i + 1)) not in AFFIRMING_PAIRS:
                of_the_next = i == m.end and word == "not" and self._reply.word_at(i + 1) != ""  # "B not A"
                return "affirmed" if of_the_next else "rejected"
            if word not in LINKS:
                break
        next_clause = self._ends[m.start]
        return "rejected" if RETRACTED.match(" ".join(self._words[next_clause : next_clause + 6])) else "affirmed"

    def _is_stated(self, start: int) -> bool:
        first = self._starts[start]
        if FOREMOST.fullmatch(" ".join(self._words[first:start])):
            return True
        for i in range(start - 1, first - 1, -1):
            word = self._words[i]
            if word in STATING or (word == "so" and (i == first or "," in self._gaps[i])):
                return True
            if word not in STATING_LINKS:
                break
        return False
