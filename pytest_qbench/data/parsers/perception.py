"""Parse a multiple-choice record, in any published shape, as question, options, right answer and slices."""

from __future__ import annotations

import re
import string
from typing import NamedTuple

from pytest_qbench.data import published
from pytest_qbench.data.readers.row import Row
from pytest_qbench.items import SEPARATOR, joined_options
from pytest_qbench.untrusted.shape import short_repr

#: The lists that hold the options: LLVisionQA and Q-Bench2, A-Bench.
_LISTS = ("candidates", "answers", "options")
#: Columns with one option each: the hub's layout and VLMEvalKit's tables.
_HUB_COLUMNS = tuple(f"option{i}" for i in range(10))
_LETTER_COLUMNS = tuple(string.ascii_uppercase)
#: How strongly an image is degraded: the field of one's own data, MedQ-DEG's and R-Bench's.
_SEVERITY = ("severity", "degradation_severity", "strength")
#: Filler of the hub's layout after the last option, and in place of a hidden answer.
_PADDING = "N/A"


class Question(NamedTuple):
    """The question of a perception item; `answer` is one of `options`, None where it is hidden.

    `answers` are the right options, in their order, of a question that asks for all of them (see `Item`).
    """

    question: str
    options: tuple[str, ...]
    answer: str | None
    slices: dict[str, str]
    answers: tuple[str, ...] = ()


def question(row: Row, *, pair: bool, hidden: bool, own: bool = False) -> Question:
    """Return the question of a record. Raises `DataError`.

    `pair` selects the codes of Q-Bench2. `hidden` ignores the answer fields. A dataset of one's `own` may have
    other names of types and concerns than the published ones, and several right answers to a question.
    """
    text = row.text("question")
    if text is None:
        raise row.error(f"no question (its fields are {', '.join(map(str, row.fields)) or 'none'})", "add the question")
    options = _options(row)
    slices = _slices(row, pair, own)
    if own and not hidden and (answers := _several_answers(row, options)):
        return Question(text, options, joined_options(answers), slices, answers)
    return Question(text, options, None if hidden else _answer(row, options), slices)


def _options(row: Row) -> tuple[str, ...]:
    options = next((found for key in _LISTS if (found := row.texts(key)) is not None), None) or _option_columns(row)
    if len(options) < 2:
        raise row.error(f"{len(options)} options; a question needs two or more", "write them as candidates: [...]")
    if "" in options or len(set(options)) < len(options):
        raise row.error(f"options {short_repr(options)} are blank or repeated", "correct the options")
    return tuple(options)


def _option_columns(row: Row) -> list[str]:
    """Return the cells before the padding. Only the end of a row is padding: a word such as None may be an option."""
    columns = next((columns for columns in (_HUB_COLUMNS, _LETTER_COLUMNS) if columns[0] in row.fields), ())
    padding = {None, _PADDING} if columns is _HUB_COLUMNS else {None}
    cells = [row.text(column) for column in columns if column in row.fields]
    while cells and cells[-1] in padding:
        cells.pop()
    options = [cell for cell in cells if cell is not None]
    if len(options) < len(cells):
        raise row.error(f"options {short_repr(cells)} have a gap", "move the options together")
    return options


def _several_answers(row: Row, options: tuple[str, ...]) -> tuple[str, ...]:
    """Return all right options of a record that lists them, as texts, as letters or as letters in one text.

    Empty for a record with one answer that is not in a list.
    """
    found = []
    for key in ("correct_ans", "correct_choice", "answer"):
        value = row.value(key)
        texts = (row.texts(key) or []) if isinstance(value, list | tuple) else _letter_list(row, key, options)
        if texts:
            chosen = {one if one in options else _by_letter(row, one, options) for one in texts}
            found.append(tuple(option for option in options if option in chosen))
    if len(set(found)) > 1:
        raise row.error("the fields of the right answers differ", "correct one of them")
    if found and (other := next((option for option in options if SEPARATOR in option), None)) is not None:
        raise row.error(
            f"option {short_repr(other)} of a question with several answers contains {SEPARATOR!r}",
            "write it with another sign",
        )
    return found[0] if found else ()


def _letter_list(row: Row, key: str, options: tuple[str, ...]) -> list[str]:
    """Return the letters of `A,C`, `AC` or `['A', 'C']`; none for one letter, and for any text that may be an option.

    Letters without a sign between them, as in `AC`, count where each option has a column of its own.
    """
    text = None if key == "correct_ans" else row.label(key)
    if text is None or text.casefold() in {option.casefold() for option in options}:
        return []
    letters = re.sub(r"""[\s,;/&\[\]()'"]+""", "", text)
    is_glued = letters == text
    if is_glued and key == "answer" and any(row.value(name) is not None for name in _LISTS):
        return []
    known = string.ascii_uppercase[: len(options)]
    return (
        list(letters) if len(letters) > 1 and set(letters) <= set(known) and len(set(letters)) == len(letters) else []
    )


def _answer(row: Row, options: tuple[str, ...]) -> str | None:
    """Return the right option from its text, its letter or both, which must agree."""
    text, letter = row.text("correct_ans"), row.text("correct_choice")
    both = row.text("answer")
    if both is not None and text is None and letter is None:
        # Formats with option columns write a letter; formats with a list of options write a text.
        listed = any(row.value(key) is not None for key in _LISTS)
        is_letter = _letter_index(both) < len(options) if not listed else both not in options
        text, letter = (None, both) if is_letter or both not in options else (both, None)
    found = {_by_text(row, text, options)} if text is not None else set()
    if letter is not None and letter != _PADDING:
        found.add(_by_letter(row, letter, options))
    if len(found) > 1:
        raise row.error(
            f"correct_ans {short_repr(text)} and correct_choice {short_repr(letter)} differ", "correct one of them"
        )
    return found.pop() if found else None


def _by_text(row: Row, text: str, options: tuple[str, ...]) -> str:
    if text not in options:
        raise row.error(
            f"answer {short_repr(text)} is not among the options {short_repr(list(options))}", "correct the answer"
        )
    return text


def _by_letter(row: Row, letter: str, options: tuple[str, ...]) -> str:
    index = _letter_index(letter)
    if index >= len(options):
        raise row.error(
            f"answer {short_repr(letter)} is neither one of the options {short_repr(list(options))} nor the letter "
            "of one",
            "correct the answer",
        )
    return options[index]


def _letter_index(text: str) -> int:
    """Return the position of a letter such as `B`, `b.` or `(B)`; for any other text a position beyond all options."""
    plain = text.upper().rstrip(".").strip("()")
    return (
        string.ascii_uppercase.index(plain)
        if len(plain) == 1 and plain in string.ascii_uppercase
        else len(string.ascii_uppercase)
    )


def _slices(row: Row, pair: bool, own_names: bool) -> dict[str, str]:
    slices = {}
    kind = _name(row, "type", published.TYPES, own_names)
    if kind is not None:
        slices["type"] = kind
    pairs = {"-".join(both): both for both in published.PAIR_CONCERNS}
    concern = _name(row, "concern", tuple(pairs) if pair else published.CONCERNS, own_names)
    if concern is not None and pair:
        slices["concern"], slices["pair"] = pairs[concern]
    elif concern is not None:
        slices["concern"] = concern
    category = row.text("category")
    if category is not None:
        slices.update(_category(category))
    if (severity := next((found for key in _SEVERITY if (found := row.label(key)) is not None), None)) is not None:
        slices["severity"] = severity
    return slices


def _name(row: Row, field: str, names: tuple[str, ...], own_names: bool) -> str | None:
    """Return the name of a code that is written as its number or its name, or None if it is absent.

    With `own_names`, any other text is a name too.
    """
    key = next((key for key in (field, f"question_{field}") if row.value(key) is not None), None)
    if key is None:
        return None
    value = row.value(key)
    if isinstance(value, str):
        name = re.sub(r"[^a-z0-9]+", "_", value.lower()).strip("_")
        wanted = [re.sub(r"[^a-z0-9]+", "_", name) for name in names]
        for candidate in (name, name.removesuffix("s")):
            if candidate in wanted:
                return names[wanted.index(candidate)]
        if own_names and not value.strip().isdigit():
            return row.text(key)
    number = row.number_at(key) if not isinstance(value, str) or value.strip().isdigit() else None
    if number is None or not number.is_integer() or not 0 <= number < len(names):
        codes = ", ".join(f"{i} {name}" for i, name in enumerate(names))
        raise row.error(f"{key} {short_repr(value)} is not a code", f"use one of {codes}")
    return names[int(number)]


def _category(category: str) -> dict[str, str]:
    """Return A-Bench's category, `part1 -> basic_recognition -> major`, as slices part and category."""
    steps = [step.strip() for step in category.split("->")]
    if len(steps) > 1:
        return {"part": steps[0], "category": "/".join(steps[1:])}
    return {"category": category}
