"""A project's own model: what is no model, or cannot be set up, ends the session once and briefly."""

from __future__ import annotations

import pytest

from tests.plugin.test_runs import project
from tests.plugin.test_usage import assert_usage

__all__ = ["project"]

FIXTURE = """
    import pytest
    from pytest_qbench.models import load_model, parse_spec

    @pytest.fixture(scope="session")
    def qbench_model():
        {}
"""


def run(project: pytest.Pytester, body: str, *arguments: str) -> pytest.RunResult:
    project.makeconftest(FIXTURE.format(body))
    return project.runpytest_subprocess("-q", "-p", "no:cacheprovider", *arguments)


def test_an_object_that_is_no_model_is_told_once_with_what_it_lacks(project: pytest.Pytester) -> None:
    assert_usage(run(project, "return object()"), "qbench_model: object has no name, needs_images, describe, generate")


def test_a_model_that_cannot_be_set_up_is_told_once(project: pytest.Pytester) -> None:
    result = run(project, "raise RuntimeError('CUDA out of memory')")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: the model could not be set up: *RuntimeError: CUDA out of memory"])
    assert result.parseoutcomes() == {"errors": 1}
    result.stdout.fnmatch_lines(["E *RuntimeError: CUDA out of memory", "", "conftest.py:*: RuntimeError"])
    assert len(result.outlines) < 40  # one traceback, of the project's own frames


def test_the_header_names_the_fixture(project: pytest.Pytester) -> None:
    project.makeconftest(FIXTURE.format("return load_model(parse_spec('random:1'), {})"))
    result = project.runpytest_subprocess("-p", "no:cacheprovider", "--qbench-limit=2", "--qbench-no-gates")
    result.stdout.fnmatch_lines(["qbench: model of the fixture qbench_model, data mini *"])
    assert sum("qbench: model" in line for line in result.outlines) == 1


def test_the_named_and_the_measured_model_are_the_same(project: pytest.Pytester) -> None:
    result = run(project, "return load_model(parse_spec('random:1'), {})", "--qbench-model=random:0")
    assert_usage(result, "--qbench-model=random:0 names random-0, but the fixture qbench_model returned random-1")


@pytest.mark.parametrize("share", [1.0, 0.1])
def test_many_replies_that_name_no_option_are_told_after_fifty(project: pytest.Pytester, share: float) -> None:
    model = f"""model = load_model(parse_spec('random:1'), {{}})
        replies = model.generate
        model.generate = lambda prompts, limit: [
            "I would rather not say." if sum(map(ord, p.key)) * 37 % 100 < {100 * share} else reply
            for p, reply in zip(prompts, replies(prompts, limit))
        ]
        return model"""
    project.makeconftest(FIXTURE.format(model))
    arguments = ("--qbench-limit=120", "--qbench-no-gates", "test_perception.py")
    result = project.runpytest_subprocess("-p", "no:cacheprovider", *arguments)
    assert result.ret == 0, result.stdout.str()
    told = [line for line in result.outlines if "of the first 50 replies name no option" in line]
    assert len(told) == (share == 1.0)
    if told:
        assert told[0].startswith("qbench: 100% of the first 50 replies name no option ('I would rather not say.'")
        assert told[0].endswith("measure a model that answers in words with --qbench-answer=likelihood")
