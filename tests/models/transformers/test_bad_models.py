"""Unusable models, through pytest: exit status 4 and one line with the reason, with one process and two workers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.models.transformers.test_loading import HEAD, edit_weights
from tests.plugin.test_runs import BOTH, BOTH_IN_CAMPAIGN, SUITES
from tests.plugin.test_usage import assert_usage

Checkpoint = Callable[[str], Path]

RATINGS = ("--qbench-limit=4", "--qbench-no-gates", "--qbench-model=./copy")
NO_ROOM = """
    import torch, transformers

    def no_room(*args, **keywords):
        torch.empty(1 << 50)

    transformers.AutoModelForImageTextToText.from_pretrained = no_room
"""
OWN_CODE = """
    from transformers import LlavaConfig, LlavaForConditionalGeneration

    class Odd(Exception): pass

    class Config(LlavaConfig):
        model_type = "own"

    class Model(LlavaForConditionalGeneration):
        config_class = Config

        def {method}(self, *args, **keywords):
            raise Odd("first line\\nsecond line")
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with the assessment suite; its models and downloads stay inside its folder."""
    (pytester.path / "test_assessment.py").write_text((SUITES / "test_assessment.py").read_text())
    monkeypatch.setenv("HF_HOME", str(pytester.path / "hub"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return pytester


@pytest.fixture
def copy(project: pytest.Pytester, checkpoint: Checkpoint) -> Path:
    return Path(shutil.copytree(checkpoint("llava"), project.path / "copy"))


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def own_code(folder: Path, method: str) -> None:
    auto = {"AutoConfig": "own.Config", "AutoModelForImageTextToText": "own.Model"}
    edit(folder / "config.json", model_type="own", auto_map=auto)
    lines = [line.removeprefix("    ") for line in OWN_CODE.format(method=method).splitlines()]
    (folder / "own.py").write_text("\n".join(lines))


@BOTH
def test_the_error_for_a_mistyped_alias_names_the_nearest(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    assert_usage(project.runpytest_subprocess("--qbench-model=lava", *workers), "did you mean llava")


@BOTH_IN_CAMPAIGN
def test_a_text_only_model_is_a_usage_error(copy: Path, project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    (copy / "config.json").write_text('{"model_type": "llama", "architectures": ["LlamaForCausalLM"]}')
    assert_usage(project.runpytest_subprocess(*RATINGS, *workers), "is a text-only model (LlamaForCausalLM)")


@BOTH_IN_CAMPAIGN
def test_a_model_whose_tokenizer_lacks_the_words_is_a_usage_error(
    copy: Path, project: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    merged = {**tokenizer["added_tokens"][-1], "id": 1000, "content": "is good", "special": False}
    edit(copy / "tokenizer.json", added_tokens=[*tokenizer["added_tokens"], merged])
    result = project.runpytest_subprocess(*RATINGS, *workers)
    assert_usage(result, "cannot score 'good' after")


@BOTH_IN_CAMPAIGN
def test_an_invalid_chat_template_is_a_usage_error(
    copy: Path, project: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    (copy / "chat_template.jinja").write_text("{% for message in messages %}")
    result = project.runpytest_subprocess(*RATINGS, *workers)
    assert_usage(result, "copy cannot be loaded: TemplateSyntaxError: Unexpected end of template")


@pytest.mark.parametrize(
    "offline, workers",
    [
        pytest.param(True, (), id="offline-alone"),
        pytest.param(True, ("-n2",), id="offline-n2", marks=pytest.mark.campaign),
        pytest.param(False, (), id="unreachable", marks=pytest.mark.campaign),  # retries take half a minute
    ],
)
def test_an_unreachable_hub_is_a_usage_error(
    project: pytest.Pytester, offline: bool, workers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", str(int(offline)))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the port of `discard`, without a server
    result = project.runpytest_subprocess("--qbench-limit=4", "--qbench-model=some/model", *workers)
    assert_usage(result, "some/model is no local folder and not in the hub's cache; the hub cannot be reached")


@BOTH_IN_CAMPAIGN
def test_too_little_memory_is_a_usage_error(copy: Path, project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    project.makeconftest(NO_ROOM)
    result = project.runpytest_subprocess(*RATINGS, "--qbench-model-arg=device=cpu", *workers)
    assert_usage(result, "copy does not fit in the memory of cpu; use a smaller model, half precision or quantization")


@BOTH_IN_CAMPAIGN
@pytest.mark.parametrize(
    "trust, expected", [("true", "cannot be loaded: Odd: first line"), ("false", "trust_remote_code=true")]
)
def test_remote_code_that_crashes_while_loading(
    copy: Path, project: pytest.Pytester, workers: tuple[str, ...], trust: str, expected: str
) -> None:
    own_code(copy, "__init__")
    result = project.runpytest_subprocess(*RATINGS, f"--qbench-model-arg=trust_remote_code={trust}", *workers)
    assert_usage(result, expected)


@BOTH_IN_CAMPAIGN
def test_remote_code_that_crashes_on_items_makes_them_errors(
    copy: Path, project: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    own_code(copy, "forward")
    edit_weights(copy, lambda weights: weights.update({"lm_head.weight": weights.pop(HEAD)}))
    result = project.runpytest_subprocess(*RATINGS, "--qbench-model-arg=trust_remote_code=true", *workers)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*8 items, 8 errors", "error: ItemError: mini_*/*: Odd: first line (8 items: *"])
    # Errors of one kind share one traceback, which shows the user's own code.
    assert 1 <= result.stdout.str().count("Traceback (most recent call last)") <= (2 if workers else 1)
    assert "Traceback" not in result.stderr.str()


@BOTH_IN_CAMPAIGN
def test_a_model_with_nan_logits_has_items_in_error_and_fails(
    copy: Path, project: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    edit_weights(copy, lambda weights: weights[HEAD][3].fill_(torch.nan))
    result = project.runpytest_subprocess("--qbench-limit=4", "--qbench-model=./copy", *workers)
    assert result.ret == 10
    result.stdout.fnmatch_lines(
        ["*8 items, 8 errors", "error: *the model returned NaN or infinite logits* (8 items: *"]
    )
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    assert "PASS" not in result.stdout.str()
