"""The plugin in real pytest processes, alone and with two workers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import reseal

SUITES = Path(__file__).parents[2] / "suites"
BOTH = pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "n2"])
# Where two workers do nothing else than in a test that `make test` runs with them. The campaign runs both.
BOTH_IN_CAMPAIGN = pytest.mark.parametrize(
    "workers", [pytest.param((), id="alone"), pytest.param(("-n2",), id="n2", marks=pytest.mark.campaign)]
)
SMALL = ("--qbench-model=random:0", "--qbench-limit=40")


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """An empty project with copies of the suites."""
    for suite in SUITES.glob("test_*.py"):
        (pytester.path / suite.name).write_text(suite.read_text())
    return pytester


def summary(project: pytest.Pytester) -> dict[str, Any]:
    return json.loads((project.path / "s.json").read_text())  # type: ignore[no-any-return]


def record_baseline(project: pytest.Pytester, *args: str) -> None:
    result = project.runpytest_subprocess(*SMALL, "--qbench-update-baseline", *args)
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(["baseline recorded: *random-0@mini"])


@BOTH_IN_CAMPAIGN
def test_without_a_baseline_the_gates_are_invalid_and_name_the_option_that_records_one(
    project: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    result = project.runpytest_subprocess(*SMALL, "--qbench-json=s.json", *workers)
    assert result.ret == 10
    result.stdout.fnmatch_lines(["*no baseline 'random-0@mini'*--qbench-update-baseline*", "INVALID: *"])
    found = summary(project)
    assert {g["verdict"] for g in found["gates"]} == {"invalid"}
    assert found["items"] == {"total": 160, "scored": 160, "unparsed": 0, "errors": 0, "cut": 0}


@BOTH
def test_the_same_model_passes_against_its_recorded_baseline(
    project: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    record_baseline(project, *workers)
    again = project.runpytest_subprocess(*SMALL, "--qbench-json=s.json", *workers)
    assert again.ret == 0, again.stdout.str()
    again.stdout.fnmatch_lines(["CANNOT TELL: *"])  # identical, but 40 items exclude no drop of the margin
    gates = summary(project)["gates"]
    assert [g["name"] for g in sorted(gates, key=lambda g: g["name"])] == [
        "assessment.srcc", "description.sum", "perception.accuracy",
    ]  # fmt: skip
    assert all("identical" in g["reason"] for g in gates)


def test_two_workers_measure_the_same_as_one_process(project: pytest.Pytester) -> None:
    def records(folder: str, *args: str) -> list[str]:
        assert project.runpytest_subprocess(*SMALL, "--qbench-no-gates", f"--qbench-run-dir={folder}", *args).ret == 0
        return sorted((project.path / folder / "records.jsonl").read_text().splitlines())

    alone = records("a")
    assert len(alone) == 160
    assert records("b", "-n2") == alone
    assert records("c", "--qbench-batch-size=7") == alone


@BOTH
def test_another_model_regresses_against_the_baseline(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    project.makeconftest(
        """
        import pytest
        from pytest_qbench.models import load_model, parse_spec

        @pytest.fixture(scope="session")
        def qbench_model():
            model = load_model(parse_spec("random:0"), {})
            def oracle(prompts, words, wrong=False):
                from pytest_qbench.data import open_datasets
                from pathlib import Path
                target = {i.id: i.target for d in open_datasets("mini", rootdir=Path(), names=None, split="dev")
                          for i in d.items if i.target is not None}
                return [[(1 - 2 * wrong) * target[p.key] - 2, -2.0] for p in prompts]
            model.next_token_logprobs = oracle
            return model
        """
    )
    record_baseline(project)
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text().replace("wrong=False", "wrong=True"))
    result = project.runpytest_subprocess(*SMALL, "--qbench-json=s.json", *workers)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["REGRESSED: SRCC on mini_*: 2.000 lost, at least * (1.000 -> -1.000), allowed 0.01*"])
    rows = [m for m in summary(project)["metrics"] if m["name"] == "assessment.srcc" and m["dataset"]]
    assert {m["verdict"] for m in rows} == {"regressed"}
    assert all(m["value"] == pytest.approx(-1) and m["baseline"] == pytest.approx(1) for m in rows)
    # A regressed run does not become the baseline unless it is accepted.
    refused = project.runpytest_subprocess(*SMALL, "--qbench-update-baseline", *workers)
    assert refused.ret == 1
    refused.stdout.fnmatch_lines(["baseline not recorded: assessment.srcc regressed*"])
    assert project.runpytest_subprocess(*SMALL, *workers).ret == 1
    record_baseline(project, "--qbench-accept-regression", "--qbench-reason=a test", *workers)
    assert project.runpytest_subprocess(*SMALL, *workers).ret == 0


@BOTH_IN_CAMPAIGN
@pytest.mark.parametrize(
    "left_out",
    [
        ("-k", "not test_perception or astronaut or accuracy"),
        ("--deselect", "test_perception.py::test_perception[mini/astronaut-01-q1]"),
    ],
)
def test_gates_on_partial_data_are_invalid(
    project: pytest.Pytester, workers: tuple[str, ...], left_out: tuple[str, ...]
) -> None:
    args = ("--qbench-model=random:0", "--qbench-update-baseline")
    assert project.runpytest_subprocess(*args).ret == 0
    result = project.runpytest_subprocess("--qbench-model=random:0", *left_out, *workers)
    assert result.ret == 10
    result.stdout.fnmatch_lines(["*perception.accuracy invalid: mini: * of 450 items were not measured (first: *"])
    refused = project.runpytest_subprocess(*args, *left_out, *workers)
    assert refused.ret == 10
    refused.stdout.fnmatch_lines(["baseline not recorded: * perception items were not measured*"])


@BOTH_IN_CAMPAIGN
def test_without_gates_a_run_has_no_verdict(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    for option in ("--qbench-no-gates", "--qbench-blind", "--qbench-shuffle-options"):
        result = project.runpytest_subprocess(*SMALL, option, *workers)
        assert result.ret == 0
        result.stdout.fnmatch_lines(["NOT GATED: *", "*3 not gated*"])
        result.stdout.no_fnmatch_line("*passed*")


@BOTH
def test_an_item_that_fails_is_an_error_with_its_reason(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    project.makeconftest(
        """
        import pytest
        from pytest_qbench.errors import ItemError
        from pytest_qbench.models import load_model, parse_spec

        @pytest.fixture(scope="session")
        def qbench_model():
            model = load_model(parse_spec("random:0"), {})
            ask = model.next_token_logprobs
            def broken(prompts, words):
                if any(p.key == "mini_a/koala-02.webp" for p in prompts):
                    raise ItemError("the image melted")
                return ask(prompts, words)
            model.next_token_logprobs = broken
            return model
        """
    )
    from pytest_qbench.data.load import open_datasets

    (mini_a,) = open_datasets("mini", rootdir=Path(), names=["mini_a"], split="dev")
    assert any(item.id == "mini_a/koala-02.webp" for item in mini_a.items)
    args = ("--qbench-model=random:0", "--qbench-datasets=mini_a", "--qbench-json=s.json", *workers)
    result = project.runpytest_subprocess(*args)
    assert result.ret == 10
    result.stdout.fnmatch_lines(["*mini_a/koala-02.webp: ItemError: the image melted*"])
    assert summary(project)["items"] == {"total": 150, "scored": 149, "unparsed": 0, "errors": 1, "cut": 0}
    assert project.runpytest_subprocess(*args, "--qbench-no-gates").ret == 1  # above the limit without gates too
    tolerated = project.runpytest_subprocess(*args, "--qbench-no-gates", "--qbench-max-errors=0.1")
    assert tolerated.ret == 0
    tolerated.stdout.fnmatch_lines(["*1 tolerated error*"])


def test_an_item_can_be_selected_by_its_node_id(project: pytest.Pytester) -> None:
    node = "test_perception.py::test_perception[mini/astronaut-01-q1]"
    result = project.runpytest_subprocess("--qbench-model=random:0", "-v", node)
    assert result.ret == 10
    shown = node.replace("[", "?").replace("]", "?")  # brackets are a pattern of their own
    result.stdout.fnmatch_lines([f"{shown} *", "NOT MEASURED: *"])
    collected = project.runpytest_subprocess("--qbench-model=random:0", "--collect-only", "-q")
    assert collected.ret == 0
    assert len([line for line in collected.outlines if "::" in line]) == 450 + 60 + 300 + 3
    assert not (project.path / ".qbench" / "runs" / "x").exists()


def test_an_inconclusive_gate_warns_and_fails_when_strict(project: pytest.Pytester) -> None:
    record_baseline(project)
    path = project.path / "baselines" / "random-0@mini" / "perception.mini.jsonl"
    text = path.read_text().splitlines()
    # Change two stored answers to correct ones. The run then loses two items, too few for a verdict.
    for i in [i for i, row in enumerate(text) if '"status": "wrong"' in row][:2]:
        row = json.loads(text[i])
        row.update(status="correct", choice=row["target"])
        text[i] = json.dumps(row)
    path.write_text("\n".join(text) + "\n")
    reseal(path.parent)
    result = project.runpytest_subprocess(*SMALL)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["CANNOT TELL: *", "*INCONCLUSIVE, *"])
    assert project.runpytest_subprocess(*SMALL, "--qbench-strict").ret == 11


def llvisionqa(folder: Path, split: str, answers: bool) -> None:
    questions = [
        {
            "img_path": f"{i}.jpg",
            "question": f"Is image {i} blurry?",
            "candidates": ["Yes", "No"],
            "type": 0,
            "concern": 0,
        }
        for i in range(30)
    ]
    if answers:
        questions = [{**q, "correct_ans": "Yes"} for q in questions]
    (folder / "llvisionqa").mkdir(exist_ok=True, parents=True)
    (folder / "llvisionqa" / f"llvisionqa_{split}.json").write_text(json.dumps(questions))


@BOTH_IN_CAMPAIGN
def test_a_folder_with_one_task_is_gated_on_that_task(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    llvisionqa(project.path / "data", "dev", answers=True)
    args = ("--qbench-model=random:0", "--qbench-data=data", *workers)
    assert project.runpytest_subprocess(*args).ret == 10
    recorded = project.runpytest_subprocess(*args, "--qbench-update-baseline")
    assert recorded.ret == 0, recorded.stdout.str()
    result = project.runpytest_subprocess(*args)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["CANNOT TELL: * (not measured: description, assessment)", "*2 not gated*"])


@BOTH_IN_CAMPAIGN
def test_a_dataset_with_hidden_answers_is_not_gated(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    llvisionqa(project.path / "data", "test", answers=False)
    args = ("--qbench-model=random:0", "--qbench-data=data", "--qbench-split=test", *workers)
    result = project.runpytest_subprocess(*args)
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(["NOTHING GATED: *hidden*"])
    result.stdout.no_fnmatch_line("*passed*")


ONE_MODEL = """
import pytest
from pytest_qbench.models import load_model, parse_spec

@pytest.fixture(scope="session"{params})
def qbench_model(request):
    return load_model(parse_spec({spec}), {{}})
"""


@BOTH
def test_two_models_in_one_run_are_refused(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    for folder, seed in (("a", 0), ("b", 7)):
        pytester.mkdir(folder)
        (pytester.path / folder / "conftest.py").write_text(ONE_MODEL.format(params="", spec=f"'random:{seed}'"))
        (pytester.path / folder / f"test_{folder}.py").write_text((SUITES / "test_perception.py").read_text())
    result = pytester.runpytest_subprocess(*SMALL, *workers)
    assert result.ret == 4
    assert "different qbench_model fixtures" in result.stderr.str()


@BOTH_IN_CAMPAIGN
def test_a_judge_from_a_fixture_of_the_project(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    (project.path / "data" / "lldescribe").mkdir(parents=True)
    rows = [{"img_path": f"{i}.jpg", "golden": "The image is blurry."} for i in range(12)]
    (project.path / "data" / "lldescribe" / "lldescribe.json").write_text(json.dumps(rows))
    args = ("--qbench-model=random:0", "--qbench-data=data", "test_description.py", *workers)
    assert project.runpytest_subprocess(*args).ret == 4  # a judge must be named
    project.makeconftest(
        """
        import pytest

        class Kind:
            name = "kind"
            def describe(self):
                return {}
            def judge(self, descriptions, golden, rounds):
                return [dict.fromkeys(("completeness", "preciseness", "relevance"), [2] * rounds) for _ in descriptions]

        @pytest.fixture(scope="session")
        def qbench_judge():
            return Kind()
        """
    )
    recorded = project.runpytest_subprocess(*args, "--qbench-update-baseline", "--qbench-json=s.json")
    assert recorded.ret == 0, recorded.stdout.str() + recorded.stderr.str()
    (row,) = [m for m in summary(project)["metrics"] if m["name"] == "description.sum"]
    assert row["value"] == 6.0


def test_a_baseline_is_not_replaced_by_one_with_fewer_items(project: pytest.Pytester) -> None:
    record_baseline(project)
    before = sorted(p.name for p in (project.path / "baselines" / "random-0@mini").iterdir())
    for less, why in (
        (("test_perception.py",), "it also holds assessment mini_a"),
        (("--deselect", "test_perception.py::test_accuracy"), "no gate judged perception"),
    ):
        result = project.runpytest_subprocess(*SMALL, "--qbench-update-baseline", *less)
        assert result.ret == 1
        result.stdout.fnmatch_lines([f"baseline not recorded: *{why}*"])
    assert sorted(p.name for p in (project.path / "baselines" / "random-0@mini").iterdir()) == before


def test_a_gate_that_did_not_run_is_reported(project: pytest.Pytester) -> None:
    record_baseline(project)
    result = project.runpytest_subprocess(*SMALL, "--deselect", "test_perception.py::test_accuracy")
    result.stdout.fnmatch_lines(["NOT MEASURED: no gate judged perception, which the data has*"])


def test_a_failed_gate_first_still_comes_last(project: pytest.Pytester) -> None:
    assert project.runpytest_subprocess(*SMALL).ret == 10
    record_baseline(project, "--ff")
    assert project.runpytest_subprocess(*SMALL, "--ff").ret == 0


def test_a_users_own_gate_fails_the_run(project: pytest.Pytester) -> None:
    for suite in project.path.glob("test_*.py"):
        suite.unlink()
    project.makepyfile(
        test_own="""
        import pytest

        @pytest.mark.qbench(task="perception")
        def test_perception(qbench_record): ...

        def test_floor(qbench_results):
            assert qbench_results.metric("perception.accuracy", "mini").value > LEAST
        """.replace("LEAST", "0.1")
    )
    result = project.runpytest_subprocess(*SMALL)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["PASS: 1 gate tests hold *"])
    own = project.path / "test_own.py"
    own.write_text(own.read_text().replace("> 0.1", "> 0.9"))
    result = project.runpytest_subprocess(*SMALL)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAILED: test_own.py::test_floor *"])
