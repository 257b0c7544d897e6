"""Verdicts in real pytest processes: output of a failing gate, alpha of each gate, drift, comparison of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.cli import main
from tests.plugin.test_runs import BOTH, BOTH_IN_CAMPAIGN, project, summary

__all__ = ["project"]

RANDOM = "--qbench-model=random:0"
# A model whose scores can be shifted, and differ slightly in another dtype.
MODEL = """
    import pytest
    from pytest_qbench.models import load_model, parse_spec

    class Shifted:
        needs_images = False
        name = "shifted"

        def __init__(self, shift):
            self.inner, self.shift = load_model(parse_spec("random:0"), {}), shift

        def describe(self):
            return {}

        def generate(self, prompts, max_new_tokens):
            return self.inner.generate(prompts, max_new_tokens)

        def _move(self, rows):
            return [[v + self.shift * (i == 0) for i, v in enumerate(row)] for row in rows]

        def option_loglikelihoods(self, prompts, options):
            return self._move(self.inner.option_loglikelihoods(prompts, options))

        def next_token_logprobs(self, prompts, words):
            return self._move(self.inner.next_token_logprobs(prompts, words))

        def switch_dtype(self):
            self.shift += 0.01
            return "another"

        def close(self): ...

    @pytest.fixture(scope="session")
    def qbench_model():
        return Shifted(SHIFT)
"""


def rows(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [m for m in found["metrics"] if m["name"] == name]


@BOTH_IN_CAMPAIGN
def test_drift_only_warns_unless_a_gate_limits_it(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    args = ("--qbench-answer=likelihood", "--qbench-json=s.json", *workers)
    project.makeconftest(MODEL.replace("SHIFT", "0.0"))
    recorded = project.runpytest_subprocess(*args, "--qbench-update-baseline")
    assert recorded.ret == 0, recorded.stdout.str()
    head = (project.path / "baselines" / "shifted@mini" / "baseline.yaml").read_text()
    assert "how: batch size 8, another" in head
    again = project.runpytest_subprocess(*args, "-v")
    assert again.ret == 0
    again.stdout.fnmatch_lines(["drift of perception mini: 0.0000, within the noise floor 0.00*"])
    # Equal shifts of all scores keep every rank, so no gate on SRCC can detect them.
    project.makeconftest(MODEL.replace("SHIFT", "0.2"))
    shifted = project.runpytest_subprocess(*args, "--qbench-tasks=assessment", "test_assessment.py")
    assert shifted.ret == 0, shifted.stdout.str()
    shifted.stdout.fnmatch_lines(["! drift * times the noise floor: model or stack changed*"])
    (mini_a, _) = rows(summary(project), "assessment.drift")
    assert 0.02 < mini_a["value"] < 0.06
    assert mini_a["note"].startswith("above the noise floor")
    project.makepyfile(
        test_drift="""
        import pytest

        @pytest.mark.qbench(task="assessment")
        def test_assessment(qbench_item, qbench_record): ...

        def test_it_is_the_same_model(qbench_gate):
            qbench_gate("assessment.drift", maximum=0.02)
        """
    )
    gated = project.runpytest_subprocess(*args, "--qbench-tasks=assessment", "test_drift.py")
    assert gated.ret == 1
    gated.stdout.fnmatch_lines(["gate assessment.drift: out of bounds (mini_a: 0.0* is above the maximum 0.02)"])


@BOTH
def test_collection_counts_the_comparisons_of_the_gates(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    for suite in project.path.glob("test_*.py"):
        suite.unlink()
    project.makepyfile(
        test_own="""
        import pytest

        @pytest.mark.qbench(task="perception")
        def test_perception(qbench_item, qbench_record): ...

        @pytest.mark.qbench(task="assessment")
        def test_assessment(qbench_item, qbench_record): ...

        def test_floor(qbench_gate):
            qbench_gate("perception.accuracy", minimum=0.1)
            qbench_gate("perception.unparsed_rate", maximum=0.5)

        @pytest.mark.parametrize("dataset", ["mini_a", "mini_b"])
        def test_each(qbench_gate, dataset):
            qbench_gate("assessment.srcc", dataset=dataset, margin=0.01)

        def test_two(qbench_gate):
            qbench_gate("perception.accuracy", slice="type=how", margin=0.01)
            qbench_gate("perception.accuracy", slice="type=what", margin=0.01)

        @pytest.mark.qbench(gates=2)
        def test_open(qbench_gate):
            for kind in ("distortion", "other"):
                qbench_gate("perception.accuracy", slice=f"concern={kind}", margin=0.01)
        """
    )
    args = ("--qbench-tasks=perception,assessment", "--qbench-limit=200", "--qbench-json=s.json", *workers)
    assert project.runpytest_subprocess(RANDOM, *args, "--qbench-update-baseline").ret == 0
    # Another model changes most items, so that no gate leaves alpha to the next.
    args = ("--qbench-model=random:1", "--qbench-baseline=random-0", *args)
    result = project.runpytest_subprocess(*args)
    assert result.ret in (0, 1), result.stdout.str()
    alphas = {(m["dataset"], m["slice"]): m["alpha"] for m in summary(project)["metrics"] if m["verdict"]}
    test = 0.05 / 4  # two parametrized tests and two more; the floors do not count
    assert alphas == pytest.approx(
        {
            ("mini_a", None): test, ("mini_b", None): test, ("mini", "type=how"): test / 2, ("mini", "type=what"): test / 2,
            ("mini", "concern=distortion"): test / 2, ("mini", "concern=other"): test / 2,
        }
    )  # fmt: skip
    selected = project.runpytest_subprocess(*args, "-k", "perception or assessment or test_each")
    assert selected.ret == 10  # no gate is left for perception
    assert {m["alpha"] for m in summary(project)["metrics"] if m["verdict"]} == {0.05 / 2}


# A model that knows the answers and gives FORGETS percent of them wrong.
ORACLE = """
    import zlib
    import pytest
    from pytest_qbench.models.base import Response

    class Oracle:
        needs_images = False
        name = "oracle"

        def describe(self):
            return {}

        def recall(self, items):
            return [self.answer(item, zlib.crc32(item.id.encode()) % 100 < FORGETS) for item in items]

        def answer(self, item, wrong):
            if item.task == "perception":
                return Response(text=next(o for o in item.options if (o != item.answer) == wrong))
            if item.task == "description":
                return Response(text="A dog." if wrong else item.golden[0])
            return Response(logprobs={"good": -1.0, "poor": -1.0 - (item.target or 0) * (-1) ** wrong})

        def close(self): ...

    @pytest.fixture(scope="session")
    def qbench_model():
        return Oracle()
"""


def test_a_failing_gate_prints_its_metrics_and_the_lost_items(project: pytest.Pytester) -> None:
    project.makeconftest(ORACLE.replace("FORGETS", "0"))
    assert project.runpytest_subprocess("--qbench-update-baseline").ret == 0
    project.makeconftest(ORACLE.replace("FORGETS", "20"))
    found = project.runpytest_subprocess()
    assert found.ret == 1
    found.stdout.fnmatch_lines_random(
        [
            "*perception.accuracy regressed: mini: REGRESSED: * points lost, at least *",
            "*before *now *change *interval *margin *sees *verdict",
            "  accuracy mini *100.0 % *[78]?.? % *-*regressed",
            "* items lost, 0 gained; before -> now:",
            "  mini_a/*: MOS ranks it at * %: * % -> * %",
            "  mini/*-d: 6.00 -> *",
            "  ... and * more",
            "REGRESSED: *: * lost, at least *; * more regressed*",
            "=* [1-9] failed, *",
        ]
    )


def test_comparing_finished_runs_gives_the_verdicts_of_their_gates(
    project: pytest.Pytester, capsys: pytest.CaptureFixture[str]
) -> None:
    base: Path = project.path / "baselines" / "oracle@mini"
    for number, (forgets, status) in enumerate(((0, 0), (0, 0), (20, 1))):
        project.makeconftest(ORACLE.replace("FORGETS", str(forgets)))
        update = () if base.exists() else ("--qbench-update-baseline",)
        assert project.runpytest_subprocess(f"--qbench-run-dir=run{number}", *update).ret == status
    for a, b, status in ((base, "run1", 0), ("run0", "run1", 0), (base, "run2", 1), ("run0", "run2", 1)):
        assert main(["compare", str(project.path / a), str(project.path / b)]) == status
        out = capsys.readouterr().out
        assert ("CANNOT TELL: " in out) is (status == 0)  # identical, but mini is too small for its margins
        assert ("REGRESSED: perception.accuracy, description.sum, assessment.srcc" in out) is (status == 1)
