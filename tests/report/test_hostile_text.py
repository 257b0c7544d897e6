"""One hostile text in every place for foreign text, written by every writer."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pytest_qbench.cli.main import main
from pytest_qbench.gates.evaluate import GateResult
from pytest_qbench.items import Item
from pytest_qbench.report.finished_run import FinishedRun, read_finished
from pytest_qbench.report.junit import properties
from pytest_qbench.report.markdown import markdown
from pytest_qbench.report.page import page
from pytest_qbench.report.terminal import gate_text, section
from tests.report.builders import make_item, make_record, run_folder
from tests.test_escaping import ACTING, obeyed

HOSTILE = (
    "=1+1\x1b[31m\x1b]0;pwned\x07\x00\x08\r::error::pwned\n::set-output name=x::y\n##[error]pwned ##vso[x]"
    "\u202e\u2066\u2028\u2029\x85\x9b31m\ufeff\u061c<script>alert(1)</script>|`"
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    def hostile(item: Item) -> Item:
        return replace(item, question=HOSTILE, options=(HOSTILE, "No"), answer="No")

    items = [hostile(make_item(i, "perception", "mini")) for i in range(20)]
    items += [replace(make_item(i, "description", "mini"), golden=(HOSTILE,)) for i in range(4)]
    records = [replace(make_record(item, 0), response=HOSTILE) for item in items]
    records = [
        replace(r, choice=HOSTILE, target="No", status="wrong") if r.task == "perception" else r for r in records
    ]
    records[5] = replace(records[5], status="error", choice=None, error=HOSTILE)
    before = [replace(r, choice="No", status="correct", error=None) for r in records if r.task == "perception"]
    folder = tmp_path_factory.mktemp("run") / "::error::x\u202e"
    run_folder(
        folder, items, records, before, verdict=f"REGRESSED: {HOSTILE}", model={"name": HOSTILE},
        fingerprint={"data": HOSTILE, "model": {"name": HOSTILE}, "more": HOSTILE},
        baseline={"name": HOSTILE, "path": HOSTILE, "recorded": HOSTILE, "written": HOSTILE}, notes=[HOSTILE],
        errors=[{"item": HOSTILE, "error": HOSTILE}], missing=[HOSTILE], changes=[HOSTILE], submissions=[HOSTILE],
        left_out=[{"dataset": HOSTILE, "entry": HOSTILE, "reason": HOSTILE}], made_otherwise=[HOSTILE],
    )  # fmt: skip
    return read_finished(folder)


def acting(text: str) -> list[str]:
    """Return the parts of a text that act: control characters, and lines that a CI job obeys."""
    characters = [repr(c) for c in text if unicodedata.category(c) in ACTING and c != "\n"]
    return characters + [line for line in text.split("\n") if obeyed(line)]


def terminal(run: FinishedRun) -> str:
    return "\n".join(line.text for verbosity in (-1, 0, 1) for line in section(run, 80, verbosity))


def failing_gate(run: FinishedRun) -> str:
    gate = run.gates[0]
    return gate_text(GateResult(HOSTILE, "regressed", HOSTILE, gate.rows, gate.lost, gate.gained))


def html(run: FinishedRun) -> str:
    """Return the visible text of the page: its markup, and the items that its script shows."""
    text = page(run)
    packed = max(re.findall(r">\s*([A-Za-z0-9+/=]{100,})\s*<", text), key=len)
    shown = texts_of(json.loads(gzip.decompress(base64.b64decode(packed))))
    assert any("pwned" in one for one in shown)
    markup = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    assert markup.count("pwned") > 10
    assert "<script>alert" not in text
    return "\n".join([unescape(markup), *shown])


def texts_of(data: object) -> list[str]:
    if isinstance(data, str):
        return [data]
    parts = [*data, *data.values()] if isinstance(data, dict) else data if isinstance(data, list) else []
    return [text for part in parts for text in texts_of(part)]


WRITERS: dict[str, Callable[[FinishedRun], str]] = {
    "terminal and log": terminal, "failing gate": failing_gate, "Markdown": markdown, "HTML": html,
}  # fmt: skip


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())
def test_hostile_text_does_not_act(finished: FinishedRun, write: Callable[[FinishedRun], str]) -> None:
    told = write(finished)
    assert "pwned" in told
    assert acting(told) == []


def test_hostile_text_does_not_act_in_the_commands(
    finished: FinishedRun, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = tmp_path / "h.csv"
    assert main(["report", str(finished.folder), "-v"]) == 0
    assert main(["report", "--history", str(finished.folder.parent), "--csv", str(table)]) == 0
    assert main(["compare", str(finished.folder), str(finished.folder)]) == 10
    assert main(["report", str(finished.folder) + "\x1b[31m\n::error::x"]) == 4
    told = capsys.readouterr()
    assert acting(told.out) == acting(told.err) == []
    with table.open(newline="", encoding="utf-8") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert any("pwned" in cell for cell in cells)
    for cell in cells:
        assert acting(cell) == []
        assert "\n" not in cell
        assert not cell.startswith(("=", "+", "@")) and not re.match(r"-\D", cell)  # noqa: PT018


def test_hostile_text_does_not_act_in_junit(finished: FinishedRun, pytester: pytest.Pytester) -> None:
    """pytest's XML drops some characters. Our properties and failures contain none of them."""
    (pytester.path / "told.json").write_text(json.dumps([properties(finished), failing_gate(finished)]))
    pytester.makepyfile(
        """
        import json
        from pathlib import Path
        from types import SimpleNamespace
        import pytest
        from pytest_qbench.report import junit

        def test_it(request, monkeypatch):
            told, text = json.loads(Path("told.json").read_text())
            monkeypatch.setattr(junit, "properties", lambda run: told)
            junit.add_properties(request.config, None)
            pytest.fail(text, pytrace=False)
        """
    )
    pytester.runpytest_inprocess("--junitxml=j.xml", "-p", "no:cacheprovider")
    root = ElementTree.parse(pytester.path / "j.xml").getroot()
    told = [value for one in root.iter() for value in (*one.attrib.values(), one.text or "")]
    assert any("pwned" in text for text in told)
    assert [found for text in told for found in acting(text)] == []
