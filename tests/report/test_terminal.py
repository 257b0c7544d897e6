"""The terminal summary, by meaning: which cells and outcome lines stand there, at three widths and verbosities."""

from __future__ import annotations

import re

import pytest

from pytest_qbench.plugin.terminal import wrapped
from pytest_qbench.report.finished_run import Finished, read_finished
from pytest_qbench.report.terminal import section
from tests.plugin.test_runs import project
from tests.report.builders import large, run_folder

__all__ = ["project"]

WIDTHS = (80, 100, 200)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("run") / "run"
    left_out = [{"dataset": "koniq", "entry": f"{i}.jpg", "reason": "no MOS"} for i in range(30)]
    return read_finished(run_folder(folder, *large(2000), left_out=left_out))


def lines(run: Finished, width: int, verbosity: int = 0) -> list[str]:
    return [line.text for line in section(run, width, verbosity)]


def cells(text: list[str], start: str) -> list[str]:
    """The cells of the first row that starts so."""
    (row, *_) = [line for line in text if line.strip().startswith(start)]
    return re.split(r"\s{2,}", row.strip())


@pytest.mark.parametrize("width", WIDTHS)
def test_tables_hold_the_metrics_and_fit(finished: Finished, width: int) -> None:
    text = lines(finished, width)
    by_name = {(m.name, m.dataset, m.slice): m for m in finished.metrics}
    for label, slice_ in (("all", None), ("type how", "type=how"), ("concern other", "concern=other")):
        m = by_name["perception.accuracy", "llvisionqa", slice_]
        assert cells(text, label)[1] == f"{m.value:.4f}"
        assert str(m.n) in cells(text, label)
    for dataset in ("koniq", "kadid"):
        assert cells(text, dataset)[1] == f"{by_name['assessment.srcc', dataset, None].value:.4f}"
    for part in ("completeness", "sum"):
        assert cells(text, part)[1] == f"{by_name[f'description.{part}', 'lldescribe', None].value:.4f}"
    assert cells(text, "completeness")[0] == "completeness"
    tables = [line for line in text if re.search(r"\S\s{2,}\S", line)]
    assert max(map(len, tables)) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_the_verdict_is_last_and_the_gate_says_margin_interval_and_mde(finished: Finished, width: int) -> None:
    text = lines(finished, width)
    assert text[-1] == "REGRESSED: perception.accuracy"
    assert text[-2] == f"files: {finished.folder}"
    row = next(
        line for line in text if line.startswith("perception accuracy mini") or "perception.accuracy mini" in line
    )
    for cell in ("regressed", "-0.0300", "[-0.050, -0.012]", "0.01", "0.0240"):
        assert cell in row
    assert "gate perception.accuracy: regressed (mini: -0.0300, p = 0.001)" in text
    assert f"items: {len(finished.items)} scored, 0 unparsed, 0 errors, 0 missing of 2000" in text
    assert any(line.startswith("left out: ") and "20 more" in line for line in text)


def test_quiet_is_a_handful_of_lines_and_verbose_names_every_flip(finished: Finished) -> None:
    quiet, plain, loud = (lines(finished, 100, verbosity) for verbosity in (-1, 0, 1))
    assert len(quiet) <= 6
    assert quiet[-1] == plain[-1] == loud[-1]
    assert any("perception.accuracy: regressed" in line for line in quiet)
    (gate,) = finished.gates
    for flip in (*gate.lost, *gate.gained):
        assert any(flip.item in line and flip.question in line for line in loud)
    assert not any(gate.lost[0].item in line for line in plain)
    assert sum(line.startswith("left out: koniq") for line in loud) == 30
    assert any(line.strip().startswith("data: built") for line in loud)


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
def test_a_live_run_says_the_same_as_its_folder(project: pytest.Pytester, width: int, quiet: tuple[str, ...]) -> None:
    project.makeconftest(f"import os\nos.environ['COLUMNS'] = '{width}'")
    args = ("--qbench-model=random:0", "--qbench-limit=8", "--qbench-no-gates", "--qbench-run-dir=run")
    done = project.runpytest_subprocess(*args, *quiet)
    assert done.ret == 0
    shown = done.stdout.lines
    assert "\x1b" not in done.stdout.str()  # no colour where nobody sees it
    run = read_finished(project.path / "run")
    for line in lines(run, width, -len(quiet)):
        wanted = line.replace(str(project.path) + "/", "")
        assert any(wanted.split() == found.replace(str(project.path) + "/", "").split() for found in shown), line
