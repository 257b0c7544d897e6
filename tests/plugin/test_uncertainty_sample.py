"""--qbench-limit-by=uncertainty in real pytest processes: what is drawn, how it counts, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_qbench.cli import main
from pytest_qbench.records import read_records
from pytest_qbench.runs.items_file import read_items
from tests.plugin.test_early_stop import N, write_questions
from tests.plugin.test_runs import project, summary
from tests.plugin.test_usage import assert_usage

__all__ = ["project"]

DRAWN = ("--qbench-limit=150", "--qbench-limit-by=uncertainty")
RUN = ("--qbench-data=data", "--qbench-baseline=b", "--qbench-answer=likelihood", "-p", "no:randomly")


def write_outputs(folder: Path, asked: list[dict[str, object]], margins: list[float]) -> None:
    """Write likelihoods of Yes and No whose difference is a margin, in the form of records."""
    folder.mkdir()
    lines = [
        {"schema": 1, "item": f"llvisionqa/dev/{q['img_path']}", "task": "perception", "dataset": "llvisionqa",
         "split": "dev", "group": f"llvisionqa/dev/{q['img_path']}", "status": "correct" if m > 0 else "wrong",
         "choice": "Yes" if m > 0 else "No", "target": "Yes", "logprobs": {"Yes": m, "No": 0.0},
         "slices": {"type": "yes_or_no", "concern": "distortion"}}
        for q, m in zip(asked, margins, strict=True)
    ]  # fmt: skip
    (folder / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture
def questions(project: pytest.Pytester) -> pytest.Pytester:
    """600 questions, one in six of them uncertain to the baseline; a broken model loses half of these."""
    asked = write_questions(project)
    good = [0.2 if i % 6 == 0 else 6.0 if i % 10 else -6.0 for i in range(N)]
    write_outputs(project.path / "good", asked, good)
    write_outputs(project.path / "broken", asked, [-0.2 if i % 12 == 0 else m for i, m in enumerate(good)])
    assert project.runpytest_subprocess("--qbench-model=replay:good", *RUN, "--qbench-update-baseline").ret == 0
    return project


def test_a_run_measures_the_uncertain_items_and_judges_all(
    questions: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    args = (*RUN, *DRAWN, "--qbench-json=s.json")
    result = questions.runpytest_subprocess("--qbench-model=replay:broken", *args, "--qbench-run-dir=run")
    assert result.ret == 1, result.stdout.str()
    found, folder = summary(questions), questions.path / "run"
    records = read_records(folder / "records.jsonl")
    assert len(records) == 150
    assert {r.item: r.probability for r in records} == {i.id: i.probability for i in read_items(folder)}
    uncertain = [r for r in records if abs((r.logprobs or {})["Yes"]) < 1]
    assert len(uncertain) > 45  # 25 in an even sample
    row = next(m for m in found["metrics"] if m["name"] == "perception.accuracy" and m["slice"] is None)
    total = sum(r.weight for r in records)
    assert row["value"] == pytest.approx(sum(r.weight for r in records if r.status == "correct") / total)
    assert row["delta"] == pytest.approx(
        -sum(r.weight for r in records if r.logprobs == {"Yes": -0.2, "No": 0.0}) / total
    )
    assert row["delta_ci"][0] < -50 / N < row["delta_ci"][1]  # the change of all 600 items
    assert row["test"] == "sign flips of weighted changes by group"
    assert found["fingerprint"]["selection"]["limit_by"] == "uncertainty"
    result.stdout.fnmatch_lines(["*drawn by the uncertainty of the baseline's answers*"])
    same = questions.runpytest_subprocess("--qbench-model=replay:good", *args, "-n2", "--qbench-run-dir=same")
    assert "regressed" not in {gate["verdict"] for gate in summary(questions)["gates"]}, same.stdout.str()
    assert {r.item: r.probability for r in read_records(questions.path / "same" / "records.jsonl")} == {
        r.item: r.probability for r in records
    }
    stored = questions.path / "baselines"
    capsys.readouterr()
    assert main(["compare", str(stored / "b"), str(folder)]) == 1
    assert "regressed" in capsys.readouterr().out.lower()
    main(["compare", str(folder), str(stored / "b")])
    assert "drawn by --qbench-limit-by" in " ".join(capsys.readouterr())
    assert main(["baseline", str(folder), "--name=c", f"--baseline-dir={stored}"]) == 1
    assert "drawn by --qbench-limit-by" in capsys.readouterr().out
    other = questions.runpytest_subprocess(
        "--qbench-model=replay:broken", *RUN, "--qbench-limit=150", "--qbench-run-dir=run", "--qbench-resume"
    )
    assert_usage(other, "selection.limit_by: uncertainty -> None")
    questions.makepyfile(test_more="def test_rate(qbench_gate): qbench_gate('perception.unparsed_rate', margin=0.01)")
    more = questions.runpytest_subprocess("--qbench-model=replay:good", *args)
    assert more.ret == 10, more.stdout.str()
    more.stdout.fnmatch_lines(
        ["*perception.unparsed_rate*a run with --qbench-limit-by judges perception.accuracy alone*"]
    )


@pytest.mark.parametrize(
    "args, expected",
    [
        ((), "needs --qbench-limit=N"),
        (("--qbench-limit=9", "--qbench-update-baseline"), "contradict each other"),
        (("--qbench-limit=9", "--qbench-early-stop"), "contradict each other"),
        (("--qbench-limit=9",), "add --qbench-tasks=perception"),
        (
            ("--qbench-limit=9", "--qbench-tasks=perception", "--qbench-baseline=none"),
            "draws by a baseline: no baseline 'none'",
        ),
    ],
)
def test_usage_errors(project: pytest.Pytester, args: tuple[str, ...], expected: str) -> None:
    assert_usage(
        project.runpytest_subprocess("--qbench-model=random:0", "--qbench-limit-by=uncertainty", *args), expected
    )


def test_a_baseline_that_tells_no_uncertainty_is_refused(project: pytest.Pytester) -> None:
    model = ("--qbench-model=random:0", "--qbench-tasks=perception", "--qbench-baseline=b")
    assert project.runpytest_subprocess(*model, "--qbench-update-baseline").ret == 0
    found = project.runpytest_subprocess(*model, "--qbench-limit=9", "--qbench-limit-by=uncertainty")
    assert_usage(found, "does not tell how uncertain")


def test_questions_that_vanished_from_the_data_are_missing(questions: pytest.Pytester) -> None:
    file = questions.path / "data" / "llvisionqa" / "llvisionqa_dev.json"
    file.write_text(json.dumps(json.loads(file.read_text())[: N // 2]))
    result = questions.runpytest_subprocess("--qbench-model=replay:good", *RUN, *DRAWN)
    assert_usage(result, "300 questions of baseline b are not in the data (first: llvisionqa/dev/300.png)")
