"""The text of a reply without what must not matter, and its words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence


def plain(text: str) -> str:
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


def tokens(text: str) -> tuple[list[str], list[str]]:
    """Return the words and what stands between them: gap i before word i, one more after the last word."""
    words, gaps, end = [], [], 0
    for match in re.finditer(r"\d+(?:[.,]\d+)+|[^\W_]+(?:'[^\W_]+)*", text):
        words.append(match.group())
        gaps.append(text[end : match.start()])
        end = match.end()
    return words, [*gaps, text[end:]]


def pieces(words: Sequence[str]) -> list[str]:
    """Make words comparable by their letters alone: "over-exposure" is "overexposure", but "1 8" is not "18"."""
    return [w if w.isalpha() else f"|{w}|" for w in words]
