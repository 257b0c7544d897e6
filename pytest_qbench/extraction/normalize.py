"""Normalize a reply for the search of its answer, and split it into words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from pytest_qbench.extraction.chinese import IDEOGRAPH, to_english
from pytest_qbench.extraction.reasoning import without_reasoning

_WORD = re.compile(rf"\d+(?:[.,]\d+)+|[{IDEOGRAPH}]|[^\W_{IDEOGRAPH}]+(?:'[^\W_{IDEOGRAPH}]+)*")


def plain(text: str) -> str:
    """Return a text in lower case without reasoning, emphasis, markup, contractions and typographic signs."""
    text = without_reasoning(text)
    text = to_english(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).upper().casefold()))
    text = re.sub(r"[*`\u200b\ufeff]", "", text).replace("_", " ")
    text = re.sub(r"~~.*?~~", " ", text, flags=re.DOTALL)  # text that is struck out is withdrawn
    text = re.sub(r"</?[a-z|][^<>\n]{0,60}>", " ", text)
    text = re.sub("[“”]", '"', re.sub("[‘’]", "'", text)).replace("‐", "-")
    text = re.sub("[–—―−]", " - ", text)
    text = re.sub(r"n't\b|(?<=\bcan)not\b", " not", text)
    text = re.sub(r"\b(is|are|was|were|do|does|did|has|have|had|would|could|should|ca|wo)nt\b", r"\1 not", text)
    text = re.sub(r"\b(it|that|there|he|she|what)'s\b", r"\1 is", text)
    text = re.sub(r"'(?:d|ll)\b", " would", text)
    return re.sub(r":\s*\n\s*", ": ", text).strip()


@lru_cache(maxsize=4096)
def plain_option(option: str) -> str:
    """Return the `plain` form of an option; it is cached, because many items have the same options."""
    return plain(option)


def tokens(text: str) -> tuple[list[str], list[str]]:
    """Return the words and the gaps between them: gap i before word i, one more after the last word.

    Chinese has no spaces: each of its characters is a word.
    """
    words, gaps, end = [], [], 0
    for match in _WORD.finditer(text):
        words.append(match.group())
        gaps.append(text[end : match.start()])
        end = match.end()
    return words, [*gaps, text[end:]]


def pieces(words: Sequence[str]) -> list[str]:
    """Return words that compare by their letters when joined: "over-exposure" is "overexposure", "1 8" is not "18"."""
    return [w if w.isalpha() else f"|{w}|" for w in words]
