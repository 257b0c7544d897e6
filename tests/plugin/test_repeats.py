"""--qbench-repeats in real pytest processes: a served model whose answers vary, and models whose answers do not."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from pytest_qbench.records import read_records
from tests.endpoints.server import completion, serving, text_of
from tests.plugin.test_runs import BOTH_IN_CAMPAIGN, project, summary
from tests.plugin.test_usage import assert_usage

__all__ = ["project"]

RUN = (
    "--qbench-limit=40",
    "--qbench-tasks=perception",
    "--qbench-json=s.json",
    "--qbench-baseline=b",
    "-p",
    "no:randomly",
)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")


@BOTH_IN_CAMPAIGN
def test_a_served_model_is_asked_several_times_and_its_flaky_items_are_named(
    project: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    for name in ("assessment", "description"):  # whose suites need a server that tells log-probabilities
        (project.path / f"test_{name}.py").unlink()

    def sampled(body: dict[str, Any], attempt: int) -> Any:
        tokens = {"prompt_tokens": 10 + json.dumps(body).count("image_url"), "completion_tokens": 1}
        return completion("AB"[len(text_of(body)) % 3 == 0 and body["seed"] % 2], usage=tokens)

    with serving(sampled) as server:
        model = f"--qbench-model=openai:m@{server.url}"
        seeded = '--qbench-model-arg=extra_body={"temperature": 0.7, "seed": 10}'
        args = (model, seeded, *RUN, *workers)
        first = project.runpytest_subprocess(*args, "--qbench-repeats=3", "--qbench-update-baseline")
        assert first.ret == 0, first.stdout.str()
        asked = [body for body in server.bodies if "option's letter" in text_of(body)]
        assert Counter(body["seed"] for body in asked) == dict.fromkeys((10, 11, 12), 40)
        assert {body["temperature"] for body in asked} == {0.7}
        once = project.runpytest_subprocess(*args, "--qbench-html=page.html", "--qbench-run-dir=once")
        several = project.runpytest_subprocess(
            *args, "--qbench-repeats=3", "--qbench-html=page.html", "--qbench-run-dir=run"
        )
    assert once.ret == several.ret == 0, once.stdout.str()
    records = read_records(project.path / "run" / "records.jsonl")
    flaky = {r.item for r in records if len({one.choice for one in r.outcomes}) > 1}
    assert {len(record.outcomes) for record in records} == {3}
    assert 0 < len(flaky) < 40
    found = summary(project)["repeats"]
    assert (found["passes"], found["baseline_passes"], found["flaky_count"]) == (3, 3, len(flaky))
    assert {one["item"] for one in found["flaky"]} == flaky
    mixed = [r for r in records if len({one.status for one in r.outcomes}) > 1]
    assert found["differ"] == pytest.approx(2 / 3 * len(mixed) / 40)
    assert len(found["baseline_values"]) == 3
    several.stdout.fnmatch_lines([f"each item asked 3 times: {len(flaky)} flaky items: * (right in * of 3), *"])
    page = (project.path / "page.html").read_text()
    assert "Flaky items" in page
    assert all(item in page for item in flaky)
    stored = (project.path / "baselines" / "b" / "perception.mini.jsonl").read_text().splitlines()
    assert {len(json.loads(line)["repeats"]) for line in stored} == {3}


def test_a_run_without_repeats_says_nothing_of_them(project: pytest.Pytester) -> None:
    assert project.runpytest_subprocess("--qbench-model=random:0", *RUN, "--qbench-update-baseline").ret == 0
    found = summary(project)
    assert "repeats" not in {*found, *found["fingerprint"]}
    head, records = (project.path / "baselines" / "b" / name for name in ("baseline.yaml", "perception.mini.jsonl"))
    assert "repeats:" not in head.read_text()
    assert '"repeats":' not in records.read_text()


def test_a_baseline_of_one_run_of_a_flaky_model_is_a_warning(project: pytest.Pytester) -> None:
    assert project.runpytest_subprocess("--qbench-model=random:0", *RUN, "--qbench-update-baseline").ret == 0
    again = project.runpytest_subprocess("--qbench-model=random:0", *RUN, "--qbench-repeats=2")
    again.stdout.fnmatch_lines([
        "two runs of this model differ in * % of the answers; chance moves the accuracy of the baseline by * points",
        "a lucky baseline raises false alarms in all later runs: *",
    ])  # fmt: skip


def test_models_that_give_one_answer_are_not_asked_again(project: pytest.Pytester) -> None:
    assert_usage(project.runpytest_subprocess("--qbench-model=tiny", "--qbench-repeats=3"), "decodes greedily")
    (project.mkdir("out") / "x.json").write_text("[]")
    assert_usage(project.runpytest_subprocess("--qbench-model=replay:out", "--qbench-repeats=3"), "replays one answer")
    project.makeconftest("""
        import pytest
        from pytest_qbench.models.random import RandomModel

        class Mine:
            name, needs_images = "mine", False

            def __init__(self):
                model = RandomModel(0)
                for name in ("generate", "option_loglikelihoods", "next_token_logprobs", "describe", "close"):
                    setattr(self, name, getattr(model, name))

        @pytest.fixture(scope="session")
        def qbench_model():
            return Mine()
    """)
    own = project.runpytest_subprocess("--qbench-repeats=3", "--qbench-no-gates")
    assert_usage(own, "give Mine the method use_sample(number)")
