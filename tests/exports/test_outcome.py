"""The outcome of a run: never green where the verdict, a gate or the items say otherwise."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_qbench.report import outcome as module
from pytest_qbench.report.finished_run import read_finished
from pytest_qbench.report.outcome import outcome_of
from pytest_qbench.session import gating, summary
from tests.exports.runs import KINDS, make


@pytest.mark.parametrize("kind", KINDS)
def test_the_outcome_of_each_verdict(tmp_path: Path, kind: str) -> None:
    found = outcome_of(make(tmp_path / "run", kind))
    assert found.word == kind
    assert found.is_green == (kind == "passed")
    assert found.fails == (kind in ("failed", "not measured"))
    assert [item for _, item in found.missing] == [
        f"{name}/{i:06d}.jpg"
        for i, name in ((1, "llvisionqa"), (2, "lldescribe"), (3, "koniq"))
        if kind == "not measured"
    ]


@pytest.mark.parametrize("verdict, word", [
    ("INVALID: a; REGRESSED: b", "failed"), ("INVALID: a", "not measured"), ("OUT OF BOUNDS: a", "failed"),
    ("INCONCLUSIVE: a", "cannot tell"), ("NOT GATED: --qbench-no-gates", "not gated"), ("passed", "not measured"),
    ("", "not measured"), ("PASS: 1 of 1 gates hold; REGRESSED: x", "failed"),
])  # fmt: skip
def test_words(tmp_path: Path, verdict: str, word: str) -> None:
    run = make(tmp_path / "run", "passed")
    assert outcome_of(replace(run, summary=replace(run.summary, verdict=verdict))).word == word


def test_a_green_verdict_is_contradicted_by_items_and_gates(tmp_path: Path) -> None:
    run = make(tmp_path / "run", "passed")
    lines = (run.folder / "records.jsonl").read_text().splitlines(keepends=True)
    (run.folder / "records.jsonl").write_text("".join(lines[:-1]))
    assert outcome_of(read_finished(run.folder)).word == "not measured"
    (run.folder / "records.jsonl").write_text("".join(lines))
    assert outcome_of(read_finished(run.folder)).word == "passed"
    items = (run.folder / "items.jsonl").read_text().splitlines(keepends=True)
    (run.folder / "items.jsonl").write_text("".join(items[:-1]))
    assert outcome_of(read_finished(run.folder)).word == "not measured"
    failing = replace(run.gates[0], outcome="fail", verdict="regressed")
    assert outcome_of(replace(run, summary=replace(run.summary, gates=(failing,)))).word == "failed"


def test_every_verdict_has_an_outcome() -> None:
    """The words in capitals that the code of verdicts contains."""
    text = "".join(Path(str(m.__file__)).read_text() for m in (gating, summary))
    words = set(re.findall(r'f"([A-Z][A-Z ]+):', text)) | {"INVALID", "OUT OF BOUNDS", "REGRESSED", "INCONCLUSIVE"}
    assert words >= {"PASS", "NOT MEASURED", "CANNOT TELL"}
    assert words <= module._WORDS.keys()
