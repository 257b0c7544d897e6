"""Terminal, Markdown and JUnit XML, by what they say."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pytest_qbench.report.finished_run import read_finished
from pytest_qbench.report.markdown import code, table
from pytest_qbench.report.terminal import section
from tests.report.hostile import ALERT, LOST, PICTURES, QUESTIONS

GITHUB = MarkdownIt("gfm-like", {"linkify": False})
ACCURACY = (QUESTIONS - LOST - 1) / QUESTIONS


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_terminal_says_the_same_at_every_width(run: Path, width: int) -> None:
    lines = [line.text for line in section(read_finished(run / "run"), width)]
    tables = [line for line in lines if line.startswith("  ")]
    assert all(len(line) <= width for line in tables)
    rows = [line.split() for line in tables]
    whole = next(row for row in rows if row[0] == "all")
    assert whole[1:4] == [f"{ACCURACY:.4f}", "1.0000", f"{ACCURACY - 1:+.4f}"]
    assert whole[-1] == str(QUESTIONS)
    koniq = next(row for row in rows if row[0] == "koniq")
    assert koniq[2] == "1.0000"
    gate = next(row for row in rows if row[0].startswith("perc") and "regressed" in row)
    assert gate[gate.index("regressed") + 1] == f"{ACCURACY - 1:+.4f}"
    assert gate[-2] == "0.01"
    assert any(line.startswith("gate perception.accuracy: regressed (") for line in lines)
    assert (
        f"items: {QUESTIONS + PICTURES - 1} scored, 1 unparsed, 0 errors, 0 missing of {QUESTIONS + PICTURES}" in lines
    )
    assert lines[-2] == f"files: {run / 'run'}"
    assert lines[-1].startswith("REGRESSED: ")


def test_quiet_is_a_handful_and_verbose_names_the_flips(run: Path) -> None:
    finished = read_finished(run / "run")
    assert len(section(finished, 100, -1)) <= 8
    told = "\n".join(line.text for line in section(finished, 100, 1))
    assert told.count("  lost llvisionqa/") == LOST + 1
    assert "conditions" in told


def test_a_live_run_prints_what_its_folder_says(run: Path) -> None:
    out = (run / "out").read_text()
    for line in section(read_finished(run / "run"), 80):
        assert line.text in out


def test_markdown_holds_no_markup_of_the_data(run: Path) -> None:
    text = (run / "s.md").read_text()
    assert ALERT in text
    tokens = GITHUB.parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    assert not [t for t in (*tokens, *inline) if t.type.startswith(("html", "image", "link"))]
    cells = [t for t in inline if t.type == "code_inline" and ALERT in t.content]
    assert len(cells) >= 10
    assert any("|" in t.content for t in cells)


@given(st.text(alphabet=st.sampled_from("`|\\<>*_[]()!#&a \n\r\t\u2028")))
def test_a_code_span_keeps_the_text(text: str) -> None:
    rendered = GITHUB.parse(table(["a", "b"], [[code(text), "x"]]))
    cells = [t for t in rendered if t.type == "inline"]
    assert len(cells) == 4  # nothing broke out of its cell
    (span,) = cells[2].children or ()
    assert span.type == "code_inline"
    assert span.content.split() == text.split()


def test_junit(run: Path) -> None:
    suite = next(ElementTree.parse(run / "j.xml").getroot().iter("testsuite"))
    properties = {p.get("name"): p.get("value") for p in suite.findall("properties/property")}
    assert float(properties["qbench.perception.accuracy.llvisionqa.dev"] or 0) == pytest.approx(ACCURACY)
    assert (properties["qbench.verdict"] or "").startswith("REGRESSED: ")
    gates = {case.get("name"): case for case in suite.iter("testcase") if "[" not in (case.get("name") or "")}
    failure = gates["test_accuracy"].find("failure")
    assert failure is not None
    assert "perception.accuracy regressed" in (failure.get("message") or "")
    told = {p.get("name"): p.get("value") or "" for case in gates.values() for p in case.findall("properties/property")}
    assert told["gate perception.accuracy"].startswith("regressed: ")
    assert "gate assessment.srcc" in told
