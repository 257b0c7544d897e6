"""The content of terminal, Markdown and JUnit XML reports."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pytest_qbench.escaping import one_line
from pytest_qbench.report.finished_run import FinishedRun, read_finished
from pytest_qbench.report.headline import judged_rows
from pytest_qbench.report.markdown import code, table
from pytest_qbench.report.terminal import section
from tests.report.hostile import ALERT, LOST, PICTURES, QUESTIONS

GITHUB = MarkdownIt("gfm-like", {"linkify": False})
ACCURACY = (QUESTIONS - LOST - 1) / QUESTIONS


@pytest.mark.parametrize("width", [80, 100, 160])
def test_the_terminal_shows_the_same_text_at_every_width(run: Path, width: int) -> None:
    lines = [line.text for line in section(read_finished(run / "run"), width)]
    value, change = f"{100 * ACCURACY:.1f} %", f"{100 * (ACCURACY - 1):+.1f} pt"
    assert lines[0].startswith("REGRESSED: ")
    assert f"(100.0 % -> {value}), allowed 1 pt" in lines[0]
    assert lines[-1] == lines[0]
    assert f"{QUESTIONS + PICTURES} items, 1 unparsed" in lines[1]
    row = next(line for line in lines if line.startswith("x acc"))
    assert all(cell in row for cell in ("100.0 %", value, change, "1 pt", "REGRESSED"))
    assert len(row) <= width
    assert any(line.startswith("gate perception.accuracy: regressed (") for line in lines)
    assert lines[-2].endswith("/run")


def test_the_mean_that_decides_stands_above_the_databases(run: Path) -> None:
    finished = read_finished(run / "run")
    gate = next(gate for gate in finished.gates if gate.name == "perception.accuracy")
    row = gate.rows[0]
    rows = [
        replace(row, dataset=name, delta=delta, verdict="inconclusive")
        for name, delta in (("a", -0.3), (None, -0.1), ("b", 0.1))
    ]
    gates = [replace(gate, rows=rows)]
    judged = judged_rows(FinishedRun(finished.folder, replace(finished.summary, gates=gates)))
    assert [one.row.dataset for one in judged if one.row] == [None, "a", "b"]


def test_quiet_gives_few_lines_and_verbose_lists_the_flips(run: Path) -> None:
    finished = read_finished(run / "run")
    assert len(section(finished, 100, -1)) <= 10
    told = "\n".join(line.text for line in section(finished, 100, 1))
    assert told.count("  lost llvisionqa/") == LOST + 1
    assert "conditions" in told


def test_a_live_run_prints_the_lines_of_its_folder(run: Path) -> None:
    out = (run / "out").read_text()
    for line in section(read_finished(run / "run"), 80):
        assert line.text.replace(f"{run}/", "") in out


def test_markdown_contains_no_markup_from_the_data(run: Path) -> None:
    text = (run / "s.md").read_text()
    assert ALERT in text
    tokens = GITHUB.parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    assert not [t for t in (*tokens, *inline) if t.type.startswith(("html_inline", "image", "link"))]
    ours = r"<details><summary>[\w .,:]+</summary>|</details>"  # the report's own folding, no text from the data
    assert all(re.fullmatch(ours, t.content.strip()) for t in tokens if t.type == "html_block")
    cells = [t for t in inline if t.type == "code_inline" and ALERT in t.content]
    assert len(cells) >= 10
    assert any("|" in t.content for t in cells)


@given(st.text(alphabet=st.sampled_from("`|\\<>*_[]()!#&a \n\r\t\u2028")))
def test_a_code_span_keeps_the_text(text: str) -> None:
    rendered = GITHUB.parse(table(["a", "b"], [[code(text), "x"]]))
    cells = [t for t in rendered if t.type == "inline"]
    assert len(cells) == 4  # no text has left its cell
    (span,) = cells[2].children or ()
    assert span.type == "code_inline"
    assert span.content.split() == one_line(text).split()


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
