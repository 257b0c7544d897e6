"""Find the part of a reply that is marked as the answer."""

from __future__ import annotations

import re

# Answers in tags, in a LaTeX box or in a JSON field.
_MARKED = [
    re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.IGNORECASE | re.DOTALL),
    re.compile(r"<\|begin_of_box\|>(.*?)(?:<\|end_of_box\|>|\Z)", re.IGNORECASE | re.DOTALL),
    re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}", re.IGNORECASE),
    re.compile(
        r"""["'](?:final[_ ]?)?(?:answer|choice|option|prediction|selected[_ ]option)["']\s*:\s*["']([^"']*)["']""",
        re.IGNORECASE,
    ),
]
# A reply may repeat the conversation; its answer comes after that.
_ECHO = re.compile(r"\b(?:user|human)\s*:.*\b(?:assistant|gpt)\s*:", re.IGNORECASE | re.DOTALL)
_COMMAND = re.compile(r"\\[a-z]+\s*(?=\{)", re.IGNORECASE)


def marked_answer(reply: str) -> str | None:
    """Return the marked answers of a reply, each different text once on its own line; None without a mark."""
    if echo := _ECHO.search(reply):
        reply = reply[echo.end() :]
    for pattern in _MARKED:
        found = [_COMMAND.sub("", text).strip() for text in pattern.findall(reply)]
        if texts := list(dict.fromkeys(text for text in found if text)):
            return "\n".join(texts)
    return reply if echo else None
