"""--qbench-prompts and a project's own change of prompts, from outside."""

from __future__ import annotations

import pytest

from tests.plugin.test_runs import SMALL, project, summary

__all__ = ["project"]

ADDS_A_SENTENCE = """
    import pytest
    from dataclasses import replace

    @pytest.fixture(scope="session")
    def qbench_model(qbench_model):
        ask = qbench_model.generate
        def generate(prompts, max_new_tokens):
            return ask([replace(p, text="You see one image. " + p.text) for p in prompts], max_new_tokens)
        qbench_model.generate = generate
        return qbench_model
"""
PERCEPTION = (*SMALL, "--qbench-tasks=perception", "test_perception.py", "--qbench-json=s.json")


def test_a_fixture_that_adds_a_sentence_makes_the_baseline_incomparable(project: pytest.Pytester) -> None:
    assert project.runpytest_subprocess(*PERCEPTION, "--qbench-update-baseline").ret == 0
    project.makeconftest(ADDS_A_SENTENCE)
    assert project.runpytest_subprocess(*PERCEPTION, "-n2").ret == 10
    (gate,) = summary(project)["gates"]
    text = "{context}\\n{question}\\n{options}\\nAnswer with the option's letter from the given choices directly."
    assert f'prompts: "{text}" -> "You see one image. {text}"' in gate["reason"]
    assert "\n" not in gate["reason"]


def test_a_set_from_the_configuration_reaches_the_run(project: pytest.Pytester) -> None:
    (project.path / "own.yaml").write_text("perception: '{options}\\n{question}'\nwords: [fine, average, bad]\n")
    project.makeini("[pytest]\nqbench_prompts = own.yaml\n")
    assert project.runpytest_subprocess(*SMALL, "--qbench-no-gates", "--qbench-json=s.json").ret == 0
    made = summary(project)["fingerprint"]
    assert made["prompts"]["set"] == "own.yaml"
    assert made["prompts"]["perception"]["text"] == "{options}\\n{question}"
    assert made["scoring"]["words"] == ["fine", "average", "bad"]
    other = project.runpytest_subprocess(*SMALL, "--qbench-no-gates", "--qbench-prompts=nine")
    assert other.ret == 4
    other.stderr.fnmatch_lines(["*--qbench-prompts=nine: no such prompt set; use default, paper, *"])
