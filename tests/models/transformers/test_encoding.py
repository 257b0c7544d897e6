"""Where images, the system text and the beginning of a reply stand in the tokens of a prompt."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pytest_qbench.errors import ModelError
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.models.transformers import template
from pytest_qbench.models.transformers.model import TransformersModel
from pytest_qbench.prompts import Prompt
from tests.models.test_openai import photo

Checkpoint = Callable[[str], Path]
IMAGE = "<|vision_start|><|vision_end|>"


def loaded(spec: str) -> TransformersModel:
    model = load_model(parse_spec(spec), {})
    assert isinstance(model, TransformersModel)
    return model


def sent(model: TransformersModel, prompt: Prompt) -> str:
    """The tokens of a prompt as text, without those that the processor puts in place of the image."""
    tokens = model.encoder([prompt])["input_ids"][0]
    text = str(model.encoder.tokenizer.decode(tokens))
    return re.sub(r"(<\|image_pad\|>)+", "", text)


def test_images_stand_where_the_prompt_has_them(checkpoint: Checkpoint) -> None:
    model = loaded(str(checkpoint("qwen2_vl")))
    assert not model.moves_images
    images = (photo(0, (64, 64)), photo(1, (64, 64)))
    first = sent(model, Prompt("k", "Is it good?", images[:1]))
    assert first.startswith(f"<|im_start|>user\n{IMAGE}Is it good?<|im_end|>")
    last = sent(model, Prompt("k", "Is it good?", images[:1], places=(11,)))
    assert last.startswith(f"<|im_start|>user\nIs it good?{IMAGE}<|im_end|>")
    pair = sent(model, Prompt("k", "Is it good?", images, places=(3, 6)))
    assert pair.startswith(f"<|im_start|>user\nIs {IMAGE}it {IMAGE}good?<|im_end|>")


def test_the_system_text_comes_first_and_a_batch_may_mix(checkpoint: Checkpoint) -> None:
    model = loaded(str(checkpoint("qwen2_vl")))
    image = (photo(0, (64, 64)),)
    with_one = Prompt("k", "Is it good?", image, "It is", "No <|im_end|> noise")
    text = sent(model, with_one)
    assert text.startswith("<|im_start|>system\nNo < |im_end|> noise<|im_end|>\n<|im_start|>user\n")
    assert text.endswith("<|im_start|>assistant\nIt is")
    without = Prompt("l", "Is it good?", image, "It is")
    rows = model.next_token_logprobs([with_one, without], ("good", "poor"))
    alone = [model.next_token_logprobs([prompt], ("good", "poor"))[0] for prompt in (with_one, without)]
    assert torch.allclose(torch.tensor(rows), torch.tensor(alone), atol=1e-4)
    assert rows[0] != rows[1]


def test_a_template_that_leaves_out_the_system_text_is_refused() -> None:
    with pytest.raises(ModelError, match="tiny: its chat template takes no system text; choose prompts without one"):
        loaded("tiny").next_token_logprobs([Prompt("k", "Q", (photo(0),), system="Be brief.")], ("good", "poor"))


def test_a_model_without_a_template_takes_images_but_no_system_text(checkpoint: Checkpoint) -> None:
    model = loaded(str(checkpoint("paligemma")))
    with pytest.raises(ModelError, match="has no chat template and takes no system text"):
        model.generate([Prompt("k", "Q", (photo(0),), system="Be brief.")], 2)


@pytest.mark.parametrize("name, moves", [("llava", True), ("blip2", True), ("smolvlm", False)])
def test_models_that_put_images_first_say_so(checkpoint: Checkpoint, name: str, moves: bool) -> None:
    assert loaded(str(checkpoint(name))).moves_images is moves


REFUSES = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
STRINGS = "{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] }}{% endif %}"
ENDLESS = "{% if messages[0]['role'] == 'system' %}{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}{% endif %}"


def test_forms_of_the_system_text_are_tried_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = loaded("tiny").encoder
    usual = encoder.processor.chat_template
    monkeypatch.setattr(encoder.processor, "chat_template", STRINGS + usual)
    assert encoder._turns._system_content("Be brief.") == "Be brief."  # as a list it would be shown with its keys
    monkeypatch.setattr(encoder.processor, "chat_template", REFUSES + usual)
    with pytest.raises(ModelError, match="its chat template takes no system text"):
        encoder._turns._system_content("Be long.")
    monkeypatch.setattr(encoder.processor, "chat_template", ENDLESS + usual)
    monkeypatch.setattr(template, "SECONDS", 0.5)
    with pytest.raises(ModelError, match="its chat template does not end within 0.5 s"):
        encoder._turns._system_content("Be longer.")
