"""Remove the reasoning that a model writes before its answer."""

from __future__ import annotations

import re

# Opening and closing tag of each format.
TAGS = (
    # DeepSeek, Qwen and Seed
    (r"<(?:seed:)?(?:think|thinking|thought|thoughts|reasoning)\b[^<>\n]{0,40}>",
     r"</(?:seed:)?(?:think|thinking|thought|thoughts|reasoning)\s*>"),
    # Magistral
    (r"\[(?:THINK|THINKING|REASONING)\]", r"\[/(?:THINK|THINKING|REASONING)\]"),
    # Kimi
    (r"◁(?:think|thinking)▷", r"◁/(?:think|thinking)▷"),
    # Open-R1
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    # templates with special tokens of that name
    (r"<\|(?:think|thinking)\|>", r"<\|/(?:think|thinking)\|>"),
    # MedGemma
    (r"<unused94>", r"<unused95>"),
    # gpt-oss, whose answer has a channel of its own
    (r"(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)\b",
     r"<\|channel\|>final<\|message\|>"),
)  # fmt: skip
_FORMATS = [tuple(re.compile(tag, re.IGNORECASE) for tag in pair) for pair in TAGS]


def without_reasoning(text: str) -> str:
    """Return a reply without its reasoning and without surrounding whitespace.

    All of a reasoning block is removed. So is everything before a closing tag without an opening one, because some chat
    templates write the opening tag into the prompt. So is everything after an opening tag without a closing one,
    because such a reply ended before its answer.
    """
    for opening, closing in _FORMATS:
        text = _without(text, opening, closing)
    return text.strip()


def _without(text: str, opening: re.Pattern[str], closing: re.Pattern[str]) -> str:
    kept, start = [], 0
    while begun := opening.search(text, start):
        ended = closing.search(text, begun.end())
        kept.append(text[start : begun.start()])
        if ended is None:
            start = len(text)
            break
        start = ended.end()
        kept.append(" ")
    rest = "".join([*kept, text[start:]])
    orphans = list(closing.finditer(rest))
    return rest[orphans[-1].end() :] if orphans else rest
