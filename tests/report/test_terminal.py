"""The cells and lines of the terminal summary, at three widths and verbosities."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_qbench.data.published import DATABASES
from pytest_qbench.items import TASKS
from pytest_qbench.plugin.terminal import wrapped
from pytest_qbench.records import Record
from pytest_qbench.report.finished_run import FinishedRun, read_finished
from pytest_qbench.report.labels import mean_label, shortened_mean
from pytest_qbench.report.markdown import markdown
from pytest_qbench.report.page import page
from pytest_qbench.report.terminal import Line, coloured, section
from tests.plugin.test_runs import project
from tests.report.builders import large, make_item, make_record, run_folder

__all__ = ["project"]

WIDTHS = (80, 100, 200)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    folder = tmp_path_factory.mktemp("run") / "run"
    left_out = [{"dataset": "koniq", "entry": f"{i}.jpg", "reason": "no MOS"} for i in range(30)]
    return read_finished(run_folder(folder, *large(2000), left_out=left_out))


def lines(run: FinishedRun, width: int, verbosity: int = 0) -> list[str]:
    return [line.text for line in section(run, width, verbosity)]


def cells(text: list[str], start: str) -> list[str]:
    """Return the cells of the first row that begins with `start`."""
    (row, *_) = [line for line in text if line.strip().startswith(start)]
    return re.split(r"\s{2,}", row.strip())


@pytest.mark.parametrize("width", WIDTHS)
def test_the_verdict_is_first_and_last_and_the_numbers_have_units(finished: FinishedRun, width: int) -> None:
    text = lines(finished, width)
    assert text[0] == text[-1]
    assert text[0].startswith(
        "REGRESSED: accuracy on mini: 3.0 points lost, at least 1.2 (74.0 % -> 71.0 %), allowed 1 pt"
    )
    assert text[1] == "built against old (1 Dec 2025) | built | 2,000 items, all read"
    assert text[2].split() == ["before", "now", "change", "90", "%", "interval", "margin"]
    assert cells(text, "x accuracy mini") == [
        "x accuracy mini", "74.0 %", "71.0 %", "-3.0 pt", "[-5.0, -1.2]", "1 pt", "REGRESSED",
    ]  # fmt: skip
    assert len(text[3]) <= width
    assert len(text) <= 12
    assert text[-2] == f"files: {finished.folder}"
    assert "gate perception.accuracy: regressed (mini: -0.0300, p = 0.001)" in text
    assert any(line.startswith("left out: 30 entries of the data (koniq 0.jpg: no MOS") for line in text)


@pytest.mark.parametrize("datasets", [None, ["mine"], ["koniq"], [*DATABASES], [*DATABASES, "mine"]])
@pytest.mark.parametrize("place", ["", " (anchor)"])
def test_a_mean_has_a_short_name(datasets: list[str] | None, place: str) -> None:
    assert shortened_mean(f"SRCC {mean_label(datasets)}{place}") == f"SRCC mean{place}"


@pytest.mark.parametrize("width", WIDTHS)
def test_verbose_adds_tables_that_hold_the_metrics_and_fit(finished: FinishedRun, width: int) -> None:
    text = lines(finished, width, 1)
    by_name = {(m.name, m.dataset, m.slice): m for m in finished.metrics}
    for label, slice_ in (("all", None), ("type how", "type=how"), ("concern other", "concern=other")):
        m = by_name["perception.accuracy", "llvisionqa", slice_]
        assert cells(text, label)[1] == f"{100 * m.value:.1f} %"
        assert str(m.n) in cells(text, label)
    for dataset in ("koniq", "kadid"):
        assert cells(text, dataset)[1] == f"{by_name['assessment.srcc', dataset, None].value:.3f}"
    for part in ("completeness", "sum"):
        assert cells(text, part)[1] == f"{by_name[f'description.{part}', 'lldescribe', None].value:.2f}"
    tables = [line for line in text if re.search(r"\S\s{2,}\S", line)]
    assert max(map(len, tables)) <= width


def test_quiet_keeps_the_numbers_and_verbose_names_every_flip(finished: FinishedRun) -> None:
    quiet, plain, loud = (lines(finished, 100, verbosity) for verbosity in (-1, 0, 1))
    assert len(quiet) <= 8
    assert quiet[-1] == plain[-1] == loud[-1]
    assert any("-3.0 pt" in line for line in quiet)
    (gate,) = finished.gates
    for flip in (*gate.lost, *gate.gained):
        assert any(flip.item in line and flip.question in line for line in loud)
    assert not any(gate.lost[0].item in line for line in plain)
    assert f"changed: questions {gate.lost_count} lost and {gate.gained_count} gained" in plain
    assert sum(line.startswith("left out: koniq") for line in loud) == 30
    assert any(line.strip().startswith("data: built") for line in loud)


def test_vv_shows_the_reply_of_a_wrong_item(finished: FinishedRun) -> None:
    text = lines(finished, 100, 2)
    key, wrong = next((k, r) for k, r in finished.records.items() if r.status == "wrong")
    at = text.index(f"wrong {wrong.item}: {finished.items[key].question}")
    options = " / ".join(finished.items[key].options)
    assert text[at + 1 : at + 5] == [
        f"    options: {options}", f"    reply:   {wrong.response}", f"    said:    {wrong.choice}",
        f"    right:   {finished.items[key].answer}",
    ]  # fmt: skip
    assert sum(line.startswith("wrong ") for line in text) == sum(
        r.status == "wrong" for r in finished.records.values()
    )
    assert not any(line.startswith("wrong ") for line in lines(finished, 100, 1))


def test_errors_are_grouped_by_kind_with_one_traceback_each(tmp_path: Path) -> None:
    items = [make_item(i, "perception", "mini") for i in range(9)]
    texts = [f"RuntimeError: {item.id}: backend {i} is down" for i, item in enumerate(items[:7])] + ["KeyError: 'x'"]
    records = [Record.of(item, "error", error=text) for item, text in zip(items, texts, strict=False)]
    tracebacks = {items[2].id: "Traceback (most recent call last):\n  somewhere\nRuntimeError: backend 2 is down\n"}
    run = read_finished(
        run_folder(tmp_path / "run", items, [*records, make_record(items[8], 0)], tracebacks=tracebacks)
    )
    errors = [line for line in lines(run, 100) if line.startswith("error: ")]
    assert errors == [
        "error: RuntimeError: mini/000000.jpg: backend 0 is down (7 items: mini/000000.jpg, mini/000001.jpg, "
        "mini/000002.jpg, ...)",
        "error: KeyError: 'x' (1 item: mini/000007.jpg)",
    ]
    assert lines(run, 100).count("    Traceback (most recent call last):") == 1


def test_an_unmeasured_gate_is_not_called_invalid(tmp_path: Path) -> None:
    items = [make_item(i, "perception", "mini") for i in range(9)]
    gate = {"name": "description.sum", "verdict": "invalid", "outcome": "not gated", "reason": "no data", "rows": [],
            "lost": [], "gained": [], "lost_count": 0, "gained_count": 0}  # fmt: skip
    first = {**gate, "name": "perception.accuracy", "outcome": "pass", "reason": "no baseline 'x'"}
    run = read_finished(
        run_folder(tmp_path / "run", items, [make_record(i, 0) for i in items], gates=[gate, first], verdict="PASS: x")
    )
    for told in ("\n".join(lines(run, 100, 1)), markdown(run), page(run)):
        assert "invalid" not in told
        assert "not measured" in told
        assert "no baseline yet" in told


@pytest.mark.parametrize("width", WIDTHS)
def test_sentences_wrap_at_a_terminal_without_losing_a_word(width: int) -> None:
    text = (
        "gate assessment.srcc: inconclusive (" + "; ".join(f"db{i}: -0.0{i} in [-0.1, +0.1]" for i in range(12)) + ")"
    )
    parts = wrapped(text, width)
    assert all(len(part) <= width for part in parts)
    assert " ".join(parts).split() == text.split()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("quiet", [(), ("-q",)], ids=["plain", "quiet"])
def test_a_live_run_and_its_folder_give_the_same_lines(
    project: pytest.Pytester, width: int, quiet: tuple[str, ...]
) -> None:
    project.makeconftest(f"import os\nos.environ['COLUMNS'] = '{width}'")
    args = ("--qbench-model=random:0", "--qbench-limit=8", "--qbench-no-gates", "--qbench-run-dir=run")
    done = project.runpytest_subprocess(*args, *quiet)
    assert done.ret == 0
    shown = done.stdout.lines
    assert "\x1b" not in done.stdout.str()  # no colours in a pipe
    run = read_finished(project.path / "run")
    for line in lines(run, width, -len(quiet)):
        wanted = line.replace(str(project.path) + "/", "")
        assert any(wanted.split() == found.replace(str(project.path) + "/", "").split() for found in shown), line


def test_gates_with_the_same_reason_share_a_line(tmp_path: Path) -> None:
    items = [make_item(i, "perception", "mini") for i in range(9)]
    one = {"name": "perception.accuracy", "verdict": "invalid", "outcome": "fail", "reason": "no baseline 'x'", "rows": [],
           "lost": [], "gained": [], "lost_count": 0, "gained_count": 0}  # fmt: skip
    gates = [one, {**one, "name": "perception.yes_rate"}]
    run = read_finished(run_folder(tmp_path / "run", items, [make_record(i, 0) for i in items], gates=gates))
    text = lines(run, 100)
    assert "gates perception.accuracy, perception.yes_rate: invalid (no baseline 'x')" in text
    assert sum("no baseline" in line for line in text) == 1


def test_colours_follow_the_verdict() -> None:
    assert coloured(Line("bad", ("bold", "red"))) == "\x1b[1;31mbad\x1b[0m"
    assert coloured(Line("plain")) == "plain"


@pytest.mark.parametrize(
    ("template", "order", "warns"),
    [
        ("{question}", "shuffled with seed 0", True),
        ("{question}\n{options}", "shuffled with seed 0", False),
        ("{question}", None, False),
    ],
)
def test_a_shuffle_that_no_prompt_shows_is_told(tmp_path: Path, template: str, order: str | None, warns: bool) -> None:
    item, prompts = make_item(0, "perception", "mini"), {task: {"text": template, "hash": "h"} for task in TASKS}
    made = {"prompts": {"set": "own", **prompts}, "option_order": order}
    run = read_finished(run_folder(tmp_path / "run", [item], [make_record(item, 0)], fingerprint=made))
    assert any("the prompts show no options" in line for line in lines(run, 100)) is warns
