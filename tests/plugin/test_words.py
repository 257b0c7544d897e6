"""--qbench-words and --qbench-protocol=qalign, from outside, and the report of all strategies of that run."""

from __future__ import annotations

import json

import pytest
from scipy.stats import spearmanr

from pytest_qbench.cli.main import main
from pytest_qbench.scoring.quality import FIVE_LEVELS, level_score
from pytest_qbench.scoring.strategies import STRATEGY_WORDS, packaged_strategies
from tests.plugin.test_runs import SMALL, project, summary
from tests.plugin.test_usage import assert_usage

__all__ = ["project"]

RATED = (*SMALL, "--qbench-tasks=assessment", "--qbench-no-gates", "test_assessment.py")
TWO_WORDS = """
    import pytest
    from pytest_qbench.models.random import RandomModel

    class Plain(RandomModel):
        def next_token_logprobs(self, prompts, words):
            return super().next_token_logprobs(prompts, words)

    @pytest.fixture(scope="session")
    def qbench_model():
        return Plain(0)
"""


def test_a_run_on_five_levels_with_further_words(project: pytest.Pytester, capsys: pytest.CaptureFixture[str]) -> None:
    args = (
        "--qbench-protocol=qalign",
        "--qbench-words=sharp, good ,blurry",
        "--qbench-run-dir=r",
        "--qbench-json=s.json",
    )
    assert project.runpytest_subprocess(*RATED, *args).ret == 0
    assert summary(project)["fingerprint"]["scoring"] == {"words": list(FIVE_LEVELS), "temperature": 1.0}
    records = [json.loads(line) for line in (project.path / "r" / "records.jsonl").read_text().splitlines()]
    for record in records:
        assert set(record["logprobs"]) == {*STRATEGY_WORDS, "sharp", "blurry"}
        assert record["score"] == pytest.approx(level_score(record["logprobs"], FIVE_LEVELS))
    assert main(["report", str(project.path / "r"), "--scoring=all"]) == 0
    out = capsys.readouterr().out
    assert "not recorded" not in out
    rows = [line.split() for line in out.splitlines()]
    own = "levels:excellent/good/fair/poor/bad"
    for strategy in packaged_strategies():
        name = [strategy.name, "(chosen)"] if strategy.name == own else [strategy.name]
        for data in ("mini_a", "mini_b", "mean"):
            found = [row[len(name) + 1 :] for row in rows if row[: len(name) + 1] == [*name, data]]
            assert len(found) == 2, (strategy.name, data)  # SRCC and PLCC
            assert all(row[0] != "-" and (row[-1] != "-") == (strategy.name != own) for row in found), found
    assert main(["compare", str(project.path / "r"), "--scoring=softmax:sharp/blurry"]) == 0
    assert f"against: {own}" in capsys.readouterr().out
    replayed = project.runpytest_subprocess(*RATED, "--qbench-model=replay:r", "--qbench-words=dull")
    assert_usage(replayed, "--qbench-words=dull: r has the words that were recorded: drop the option")


def test_a_gate_judges_the_scores_of_five_levels_and_no_other_scores(project: pytest.Pytester) -> None:
    asked = (*SMALL, "--qbench-tasks=assessment", "--qbench-json=s.json", "test_assessment.py")
    five = (*asked, "--qbench-protocol=qalign", "--qbench-run-dir=r")
    assert project.runpytest_subprocess(*asked, "--qbench-protocol=qalign", "--qbench-update-baseline").ret == 0
    assert project.runpytest_subprocess(*five).ret == 0
    (gate,) = summary(project)["gates"]
    assert gate["verdict"] in ("pass", "inconclusive")
    records = [json.loads(line) for line in (project.path / "r" / "records.jsonl").read_text().splitlines()]
    for row in gate["rows"]:
        own = [record for record in records if record["dataset"] == row["dataset"]]
        if own:
            scores = [level_score(record["logprobs"], FIVE_LEVELS) for record in own]
            expected = spearmanr(scores, [record["target"] for record in own]).statistic
            assert row["value"] == row["baseline"] == pytest.approx(expected, abs=1e-6)
    assert_usage(
        project.runpytest_subprocess(*asked), "assessment could not be judged, this run differs from it in: scoring"
    )


def test_words_that_a_project_cannot_record_or_score_are_one_line(project: pytest.Pytester) -> None:
    project.makeconftest(TWO_WORDS)
    asked = project.runpytest_subprocess(*RATED, "--qbench-words=dull")
    assert_usage(asked, "--qbench-words=dull: next_token_logprobs of Plain has no parameters named and free")
    (project.path / "own.yaml").write_text("words: [sharp, blurry]\n")
    mixed = project.runpytest_subprocess(*RATED, "--qbench-protocol=qalign", "--qbench-prompts=own.yaml")
    assert_usage(
        mixed, "--qbench-protocol=qalign scores by excellent, good, fair, poor, bad, but --qbench-prompts=own.yaml"
    )
