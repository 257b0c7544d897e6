"""What is known of the baseline is checked before the first item, and the header tells the plan of a run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pytest_qbench.session.pace_of_last_run import in_words
from tests.plugin.test_runs import BOTH_IN_CAMPAIGN, SMALL, project, record_baseline
from tests.plugin.test_usage import assert_usage

__all__ = ["project"]

RUN = (*SMALL, "-p", "no:cacheprovider")


@pytest.fixture
def recorded(project: pytest.Pytester) -> pytest.Pytester:
    """A project with the baseline `random-0@mini`."""
    record_baseline(project)
    return project


def runs(project: pytest.Pytester) -> int:
    return len(list((project.path / ".qbench" / "runs").glob("*/records.jsonl")))


@BOTH_IN_CAMPAIGN
@pytest.mark.parametrize("damage", ["name", "seal", "merge", "answer"])
def test_a_baseline_that_cannot_be_compared_is_one_line_before_the_first_item(
    recorded: pytest.Pytester, workers: tuple[str, ...], damage: str
) -> None:
    head = recorded.path / "baselines" / "random-0@mini" / "baseline.yaml"
    args, expected = {
        "name": (("--qbench-baseline=nope",), "not in baselines/ (baselines: random-0@mini, tiny)"),
        "seal": ((), "was changed since it was recorded"),
        "merge": ((), "baseline.yaml"),
        "answer": (("--qbench-answer=likelihood",), "answer: generate -> likelihood"),
    }[damage]
    if damage == "seal":
        head.write_text(head.read_text().replace("recorded: '2", "recorded: '1"))
    if damage == "merge":
        head.write_text("<<<<<<< HEAD\n" + head.read_text())
    assert_usage(recorded.runpytest_subprocess(*RUN, *args, *workers), expected)
    assert runs(recorded) == 1
    if damage in ("seal", "merge"):  # a run that records it anew needs no whole baseline, one without gates needs none
        assert recorded.runpytest_subprocess(*RUN, "--qbench-no-gates", *workers).ret == 0
        assert recorded.runpytest_subprocess(*RUN, "--qbench-update-baseline", *workers).ret == 0


def test_other_items_end_the_session_as_not_measured(recorded: pytest.Pytester) -> None:
    result = recorded.runpytest_subprocess("--qbench-model=random:0", "-p", "no:cacheprovider")
    assert result.ret == 10
    result.stdout.fnmatch_lines(["NOT MEASURED: * of 450 perception items are not in baseline random-0@mini (first: *"])
    assert runs(recorded) == 1
    floor = "def test_floor(qbench_gate):\n    qbench_gate('perception.accuracy', minimum=0.05)\n"
    suite = recorded.path / "test_perception.py"
    suite.write_text(suite.read_text().partition("def test_accuracy")[0] + floor)
    # A floor compares nothing, so other items of the data are no obstacle.
    result = recorded.runpytest_subprocess("--qbench-model=random:0", "--qbench-tasks=perception", suite.name)
    assert result.ret == 0, result.stdout.str()


def test_the_header_tells_baseline_gates_and_duration(recorded: pytest.Pytester) -> None:
    result = recorded.runpytest_subprocess(*RUN, "--co", "-q")
    result = recorded.runpytest_subprocess(*RUN)
    result.stdout.fnmatch_lines(
        [
            "qbench: model random:0, data mini *",
            "qbench: baseline random-0@mini (* 20*, 160 items)",
            "qbench: 160 items; gates: assessment.srcc margin 0.01, description.sum margin 0.06, "
            "perception.accuracy margin 0.01; about * s, by the run of *",
        ]
    )
    result = recorded.runpytest_subprocess("--qbench-model=random:1", "--qbench-limit=40", "--co")
    result.stdout.fnmatch_lines(
        [
            "qbench: baseline none: no baseline 'random-1@mini' in baselines/; to judge this model by another baseline (*tiny), add --qbench-baseline=NAME; to accept this model as its own baseline: pytest *"
        ]
    )
    assert "about" not in result.stdout.str()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (89, "89 s"), (91, "2 min"), (3600, "60 min"), (7200, "2.0 h")]
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_a_model_has_a_baseline_for_each_of_its_data(recorded: pytest.Pytester) -> None:
    folder = recorded.mkdir("lab") / "iqa"
    folder.mkdir()
    rows = [{"img_path": f"{i}.png", "gt_score": i} for i in range(40)]
    (folder / "own.json").write_text(json.dumps(rows))
    suite = ("--qbench-model=random:0", "--qbench-data=lab", "-p", "no:cacheprovider", "test_assessment.py")
    # A baseline of the same name that shares no item with this data is not the one to compare with, nor to replace.
    missing = recorded.runpytest_subprocess(*suite)
    assert missing.ret == 10
    missing.stdout.fnmatch_lines(["qbench: baseline none: no baseline 'random-0@lab' in baselines/*"])
    again = recorded.runpytest_subprocess(*suite, "--qbench-update-baseline")
    assert again.ret == 0, again.stdout.str()
    assert {path.name for path in (recorded.path / "baselines").iterdir()} == {"random-0@mini", "random-0@lab"}
    recorded.runpytest_subprocess(*suite).stdout.fnmatch_lines(["qbench: baseline random-0@lab (*, 40 items)"])


def test_the_page_on_files_names_every_key_of_a_summary(recorded: pytest.Pytester) -> None:
    assert recorded.runpytest_subprocess(*RUN, "--qbench-json=s.json").ret == 0
    text = (Path(__file__).parents[2] / "docs" / "files.md").read_text(encoding="utf-8").partition("## summary.json")[2]
    lines = [line for line in text.partition("| field of a metric")[0].splitlines() if line.startswith("| `")]
    described = {word for line in lines for word in re.findall(r"`([^`]+)`", line.split("|")[1])}
    sometimes = {"anchor", "repeats", "stopped"}
    assert sometimes <= described
    assert set(json.loads((recorded.path / "s.json").read_text())) - {"schema", "hints"} == described - sometimes
