"""Escaped text cannot act on a terminal, a page, a spreadsheet or a CI job, and plain text stays unchanged."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.errors import DataError
from pytest_qbench.escaping import cell, one_line, printable, printable_data

#: Unicode categories that act or are invisible: control, format, surrogate, private, unassigned, line, paragraph.
ACTING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
SAFE_FORMATS = "\u200c\u200d"
HOSTILE = st.text(
    st.characters()
    | st.sampled_from("\x00\x07\x08\x1b\x7f\x85\r\n\t\u061c\u200e\u202e\u2028\u2029\u2066\ufeff:#[=+-@ "),
    max_size=40,
)


def obeyed(line: str) -> bool:
    """Return whether a CI job would obey a line as a workflow command: GitHub's two forms, Azure's and TeamCity's."""
    return bool(re.match(r"\s*::[A-Za-z]", line) or re.search(r"##(vso|teamcity)?\[", line, re.IGNORECASE))


@given(HOSTILE)
def test_no_text_acts(text: str) -> None:
    for found in (printable(text), one_line(text)):
        assert not [c for c in found if unicodedata.category(c) in ACTING and c not in SAFE_FORMATS]
        assert len(found.splitlines()) <= 1
        assert not obeyed(found)
        assert printable(found) == found
    lines = printable(text, lines=True)
    assert not [c for c in lines if unicodedata.category(c) in ACTING and c not in SAFE_FORMATS + "\n\t"]
    assert not any(obeyed(line) for line in lines.split("\n"))
    assert printable(lines, lines=True) == lines


@given(st.text(st.characters(categories=["L", "N", "P", "S", "M"]) | st.just(" ")))
def test_plain_text_of_any_script_stays(text: str) -> None:
    if text.isprintable() and "::" not in text and "##" not in text:
        assert printable(text) == text


@pytest.mark.parametrize(
    "text, expected", [
        ("\x1b[31mred", r"\x1b[31mred"), ("a\r::error::b", r"a\r\x3a:error::b"), ("::error::b", r"\x3a:error::b"),
        ("x ::add-mask::b", r"x \x3a:add-mask::b"), ("x::error::b", r"x\x3a:error::b"), ("##[error]x", r"\x23#[error]x"),
        ("a ##vso[task.x]", r"a \x23#vso[task.x]"), ("##teamcity[x]", r"\x23#teamcity[x]"), ("\u202egnp", r"\u202egnp"),
        ("a\u2028b", r"a\u2028b"), ("\udc80", r"\udc80"), ("\U000e0041", r"\U000e0041"), ("a\u3000b\xa0c", "a b c"),
        ("std::vector", "std::vector"), ("tests/t.py::test_x[a]", "tests/t.py::test_x[a]"), ("## Title", "## Title"),
        ("👩\u200d🔬 café 图像", "👩\u200d🔬 café 图像"), ("\\n", "\\n"), ("::ERROR::x", r"\x3a:ERROR::x"),
    ],
)  # fmt: skip
def test_examples(text: str, expected: str) -> None:
    assert printable(text) == expected


@given(HOSTILE)
def test_no_cell_is_a_formula(text: str) -> None:
    found = cell(text)
    assert not found.lstrip().startswith(tuple("=+-@|%"))
    assert not set(found) & set("\t\r\n")


def test_cells_without_text_stay() -> None:
    assert [cell(value) for value in (-1.5, None, True, "-1", "=1+1", "a")] == [-1.5, None, True, "'-1", "'=1+1", "a"]


def test_data_are_cleaned_at_every_depth() -> None:
    found = printable_data({"a\x1b": ["\x07", ("x\ny", 1, None)], "b": {"c": "\u202e"}})
    assert found == {r"a\x1b": [r"\x07", ["x\ny", 1, None]], "b": {"c": r"\u202e"}}


def test_the_text_of_an_error_is_printable() -> None:
    assert str(DataError("a\x1b[2J\nb\u202e")) == r"a\x1b[2J\nb\u202e"
