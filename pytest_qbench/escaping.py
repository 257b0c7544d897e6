"""Escape foreign text so that it is safe to print: replies, ids, questions, file names, errors of other programs.

Every output escapes such text with `printable`: terminal, log, Markdown, JUnit and HTML. CSV uses `cell`.
"""

from __future__ import annotations

import re
from typing import Any

_JOINERS = "\u200c\u200d"  # parts of words in Persian and in Indian scripts, and of emoji
_COMMANDS = (
    "add-mask|add-matcher|add-path|debug|echo|endgroup|error|group|notice|remove-matcher|save-state|set-env|"
    "set-output|stop-commands|warning"
)
#: Workflow commands in the output of a CI job: GitHub's ``::error::`` and ``##[error]``, Azure's ``##vso[...]``,
#: TeamCity's ``##teamcity[...]``. GitHub obeys ``::`` at the start of a line only, but wrapping can put any word there.
_ORDER = re.compile(rf"(?<!\S)::(?=[A-Za-z])|::(?=(?:{_COMMANDS})\b)|##(?=(?:vso|teamcity)?\[)", re.IGNORECASE)
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_FORMULA = tuple("=+-@|%＝＋－＠")


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return `text` with all characters escaped that could act on a reader's terminal, page or CI job.

    These are control characters, ANSI sequences, bidi overrides, line separators, halves of surrogate pairs and other
    invisible characters. They become escapes such as ``\x1b``, ``\u202e`` and ``\n``. In a workflow command, the first
    character becomes ``\x3a`` or ``\x23``. Every kind of blank becomes a space. `lines` keeps line ends and tabs. The
    function is idempotent.
    """
    if not text.isprintable():
        text = "".join(c if c.isprintable() else _escaped(c, lines) for c in text)
    if "::" in text or "##" in text:
        text = _ORDER.sub(lambda found: rf"\x{ord(found[0][0]):02x}{found[0][1]}", text)
    return text


def one_line(text: str) -> str:
    """Return `text` as one printable line, with each run of whitespace replaced by a single space."""
    return printable(" ".join(text.split()))


def cell(value: Any) -> Any:
    """Return a value for a CSV cell: text printable, with an apostrophe in front if it looks like a formula."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or value[:1] in "\t\r\n" else text


def printable_data(data: Any) -> Any:
    """Return JSON-ready data with every text made printable. Line ends stay, because a page shows them."""
    if isinstance(data, str):
        return printable(data, lines=True)
    if isinstance(data, list | tuple):
        return [printable_data(one) for one in data]
    if isinstance(data, dict):
        return {printable(str(key), lines=True): printable_data(value) for key, value in data.items()}
    return data


def _escaped(character: str, lines: bool) -> str:
    if character in _JOINERS or (lines and character in "\n\t"):
        return character
    if character in _NAMED:
        return _NAMED[character]
    if character.isspace() and ord(character) > 0x9F and character not in "\u2028\u2029":
        return " "
    code = ord(character)
    return rf"\x{code:02x}" if code <= 0xFF else rf"\u{code:04x}" if code <= 0xFFFF else rf"\U{code:08x}"
