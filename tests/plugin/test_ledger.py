"""A run without a measurement never exits with 0: the exit status depends on its ledger, not on test outcomes."""

from __future__ import annotations

import json
import textwrap

import pytest

from tests.plugin.test_runs import BOTH, project

__all__ = ["project"]

DATA = "--qbench-data=data"
RUN = ("--qbench-model=replay:good", DATA, "-p", "no:randomly")


@pytest.fixture
def small(project: pytest.Pytester) -> pytest.Pytester:
    """A project with two tasks, recorded outputs of a good and a worse model, and the baseline of the good one."""
    for suite in project.path.glob("test_*.py"):
        suite.unlink()
    data = project.mkdir("data")
    (data / "llvisionqa").mkdir()
    (data / "iqa").mkdir()
    questions = [
        {"img_path": f"{i}.png", "question": f"Is image {i} blurry?", "candidates": ["Yes", "No"], "correct_ans": "Yes",
         "type": 0, "concern": 0} for i in range(400)
    ]  # fmt: skip
    (data / "llvisionqa" / "llvisionqa_dev.json").write_text(json.dumps(questions))
    (data / "iqa" / "lab.json").write_text(json.dumps([{"img_path": f"{i}.png", "gt_score": i} for i in range(200)]))
    for name, share, slope in (("good", 10, 1), ("worse", 2, -1)):
        outputs = project.mkdir(name)
        answers = [{**q, "response": "A" if i % 10 < share else "B"} for i, q in enumerate(questions)]
        (outputs / "llvisionqa_dev.json").write_text(json.dumps(answers))
        scores = [{"img_path": f"{i}.png", "logit_good": slope * i / 200, "logit_poor": 0.0} for i in range(200)]
        (outputs / "lab.json").write_text(json.dumps(scores))
    write_suite(project)
    recorded = project.runpytest_subprocess(*RUN, "--qbench-baseline=b", "--qbench-update-baseline")
    assert recorded.ret == 0, recorded.stdout.str()
    return project


def write_suite(project: pytest.Pytester, gates: str = "", decorator: str = "") -> None:
    project.makepyfile(
        test_suite=f"""
import contextlib
import pytest

@pytest.mark.qbench(task="perception")
def test_perception(qbench_item, qbench_record): ...

@pytest.mark.qbench(task="assessment")
def test_assessment(qbench_item, qbench_record): ...

{decorator}
def test_accuracy(qbench_gate):
    {gates or 'qbench_gate("perception.accuracy", margin=0.05)'}

{decorator}
def test_srcc(qbench_gate):
    qbench_gate("assessment.srcc", margin=0.05)
"""
    )


def status(project: pytest.Pytester, *args: str, model: str = "good") -> tuple[int, str]:
    result = project.runpytest_subprocess(
        f"--qbench-model=replay:{model}", DATA, "--qbench-baseline=b", "-p", "no:cacheprovider", *args
    )
    return result.ret, result.stdout.str() + result.stderr.str()


@BOTH
def test_the_exit_status_depends_on_measurements_and_verdicts(small: pytest.Pytester, workers: tuple[str, ...]) -> None:
    assert status(small, *workers)[0] == 0
    assert status(small, *workers, model="worse")[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [("-m", "qbench"), ("-k", "perception"), ("--deselect=test_suite.py::test_srcc",), ("--setup-only",)],
    ids=lambda a: a[0],
)
def test_a_run_without_some_of_its_tests_is_not_measured(small: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    code, text = status(small, *arguments)
    assert code == 10, text
    verdicts = [line for line in text.splitlines() if line.startswith("NOT MEASURED: ")]
    assert len(verdicts) == 2  # the first and the last line of the section
    assert all(len(line) < 160 and "; " not in line for line in verdicts)
    assert text.count("measure only with --qbench-no-gates") == 1


@pytest.mark.parametrize(
    "decorator", ["@pytest.mark.skip", "@pytest.mark.xfail(run=False)", "@pytest.mark.skipif(True, reason='no')"]
)
def test_a_run_whose_gates_do_not_run_is_not_measured(small: pytest.Pytester, decorator: str) -> None:
    write_suite(small, decorator=decorator)
    code, text = status(small)
    assert code == 10, text
    assert "did not run to its end" in text


@BOTH
@pytest.mark.parametrize(
    ("gates", "decorator"),
    [
        ("", "@pytest.mark.xfail"),
        ("", "@pytest.mark.xfail(strict=True)"),
        ("with contextlib.suppress(BaseException): qbench_gate('perception.accuracy', margin=0.05)", ""),
    ],
    ids=["xfail", "strict", "suppressed"],
)
def test_a_regression_fails_the_run_whatever_the_outcome_of_its_test(
    small: pytest.Pytester, workers: tuple[str, ...], gates: str, decorator: str
) -> None:
    write_suite(small, gates, decorator)
    code, text = status(small, *workers, model="worse")
    assert code == 1, text
    assert "REGRESSED: " in text


@BOTH
@pytest.mark.parametrize("hook", ["pytest_sessionfinish(session)", "pytest_terminal_summary(config)"])
def test_no_later_hook_makes_a_failed_run_green(small: pytest.Pytester, workers: tuple[str, ...], hook: str) -> None:
    """pytest-testmon sets the exit status to 0 after the run has ended."""
    write_suite(small)
    small.makeconftest(
        f"""
        import pytest

        sessions = []

        def pytest_sessionstart(session):
            sessions.append(session)

        @pytest.hookimpl(trylast=True)
        def {hook}:
            sessions[0].exitstatus = 0
        """
    )
    assert status(small, *workers, model="worse")[0] == 1
    assert status(small, *workers, "-k", "not accuracy")[0] == 10
    assert status(small, *workers, "-k", "nothing")[0] == 10


def test_forked_tests_are_refused(small: pytest.Pytester) -> None:
    write_suite(small)
    small.makeconftest("def pytest_addoption(parser): parser.addoption('--forked', action='store_true')")
    code, text = status(small, "--forked")
    assert code == 4
    assert "--forked ends the process of each test and with it the loaded model: drop --forked" in text


def test_a_gate_test_that_calls_no_gate_makes_the_run_not_measured(small: pytest.Pytester) -> None:
    write_suite(small, "for name in []: qbench_gate(name, margin=0.05)")
    code, text = status(small)
    assert code == 10
    assert "asks for qbench_gate and never calls it" in text
    write_suite(small, "pytest.exit('done', returncode=0)")
    assert status(small)[0] != 0


def test_a_task_of_the_baseline_without_data_makes_the_run_not_measured(small: pytest.Pytester) -> None:
    (small.path / "data" / "iqa" / "lab.json").unlink()
    for narrowed in ((), ("--qbench-limit=1000",)):
        code, text = status(small, *narrowed)
        assert code == 10, text
    assert status(small, "--qbench-tasks=perception", "-k", "perception or accuracy")[0] == 0


def test_items_missing_from_the_data_are_reported_also_under_a_limit(small: pytest.Pytester) -> None:
    file = small.path / "data" / "llvisionqa" / "llvisionqa_dev.json"
    file.write_text(json.dumps([q for i, q in enumerate(json.loads(file.read_text())) if i % 10 < 2]))
    for narrowed in ((), ("--qbench-limit=1000",), ("--qbench-datasets=llvisionqa,lab",)):
        code, text = status(small, *narrowed)
        assert code == 10, text
    refused = small.runpytest_subprocess(
        "--qbench-model=replay:good", DATA, "--qbench-baseline=b", "--qbench-update-baseline"
    )
    assert refused.ret != 0
    refused.stdout.fnmatch_lines(["*baseline not recorded: it also holds 320 items*--qbench-accept-lost-items"])
    accepted = ("--qbench-update-baseline", "--qbench-accept-lost-items")
    assert status(small, *accepted)[0] == 0
    assert status(small)[0] == 0


def test_a_named_model_without_suites_is_not_measured(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_other(): ...")
    result = pytester.runpytest_subprocess("--qbench-model=random:0")
    assert result.ret == 10
    result.stdout.fnmatch_lines(["NOT MEASURED: a model is named*"])
    assert pytester.runpytest_subprocess("--qbench-model=random:0", "--collect-only").ret == 0


def test_a_fixture_of_the_projects_own_that_measures_nothing(small: pytest.Pytester) -> None:
    small.makeconftest("import pytest\n@pytest.fixture\ndef qbench_record(): ...")
    code, text = status(small)
    assert code == 10, text
    assert "NOT MEASURED: a model is named, but no item was measured" in text


def test_a_finished_run_is_resumed_only_with_its_own_model(small: pytest.Pytester) -> None:
    assert status(small, "--qbench-run-dir=run")[0] == 0
    resumed = ("--qbench-run-dir=run", "--qbench-resume")
    assert status(small, *resumed)[0] == 0
    file = small.path / "good" / "lab.json"
    file.write_text(file.read_text().replace("0.5", "0.25"))
    code, text = status(small, *resumed)
    assert code == 4, text


def test_notes_in_a_baseline_are_kept(small: pytest.Pytester) -> None:
    notes = small.path / "baselines" / "b" / "NOTES.md"
    notes.write_text("why")
    assert status(small, "--qbench-update-baseline")[0] == 0
    assert notes.read_text() == "why"


SKIPS = {
    "mark": """
        def pytest_collection_modifyitems(items):
            for item in items:
                if "[llvisionqa" in item.nodeid and item.nodeid.endswith(("7.png]", "8.png]")):
                    item.add_marker(pytest.mark.skip(reason="not today"))
    """,
    "hook": """
        def pytest_runtest_setup(item):
            if "[llvisionqa" in item.nodeid and item.nodeid.endswith(("7.png]", "8.png]")):
                pytest.skip("not today")
    """,
}


@pytest.mark.parametrize("how, workers", [("mark", ()), ("hook", ("-n2",))])
def test_skipped_items_are_not_measured_and_both_summaries_say_so(
    small: pytest.Pytester, how: str, workers: tuple[str, ...]
) -> None:
    small.makeconftest("import pytest\n" + textwrap.dedent(SKIPS[how]))
    ran = small.runpytest_subprocess(*RUN, "--qbench-baseline=b", "--qbench-run-dir=run", *workers)
    assert ran.ret == 10
    assert ran.parseoutcomes()["skipped"] == 80
    ran.stdout.fnmatch_lines(["missing: 80 items: *", "not measured: 80 perception items have no record *"])
    summary = json.loads((small.path / "run" / "summary.json").read_text())
    assert summary["items"]["total"] - summary["items"]["scored"] == 80
    records = (small.path / "run" / "records.jsonl").read_text().splitlines()
    assert len(records) == 600 - 80


def test_a_gate_that_cannot_fail_has_judged_nothing(small: pytest.Pytester) -> None:
    code, text = status(small, "--qbench-limit=3", "--qbench-tasks=perception", "-k", "perception or accuracy")
    assert code == 10, text
    assert "3 items of 3 photos: too few for this gate to fail: the smallest possible p-value 0.062" in text


def test_files_of_a_run_folder_that_are_links_lead_nowhere(small: pytest.Pytester) -> None:
    precious = small.path / "precious"
    precious.write_text("kept")
    for name in ("run/summary.json", "run/items.jsonl", "run/baseline.jsonl", ".qbench/.gitignore"):
        path = small.path / name
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(precious)
    assert status(small, "--qbench-run-dir=run")[0] == 0
    assert precious.read_text() == "kept"
    (small.path / "linked").mkdir()
    (small.path / "linked" / "records.jsonl").symlink_to(precious)
    status(small, "--qbench-run-dir=linked", "--qbench-resume")
    assert precious.read_text() == "kept"
