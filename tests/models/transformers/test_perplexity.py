"""Perplexity of prompt and option against the loss that transformers computes; numbers of tokens of options."""

from __future__ import annotations

import pytest
import torch
import transformers as tf

from pytest_qbench.engine.dispatch import perplexity_model
from pytest_qbench.errors import ModelError
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.models.base import OptionScores
from pytest_qbench.models.errors import quiet
from pytest_qbench.models.transformers.model import TransformersModel
from pytest_qbench.prompts import Prompt
from tests.models.test_openai import photo
from tests.models.transformers.test_encoding import Checkpoint

QUESTIONS = ("Is it sharp?\nChoose between one of the options as follows:\n", "How is the light?")
OPTIONS = (("Yes", "No"), ("very low light", "bright", "medium brightness of the image"))


@pytest.fixture(scope="module")
def tiny() -> TransformersModel:
    model = load_model(parse_spec("tiny"), {})
    assert isinstance(model, TransformersModel)
    return model


def asked() -> list[Prompt]:
    return [Prompt(str(i), question, (photo(i),)) for i, question in enumerate(QUESTIONS)]


def test_it_is_the_loss_over_all_tokens_but_those_of_the_image(tiny: TransformersModel) -> None:
    rows = tiny.option_perplexities(asked(), OPTIONS)
    folder = parse_spec("tiny").target
    with quiet():
        reference = tf.LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        processor = tf.AutoProcessor.from_pretrained(folder)
    image = processor.tokenizer.convert_tokens_to_ids("<image>")
    for prompt, own, row in zip(asked(), OPTIONS, rows, strict=True):
        assert isinstance(row, OptionScores)
        for option, value, tokens in zip(own, row, row.tokens, strict=True):
            text = f"<s>USER: <image>\n{prompt.text} ASSISTANT: {option}"
            inputs = processor(images=list(prompt.images), text=text, return_tensors="pt", add_special_tokens=False)
            labels = inputs["input_ids"].masked_fill(inputs["input_ids"] == image, -100)
            with torch.inference_mode():
                loss = float(reference(**inputs, labels=labels).loss)
            assert value == pytest.approx(-loss, abs=1e-4)
            assert tokens == int((labels[:, 1:] != -100).sum())


def test_batches_and_padding_change_nothing(tiny: TransformersModel) -> None:
    together = tiny.option_perplexities(asked(), OPTIONS)
    alone = [tiny.option_perplexities([p], [own])[0] for p, own in zip(asked(), OPTIONS, strict=True)]
    for one, other in zip(together, alone, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_likelihoods_say_how_many_tokens_each_option_has(tiny: TransformersModel) -> None:
    (row,) = tiny.option_loglikelihoods(asked()[1:], OPTIONS[1:])
    assert isinstance(row, OptionScores)
    ids = [tiny.encoder.tokenizer(f" {option}", add_special_tokens=False)["input_ids"] for option in OPTIONS[1]]
    assert row.tokens == tuple(map(len, ids))


def test_models_that_score_no_prompt_are_refused(checkpoint: Checkpoint) -> None:
    class Plain:
        name = "plain"

    with pytest.raises(ModelError, match="--qbench-answer=perplexity: plain does not score its prompt; use likelihood"):
        perplexity_model(Plain())  # type: ignore[arg-type]
    model = load_model(parse_spec(str(checkpoint("instructblip_t5"))), {})
    with pytest.raises(ModelError, match="an encoder-decoder does not score its prompt"):
        perplexity_model(model).option_perplexities(asked()[:1], OPTIONS[:1])
