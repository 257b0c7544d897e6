"""Which option a free-text reply chooses: deterministic rules that explain themselves and never guess.

A reply is read as words. Options are found in it by letter and by text (word boundaries, longest match); each mention
is affirmed, rejected ("not A", "A is wrong"), in passing ("than A") or merely asked ("A?", "if A"). An answer comes out
only where one option is affirmed, no other is named in passing and it is nowhere rejected itself. English only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Polarity = Literal["affirmed", "rejected", "in passing", "ignored"]


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
    text = _plain(reply)
    if not text:
        return Extraction(None, "empty reply")
    same = {o for o in options if _plain(o) == text}
    if not same and _ERROR.match(text):
        return Extraction(None, "error text")
    mentions = _Reading(text, options).mentions
    if len(same) == 1 and all(m.option in same for m in mentions if m.letter):
        return Extraction(same.pop(), "option text alone")
    return _decide(text, mentions)


@dataclass(frozen=True, slots=True)
class _Mention:
    """The words from `start` to `end` (exclusive) name an option; `option` is None for a letter beyond the options."""

    option: str | None
    start: int
    end: int
    letter: bool
    polarity: Polarity = "affirmed"
    stated: bool = False  # introduced as the answer: "the answer is", "I would say"
    opening: bool = False  # the reply begins with it and a pause follows
    alone: bool = False  # nothing else is in the reply


def _decide(text: str, mentions: list[_Mention]) -> Extraction:
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
    if choice in rejected or re.search(_SELF_CONTRADICTION.get(_plain(choice), "(?!)"), text):
        return Extraction(None, "affirmed and negated")
    if all(m.polarity == "in passing" for m in live):
        return Extraction(None, "named only in passing")
    by_letter, by_text = any(m.letter for m in live), any(not m.letter for m in live)
    rule = "letter and option text" if by_letter and by_text else "letter" if by_letter else "option text"
    return Extraction(choice, f"{rule} alone" if live[0].alone else rule)


# --- the English it takes ---

# What a server or a client library wrote in place of an answer.
_ERROR = re.compile(
    r"""\W*(?: error\s*(?:code|:|-|\d|$) | (?:\w+\.)*\w*(?:error|exception)\s*(?:[:(]|$) | an\ error\ (?:has\ )?occurred
    | https?\ ?(?:/[\d.]+)?\s*(?:error)?\s*[45]\d\d | object["']\s*:\s*["']error
    | (?:errors?|detail|status\ code)["']\s*: | bad\ gateway | gateway\ time-?out | too\ many\ requests
    | [45]\d\d\s+(?:[a-z]+\ ){0,3}(?:error|gateway|unavailable|time-?out|requests?|unauthorized|forbidden|found)\b
    | (?:internal\ server|server|connection|upstream\ connect|api|time-?out)\ error\b | request\ timed\ out
    | (?:service|model)\ (?:is\ )?(?:temporarily\ )?unavailable | connection\ (?:refused|reset|aborted|timed)
    | failed\ to\ obtain\ answer | rate\ limit | !doctype\ html )
    | .*(?:traceback\ \(most\ recent\ call|\berror\ code:\s*\d{3}\b)""",
    re.VERBOSE | re.DOTALL,
)
_SELF_CONTRADICTION = {
    "yes": r"\byes\W+(?!why\b)(?:\w+ ){1,3}not\W*$",  # "Yes, it is not."
    "no": r"\bno\W+(?:it|they|there|this|that) (?:is|are|does|do|was|were|has|have|can)\W*$",  # "No, it is."
}


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _pairs(words: str) -> frozenset[tuple[str, str]]:
    return frozenset((a, b) for a, _, b in (pair.partition("-") for pair in words.split()))


_NO = _set("no none neither nothing")
_NEGATORS = _set(
    """not never neither nor none nothing without hardly barely scarcely lack lacks lacking lacked except excluding
    exclude excludes excluded eliminate eliminated unlike unlikely wrong incorrect false untrue inaccurate non
    devoid deny denies reject rejected unless"""
)
_NEGATING_PAIRS = _pairs(
    """rather-than instead-of free-of free-from far-from anything-but opposite-of all-but other-than rule-out ruled-out
    ruling-out absence-of everything-but i-doubt would-doubt highly-doubt seriously-doubt fails-to"""
)
_AFFIRMING_PAIRS = _pairs(  # they only look like a negation
    "no-doubt no-question not-only not-just not-merely nothing-but without-doubt none-other wrong-with wrong-in"
)
_NEGATED_AFTER = _set(
    """not never wrong incorrect false untrue inaccurate excluded eliminated rejected unlikely impossible absent
    neither ruled hardly"""
)
_LINKS = _set(  # between an option and the negation that follows it: "A is definitely not the ..."
    """is are was were be been being ca can could wo would should does do did seems seem looks appears has have had
    also clearly definitely certainly probably simply really option answer choice it this that the as an a must may
    might will to which what obviously surely most i think"""
)
_TURNS = _set("rather instead so then therefore thus hence making indicating suggesting resulting")
_JOINS = _set("and while whereas because since although though as")
_SUBJECTS = _set("it its i the this that there these those they we he she which my")
_VERBS = _set(
    """is are was were looks look seems seem appears appear has have must would should say think choose pick be shows
    makes"""
)
_RETRACTING = _set("no not wrong incorrect false")
_COMPARED = _set("than versus vs less")
_IDIOMS = _pairs(
    "at-all after-all above-all right-answer right-choice right-option clear-that be-fair above-average below-average"
)
_STATING = _set(
    "answer conclusion verdict choose chose pick select selected say conclude go going therefore thus hence finally"
)
_STATING_LINKS = _set(
    """is was be would should must will that it the to this question option letter choice most likely probably clearly
    definitely as a an correct best my for with image picture photo looks seems appears boxed text so final"""
)
_NAMES_LETTER = _set("option options choice choices letter letters candidate candidates")
_BEFORE_LETTER = _set(
    """answer answered is are was be say saying choose chose choosing pick picked select selected with guess think
    believe or and nor not neither either both than versus vs so therefore thus hence correct probably definitely
    likely clearly maybe perhaps only except to between as that"""
)
_AFTER_LETTER = _set(  # words that no article "a" stands before
    """is was because since as and or nor but for due it the this that which seems appears looks would should must
    cannot could may might has matches although though if in on based with describes"""
)
_PAUSE = re.compile(r"\s*[.,:;!?()\[\]}\"'/=|$]|\s*\n|\s+-")
_RETRACTED = re.compile(
    r"(?:no )?(?:this|that|it) (?:is|was|would be)"
    r" (?:wrong|incorrect|false|untrue|not (?:the )?(?:right|correct|true|answer|case))\b"
)
_STOP = re.compile(r"[.!?;\n]")
_GLUE = re.compile(r"[-.'&+@#]")
_OPENS, _CLOSES = "([{\"'$", ")]}\"'$"


def _plain(text: str) -> str:
    """Fold what must not matter: case, width, emphasis, typographic signs, markup, a reasoning model's thoughts."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).upper().casefold())
    text = re.sub(r"[*`\u200b\ufeff]", "", text).replace("_", " ")
    text = re.sub(r"<think>.*?(?:</think>|\Z)", " ", text, flags=re.DOTALL).rpartition("</think>")[2]
    text = re.sub(r"~~.*?~~", " ", text, flags=re.DOTALL)  # struck out: withdrawn
    text = re.sub(r"</?[a-z|][^<>\n]{0,60}>", " ", text)
    text = re.sub("[“”]", '"', re.sub("[‘’]", "'", text)).replace("‐", "-")
    text = re.sub("[–—―−]", " - ", text)
    text = re.sub(r"n't\b|(?<=\bcan)not\b", " not", text)
    text = re.sub(r"\b(is|are|was|were|do|does|did|has|have|had|would|could|should|ca|wo)nt\b", r"\1 not", text)
    text = re.sub(r"\b(it|that|there|he|she|what)'s\b", r"\1 is", text)
    text = re.sub(r"'(?:d|ll)\b", " would", text)
    return re.sub(r":\s*\n\s*", ": ", text).strip()


def _tokens(text: str) -> tuple[list[str], list[str]]:
    """Return the words and what stands between them: gap i before word i, one more after the last word."""
    words, gaps, end = [], [], 0
    for match in re.finditer(r"\d+(?:[.,]\d+)+|[^\W_]+(?:'[^\W_]+)*", text):
        words.append(match.group())
        gaps.append(text[end : match.start()])
        end = match.end()
    return words, [*gaps, text[end:]]


def _pieces(words: Sequence[str]) -> list[str]:
    """Make words comparable by their letters alone: "over-exposure" is "overexposure", but "1 8" is not "18"."""
    return [w if w.isalpha() else f"|{w}|" for w in words]


def _spelling(option: str) -> tuple[str | None, str, str]:
    """Return an option's leading article, what spells it without the article and what spells all of it."""
    words, _ = _tokens(_plain(option))
    article = words[0] if len(words) > 1 and words[0] in ("a", "an", "the") else None
    return article, "".join(_pieces(words[1:] if article else words)), "".join(_pieces(words))


def _is_single(word: str) -> bool:
    return len(word) == 1 and "a" <= word <= "z"


class _Reading:
    """The words of one reply, its clauses and the options it mentions."""

    def __init__(self, text: str, options: Sequence[str]) -> None:
        self._options = options
        self._spellings = {option: _spelling(option) for option in options}
        self._words, self._gaps = _tokens(text)
        self._pieces = _pieces(self._words)
        texts = list(self._find_texts())
        self._texts = [m for m in texts if not any(_inside(m, other) for other in texts)]
        self._taken = {i for m in self._texts for i in range(m.start, m.end)}
        self._starts, self._ends = self._clauses()
        found = sorted([*self._texts, *self._find_letters()], key=lambda m: (m.start, m.end))
        self.mentions = [self._judged(m) for m in found]

    def _word(self, i: int) -> str:
        return self._words[i] if 0 <= i < len(self._words) else ""

    def _pause_after(self, i: int) -> bool:
        return i + 1 == len(self._words) or bool(_PAUSE.match(self._gaps[i + 1]))

    # where options are named

    def _spelled(self, target: str, start: int) -> int | None:
        """Return the end of the words from `start` on that spell `target`, or None."""
        text, end = "", start
        while target.startswith(text) and text != target and end < len(self._words):
            if end > start and re.search(r"[.!?;:\n]", self._gaps[end]):
                return None
            text, end = text + self._pieces[end], end + 1
        return end if text and text == target else None

    def _find_texts(self) -> Iterator[_Mention]:
        for option, (article, target, _) in self._spellings.items():
            for start in range(len(self._words)):
                end = self._spelled(target, start)
                if end and self._is_text(start, end):
                    with_article = article is not None and self._word(start - 1) == article
                    yield _Mention(option, start - with_article, end, letter=False)

    def _is_text(self, start: int, end: int) -> bool:
        """Tell whether these words mean the option, not something else that they also mean in English."""
        word = self._words[start]
        if end - start > 1:
            return True
        if _is_single(word):
            return self._is_letter(start) and not self._labels(start, strictly=True)
        if word in _NO:
            return self._is_reply(start)
        return (self._word(start - 1), word) not in _IDIOMS and (word, self._word(end)) not in _IDIOMS

    def _is_reply(self, i: int) -> bool:
        """Tell "No, it is" and "None of these" from "no noise"."""
        after = self._word(i + 1)
        goes_on = after in _SUBJECTS or after in ("because", "since") or (after == "of" and self._words[i] != "no")
        return self._pause_after(i) or (goes_on and self._gaps[i + 1].isspace())

    def _find_letters(self) -> Iterator[_Mention]:
        long = {i for m in self._texts if m.end - m.start > 1 for i in range(m.start, m.end)}
        for i, word in enumerate(self._words):
            if not _is_single(word) or i in long:
                continue
            if self._is_letter(i):
                option = self._option(i)
                labelled = i > 0 and self._labels(i - 1, strictly=True)  # "A. B": the text of A is B
                if not (labelled or (option is None and i in self._taken)):
                    yield _Mention(option, i, self._labels(i) or i + 1, letter=True)
            elif self._may_be_letter(i):
                yield _Mention(self._option(i), i, i + 1, letter=True, polarity="in passing")

    def _option(self, i: int) -> str | None:
        """The option whose letter word i is; None beyond the options."""
        index = ord(self._words[i]) - ord("a")
        return self._options[index] if index < len(self._options) else None

    def _is_letter(self, i: int) -> bool:
        """Tell an option's letter from the article, the pronoun and other single letters."""
        word, before, after, next_word = self._words[i], self._gaps[i], self._gaps[i + 1], self._word(i + 1)
        if i and _GLUE.fullmatch(before):
            return False
        if next_word and (re.fullmatch("[-'&+@]", after) or (after == "." and len(next_word) == 1)):
            return self._labels(i) is not None
        if before[-1:] and after[:1] and before[-1] in _OPENS and after[0] in _CLOSES:
            return True
        previous = self._word(i - 1) if not _STOP.search(before) else ""
        if word == "i":
            return len(self._words) == 1 or previous in _NAMES_LETTER
        pause = self._pause_after(i)
        if word == "a" and not pause and after.isspace() and next_word not in _AFTER_LETTER and not self._labels(i):
            # "A sharp" is the article, or a letter with another option's text: a contradiction, so no answer.
            whole = any(self._spelled(full, 1) == len(self._words) for _, _, full in self._spellings.values())
            return previous in _NAMES_LETTER or (i == 0 and whole)
        if not previous or re.search("[:=>]", before) or previous in _NAMES_LETTER or previous in _BEFORE_LETTER:
            return True
        if before.strip() in {",", "/", "&"} and len(previous) == 1:
            return pause
        return "," in before and (not next_word or next_word in _VERBS)

    def _may_be_letter(self, i: int) -> bool:
        """Tell a letter of unclear use ("leaves B") from an article; it is no answer, but speaks against others."""
        article = self._words[i] == "a" and not self._pause_after(i)
        glued = _GLUE.fullmatch(self._gaps[i]) or (_GLUE.fullmatch(self._gaps[i + 1]) and self._word(i + 1))
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
            starts[i] = i if _STOP.search(self._gaps[i]) and not self._labels(i - 1) else starts[i - 1]
        for i in range(n - 2, -1, -1):
            ends[i] = ends[i + 1] if starts[i] == starts[i + 1] else i + 1
        return starts, ends

    def _judged(self, m: _Mention) -> _Mention:
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
        if i in self._taken or ((word, after) in _AFFIRMING_PAIRS and i + 1 not in self._taken) or no_doubt:
            return False
        if word == "no":
            return not self._is_reply(i) or (i + 1 in self._taken and self._gaps[i + 1].isspace())  # "no the sky"
        return self._excepts(i) or word in _NEGATORS or (word, after) in _NEGATING_PAIRS

    def _excepts(self, i: int) -> bool:
        """Tell "all of them but A" from "all is dark but sharp"."""
        if self._words[i] != "but":
            return False
        for word in reversed(self._words[self._starts[i] : i]):
            if word in _VERBS or word in ("all", "any", "anything", "every", "everything"):
                return word not in _VERBS
        return False

    def _said_before(self, m: _Mention) -> Polarity | None:
        """What the words before a mention, in its clause, do to it; None: nothing."""
        first, previous = self._starts[m.start], self._word(m.start - 1)
        if m.start > first and previous in _COMPARED and self._word(m.start - 2) not in ("rather", "other"):
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

    def _turns(self, i: int, m: _Mention) -> bool:
        """Tell whether something new is said from word i on, out of the reach of a "not" before it."""
        word, before = self._words[i], self._word(i - 1)
        pause = bool(re.search(r"[,:()]|\s-", self._gaps[i]))
        if word == "but":
            return before != "nothing" and not self._excepts(i)
        if word in _TURNS:
            return pause
        if i == m.start:  # "A is wrong, B is right"
            return pause and self._word(m.end) in _VERBS
        verb = any(w in _VERBS for w in self._words[i + 1 : m.start])
        return verb and ((pause and word in _SUBJECTS) or (word in _JOINS and before != "not"))

    def _said_after(self, m: _Mention) -> Polarity:
        """What the words after a mention, in its clause, do to it."""
        if self._words[m.start] in _NO and m.end == m.start + 1:  # "No it is not"
            return "affirmed"
        for i in range(m.end, self._ends[m.start]):
            word, gap = self._words[i], self._gaps[i]
            if ("," in gap and word != "which") or (word == "no" and re.search(r"[:(=]|\s-", gap)):
                retracts = word in _RETRACTING and i not in self._taken and self._pause_after(i)  # "A, no", "A: no"
                return "rejected" if retracts else "affirmed"
            if word == "free" and i == m.end:  # "noise-free"
                return "rejected"
            if word in _NEGATED_AFTER and (word, self._word(i + 1)) not in _AFFIRMING_PAIRS:
                of_the_next = i == m.end and word == "not" and self._word(i + 1) != ""  # "B not A"
                return "affirmed" if of_the_next else "rejected"
            if word not in _LINKS:
                break
        next_clause = self._ends[m.start]
        return "rejected" if _RETRACTED.match(" ".join(self._words[next_clause : next_clause + 6])) else "affirmed"

    def _is_stated(self, start: int) -> bool:
        first = self._starts[start]
        for i in range(start - 1, first - 1, -1):
            word = self._words[i]
            if word in _STATING or (word == "so" and (i == first or "," in self._gaps[i])):
                return True
            if word not in _STATING_LINKS:
                break
        return False


def _inside(m: _Mention, other: _Mention) -> bool:
    return other.start <= m.start and m.end <= other.end and other.end - other.start > m.end - m.start
