"""--qbench-early-stop in real pytest processes: what stops, what counts, and what a stopped run cannot become."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_qbench.cli import main
from pytest_qbench.records import read_records
from tests.endpoints.server import completion, serving, text_of
from tests.plugin.test_runs import BOTH, project, summary
from tests.plugin.test_usage import assert_usage

__all__ = ["project"]

N = 600
ENDING = 16 + 8  # requests to the end of a batch, and those that find out what a server can
RUN = ("--qbench-data=data", "--qbench-baseline=b", "-p", "no:randomly")
STOP = (*RUN, "--qbench-early-stop", "--qbench-run-dir=run", "--qbench-json=s.json")


def write_questions(project: pytest.Pytester) -> list[dict[str, object]]:
    """Write N questions into the folder `data`, leave the suite of perception alone, and return the questions."""
    for name in ("assessment", "description"):
        (project.path / f"test_{name}.py").unlink()
    asked: list[dict[str, object]] = [
        {"img_path": f"{i}.png", "question": f"Is image {i} blurry?", "candidates": ["Yes", "No"], "correct_ans": "Yes",
         "type": 0, "concern": 0} for i in range(N)
    ]  # fmt: skip
    folder = project.mkdir("data") / "llvisionqa"
    folder.mkdir()
    (folder / "llvisionqa_dev.json").write_text(json.dumps(asked))
    return asked


@pytest.fixture
def questions(project: pytest.Pytester) -> pytest.Pytester:
    """Questions about 600 images, outputs of four models, and the baseline of the good one."""
    asked = write_questions(project)
    wrong = {"good": lambda i: i % 10 > 6, "same": lambda i: i % 10 > 6, "broken": lambda i: i % 10 > 2}
    for name, is_wrong in wrong.items():
        answers = [{**q, "response": "B" if is_wrong(i) else "A"} for i, q in enumerate(asked)]
        (project.mkdir(name) / "llvisionqa_dev.json").write_text(json.dumps(answers))
    recorded = project.runpytest_subprocess("--qbench-model=replay:good", *RUN, "--qbench-update-baseline")
    assert recorded.ret == 0, recorded.stdout.str()
    return project


def ids(project: pytest.Pytester, run: str = "run") -> set[str]:
    return {record.item for record in read_records(project.path / run / "records.jsonl")}


@BOTH
def test_a_broken_model_ends_red_after_tens_of_items(questions: pytest.Pytester, workers: tuple[str, ...]) -> None:
    result = questions.runpytest_subprocess("--qbench-model=replay:broken", *STOP, *workers)
    assert result.ret == 1, result.stdout.str()
    found = summary(questions)
    stopped = found["stopped"]
    assert stopped["of"] == N
    assert 10 < stopped["items"] < 100
    assert found["items"] == {
        "total": stopped["items"],
        "scored": stopped["items"],
        "unparsed": 0,
        "errors": 0,
        "cut": 0,
    }
    assert len(ids(questions)) == stopped["items"]
    assert stopped["tasks"][0]["verdict"] == "regressed"
    result.stdout.fnmatch_lines([
        "qbench: perception.accuracy regressed: *",
        f"REGRESSED: accuracy on llvisionqa: * lost so far *(stopped after {stopped['items']} of 600 items)*",
    ])  # fmt: skip
    measured, decided = ids(questions), found["gates"]
    run = questions.path / "run"  # as if it had been killed after nine items
    lines = (run / "records.jsonl").read_text().splitlines(keepends=True)
    (run / "records.jsonl").write_text("".join(lines[:9]))
    (run / "summary.json").unlink()
    again = questions.runpytest_subprocess("--qbench-model=replay:broken", *STOP, "--qbench-resume", *workers)
    assert again.ret == 1
    assert (ids(questions), summary(questions)["gates"]) == (measured, decided)
    if not workers:
        model = "--qbench-model=replay:broken"
        other = questions.runpytest_subprocess(model, *RUN, "--qbench-run-dir=run", "--qbench-resume")
        assert_usage(other, "was run with other settings: (early_stop: True -> None)")


@BOTH
def test_a_good_model_passes_before_its_last_item_and_the_run_is_no_full_measurement(
    questions: pytest.Pytester, workers: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    result = questions.runpytest_subprocess("--qbench-model=replay:same", *STOP, *workers)
    assert result.ret == 0, result.stdout.str()
    assert summary(questions)["stopped"]["items"] == 450
    result.stdout.fnmatch_lines(["PASS: 1 of 1 gates hold (stopped after 450 of 600 items)*"])
    assert len(ids(questions)) == 450
    capsys.readouterr()
    run, baselines = questions.path / "run", questions.path / "baselines"
    assert main(["baseline", str(run), "--name=c", f"--baseline-dir={baselines}"]) == 1
    assert "it was stopped after 450 of 600 items" in capsys.readouterr().out
    assert not (baselines / "c").exists()
    for pair in ([run, baselines / "b"], [baselines / "b", run]):
        assert main(["compare", *map(str, pair)]) == 4
        assert "stopped after 450 of 600 items" in capsys.readouterr().err
    assert main(["report", str(run), f"--html={questions.path / 'page.html'}"]) == 0
    assert "stopped after 450 of 600 items" in (questions.path / "page.html").read_text()


def test_tests_that_read_the_results_keep_the_run_going(questions: pytest.Pytester) -> None:
    questions.makepyfile(test_more="def test_more(qbench_results): assert len(qbench_results.records) == 600")
    result = questions.runpytest_subprocess("--qbench-model=replay:same", *STOP)
    assert result.ret == 0, result.stdout.str()
    assert "stopped" not in summary(questions)


def test_the_first_red_gate_leaves_other_tasks_out(questions: pytest.Pytester) -> None:
    """The suites run in the order of their files; the assessment comes last here."""
    iqa = questions.path / "data" / "iqa"
    iqa.mkdir()
    (iqa / "lab.json").write_text(json.dumps([{"img_path": f"{i}.png", "gt_score": i} for i in range(100)]))
    for model in ("good", "broken"):
        scores = [{"img_path": f"{i}.png", "logit_good": i / 100, "logit_poor": 0.0} for i in range(100)]
        (questions.path / model / "lab.json").write_text(json.dumps(scores))
    questions.makepyfile(
        test_z="""
        import pytest

        @pytest.fixture(autouse=True, scope="module")
        def noted():
            yield
            print("torn down")

        @pytest.mark.qbench(task="assessment")
        def test_assessment(qbench_item, qbench_record): ...

        def test_rank(qbench_gate):
            qbench_gate("assessment.srcc", margin=0.01)

        def test_other(): ...
    """
    )
    assert questions.runpytest_subprocess("--qbench-model=replay:good", *RUN, "--qbench-update-baseline").ret == 0
    result = questions.runpytest_subprocess("--qbench-model=replay:broken", *STOP)
    assert result.ret == 1, result.stdout.str()
    found = summary(questions)
    assert found["stopped"]["of"] == 700
    gates = {gate["name"]: gate for gate in found["gates"]}
    assert gates["assessment.srcc"]["outcome"] == "not gated"
    assert "left out: perception.accuracy" in gates["assessment.srcc"]["reason"]
    assert not [note for note in found["notes"] if "not measured" in note]
    assert result.parseoutcomes()["passed"] == 1  # test_other runs


def test_skipped_items_are_an_accident_also_with_early_stop(questions: pytest.Pytester) -> None:
    questions.makeconftest("""
        import pytest

        def pytest_collection_modifyitems(items):
            items[5].add_marker(pytest.mark.skip(reason="by hand"))
    """)
    result = questions.runpytest_subprocess("--qbench-model=replay:same", *STOP)
    assert result.ret == 10, result.stdout.str()
    assert "stopped" not in summary(questions)


@pytest.mark.parametrize(
    "option", ["--qbench-update-baseline", "--qbench-no-gates", "--qbench-blind", "--qbench-shard=1/2"]
)
def test_options_that_contradict_it(project: pytest.Pytester, option: str) -> None:
    assert_usage(
        project.runpytest_subprocess("--qbench-model=random:0", "--qbench-early-stop", option), "contradict each other"
    )


def test_a_served_model_stops_early_and_gets_no_more_requests(
    questions: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    images = questions.path / "data" / "llvisionqa" / "images"
    images.mkdir()
    from PIL import Image

    for i in range(N):
        Image.new("RGB", (8, 8), (i % 256, 0, 0)).save(images / f"{i}.png")
    is_broken = False

    def answer(body: dict[str, Any], attempt: int) -> Any:
        letter = "B" if is_broken and len(text_of(body)) % 3 else "A"
        tokens = {"prompt_tokens": 10 + json.dumps(body).count("image_url"), "completion_tokens": 1}
        return completion(letter, usage=tokens)

    args = (*RUN[:1], "--qbench-baseline=e", "--qbench-concurrency=8", "--qbench-batch-size=16", "-p", "no:randomly")
    with serving(answer) as server:
        model = f"--qbench-model=openai:m@{server.url}"

        def run(folder: str, *more: str) -> tuple[int, int, dict[str, Any]]:
            """Return exit status, number of requests and summary of a run with early stop."""
            sent = len(server.bodies)
            stop = ("--qbench-early-stop", f"--qbench-run-dir={folder}", "--qbench-json=s.json")
            result = questions.runpytest_subprocess(model, *args, *stop, *more)
            assert "stopped after" in result.stdout.str()
            return result.ret, len(server.bodies) - sent, summary(questions)

        recorded = questions.runpytest_subprocess(model, *args, "--qbench-update-baseline")
        assert recorded.ret == 0, recorded.stdout.str()
        status, requests, good = run("good")
        assert (status, good["stopped"]["items"], good["gates"][0]["verdict"]) == (0, 450, "pass")
        assert 450 <= requests < 450 + ENDING
        assert len(ids(questions, "good")) == 450
        is_broken = True
        status, requests, broken = run("broken")
        items = broken["stopped"]["items"]
        assert (status, broken["gates"][0]["verdict"]) == (1, "regressed")
        assert 9 < items < 100
        assert items <= requests < items + ENDING
        measured = ids(questions, "broken")
        assert len(measured) == items
        records = questions.path / "broken" / "records.jsonl"  # as if the run had been killed after nine items
        records.write_text("".join(records.read_text().splitlines(keepends=True)[:9]))
        (questions.path / "broken" / "summary.json").unlink()
        status, again, resumed = run("broken", "--qbench-resume")
        assert (status, resumed["gates"], ids(questions, "broken")) == (1, broken["gates"], measured)
        assert again <= requests - 9
        status, requests, shared = run("shared", "-n2")
        assert (status, shared["gates"], ids(questions, "shared")) == (1, broken["gates"], measured)
        assert requests < 100
