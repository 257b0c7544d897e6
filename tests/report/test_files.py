"""The reports of a run. `qbench report` writes the same files from the run folder alone."""

from __future__ import annotations

import csv
import gzip
import json
import re
import shutil
from base64 import b64decode
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from pytest_qbench.cli import main
from pytest_qbench.report.finished_run import read_finished
from pytest_qbench.report.history import COLUMNS
from pytest_qbench.report.markdown import code, markdown
from pytest_qbench.report.thumbnails import THUMBNAILS
from tests.plugin.test_runs import BOTH, SMALL, project, record_baseline
from tests.report.builders import SCRIPT, make_item, make_record, run_folder

__all__ = ["project"]


def data_of(page: Path) -> Any:
    """Return the data of a page's script."""
    (packed,) = re.findall(r'id="data">([^<]*)<', page.read_text(encoding="utf-8"))
    return json.loads(gzip.decompress(b64decode(packed)))


@BOTH
def test_every_report_is_rebuilt_from_the_run_folder_alone(
    project: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: tuple[str, ...]
) -> None:
    record_baseline(project)
    step = tmp_path / "step.md"
    step.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    args = ("--qbench-model=random:1", "--qbench-baseline=random-0", "--qbench-limit=40", "--qbench-run-dir=run")
    done = project.runpytest_subprocess(*args, "--qbench-html=a.html", "--qbench-md=a.md", "--junitxml=j.xml", *workers)
    root = project.path
    assert step.read_text() == "before\n" + (root / "a.md").read_text()
    run = tmp_path / "elsewhere" / "run"
    shutil.copytree(root / "run", run)
    for name in ("baselines", "run"):
        shutil.rmtree(root / name)
    assert main(["report", str(run), f"--html={tmp_path / 'b.html'}", f"--md={tmp_path / 'b.md'}"]) == 0

    assert data_of(root / "a.html") == data_of(tmp_path / "b.html")
    assert (root / "a.html").read_text().replace(str(root / "run"), str(run)) == (tmp_path / "b.html").read_text()
    assert (root / "a.md").read_text().replace(str(root / "run"), str(run)) == (tmp_path / "b.md").read_text()
    assert json.loads((run / THUMBNAILS).read_text())

    suite = ElementTree.parse(root / "j.xml").getroot().find("testsuite")
    assert suite is not None
    properties = {p.get("name"): p.get("value") for p in suite.iterfind("properties/property")}
    summary = json.loads((run / "summary.json").read_text())
    assert properties["qbench.verdict"] == summary["verdict"]
    for m in summary["metrics"]:
        if m["name"] == "perception.accuracy":
            name = ".".join(filter(None, ("qbench", m["name"], m["dataset"], m["split"], m["slice"])))
            assert float(properties[name]) == m["value"]
    gates = {case.get("name"): case for case in suite.iterfind("testcase") if "[" not in str(case.get("name"))}
    assert len(gates) == len(summary["gates"]) == 3
    failed = [g for g in summary["gates"] if g["outcome"] == "fail"]
    told = "".join(str(f.get("message")) for case in gates.values() for f in case.iterfind("failure"))
    assert all(g["name"] in told for g in failed)
    assert (done.ret != 0) == bool(failed)
    verdicts = {p.get("value") for case in gates.values() for p in case.iterfind("properties/property")}
    assert verdicts == {f"{g['verdict']}: {g['reason']}" for g in summary["gates"]}


def test_a_failing_gate_is_a_failed_test_case_in_junit(project: pytest.Pytester) -> None:
    done = project.runpytest_subprocess(*SMALL, "--junitxml=j.xml")  # no baseline: every gate is invalid
    assert done.ret == 10
    cases = [
        c for c in ElementTree.parse(project.path / "j.xml").getroot().iter("testcase") if c.find("failure") is not None
    ]
    messages = [str(case.find("failure").get("message")) for case in cases]  # type: ignore[union-attr]
    assert len(messages) == 3
    assert all("invalid" in message and "no baseline" in message for message in messages)


def test_a_file_that_cannot_be_written_fails_the_run_and_a_step_summary_does_not(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "no" / "step.md"))
    args = (*SMALL, "--qbench-no-gates")
    done = project.runpytest_subprocess(*args)
    assert done.ret == 0
    done.stdout.fnmatch_lines(["GITHUB_STEP_SUMMARY=*cannot be written*"])
    bad = project.runpytest_subprocess(*args, "--qbench-md=no/such/a.md")
    assert bad.ret != 0
    assert "no/such" in bad.stdout.str() + bad.stderr.str()


@pytest.mark.parametrize(
    "text", [SCRIPT, "a | b", "`x`", "``", "<img src=x onerror=alert(1)>", "[l](javascript:1)", "a\n\n# b", "*", "|`|"]
)
def test_a_foreign_text_in_markdown_is_one_code_span(text: str) -> None:
    table = f"| head |\n| --- |\n| {code(text)} |\n"
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(table)
    cell = html.partition("<td>")[2].partition("</td>")[0]
    assert html.count("<td>") == 1
    assert cell.startswith("<code>")
    assert cell.endswith("</code>")
    assert "<" not in cell[6:-7]


def test_markdown_contains_verdict_flips_and_missing_items(tmp_path: Path) -> None:
    items = [make_item(i, "perception", "mini") for i in range(200)]
    records = [make_record(item, 0, SCRIPT) for item in items]
    run = run_folder(tmp_path / "run", items, records[:-1], [make_record(item, 1) for item in items][:-1], missing=["mini/000199.jpg"])  # fmt: skip
    assert main(["report", str(run), f"--md={tmp_path / 'a.md'}"]) == 0
    text = (tmp_path / "a.md").read_text()
    assert text.startswith(
        "## Q-Bench: `REGRESSED: accuracy on mini: 3.0 points lost, at least 1.2 (74.0 % -> 71.0 %), allowed 1 pt`"
    )
    assert "`200 items, 1 missing`" in text
    assert text.index("| ❌ `accuracy mini` | 74.0 % | 71.0 % | -3.0 pt |") < text.index("<details>")
    assert "- missing: `mini/000199.jpg`" in text
    assert "| lost | `mini/0000" in text
    assert "<script>" not in MarkdownIt("commonmark", {"html": True}).enable("table").render(text)


def test_markdown_stays_below_the_limit_of_github(tmp_path: Path) -> None:
    items = [make_item(i, "perception", f"set{i}") for i in range(3500)]
    records = [make_record(item, 0) for item in items]
    run = run_folder(tmp_path / "run", items, records, notes=[f"note {i} " + "x" * 150 for i in range(3000)])
    text = markdown(read_finished(run))
    assert 400_000 < len(text.encode()) <= 2**20
    assert text.endswith("The run folder holds all of it.\n")
    assert text.startswith("## Q-Bench: ")


def past(folder: Path, name: str, day: int, recorded: str, right: int, **more: Any) -> None:
    items = [make_item(i, "perception", "mini") for i in range(60)]
    records = [make_record(item, right) for item in items]
    base = {"name": "old", "path": "b", "recorded": recorded}
    run_folder(folder / name, items, records, baseline=base, began=f"2026-01-{day:02}T00:00:00+00:00", **more)


def test_the_history_marks_a_changed_baseline_in_page_and_csv(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    past(runs, "z-first", 1, "2025-12-01", 0)
    past(runs, "b", 2, "2025-12-01", 1)
    past(runs, "a-last", 3, "2026-01-02", 2)
    past(runs, "other", 2, "2025-12-01", 2, model={"name": "=another"})
    (runs / "unfinished").mkdir()
    page, sheet = tmp_path / "h.html", tmp_path / "h.csv"
    assert main(["report", f"--history={runs}", f"--html={page}", f"--csv={sheet}"]) == 0
    with sheet.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    order = list(dict.fromkeys(row["run"] for row in rows))
    assert order[0] == "z-first"
    assert order[-1] == "a-last"
    assert {row["run"] for row in rows if row["baseline_changed"] == "True"} == {"a-last"}
    assert {row["model"] for row in rows} == {"built", "'=another"}  # a spreadsheet must not see a formula
    for name in order:
        summary = json.loads((runs / name / "summary.json").read_text())
        (total,) = [m for m in summary["metrics"] if m["name"] == "perception.accuracy" and m["slice"] is None]
        (row,) = [r for r in rows if (r["run"], r["metric"], r["slice"]) == (name, "perception.accuracy", "")]
        assert float(row["value"]) == total["value"]
        assert [float(row["ci_lower"]), float(row["ci_upper"])] == total["ci"]
    told = page.read_text(encoding="utf-8")
    assert told.count("(changed)") == 1
    assert "a-last" in told[: told.index("(changed)")].rpartition("<tr>")[2]
    out = capsys.readouterr().out
    assert next(line for line in out.splitlines() if line.lstrip().startswith("a-last")).endswith("(another baseline)")
    assert "unfinished" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["report"], "name one run folder"),
        (["report", "nowhere"], "has no summary.json"),
        (["report", "--history=nowhere"], "no such folder"),
        (["report", "x", "--history=y"], "name one run folder"),
        (["report", "x", "--csv=y"], "--csv needs --history"),
    ],
)
def test_a_usage_error_is_one_line_with_exit_status_4(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 4
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
