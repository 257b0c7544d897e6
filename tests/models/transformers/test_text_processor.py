"""Text-only language models as judges, on the same backend as vision-language models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers as tf

from pytest_qbench.errors import ModelError
from pytest_qbench.items import DIMENSIONS
from pytest_qbench.judges.load import make_judge
from pytest_qbench.models import check, parse_spec
from pytest_qbench.models.errors import quiet
from pytest_qbench.models.transformers.model import TransformersModel
from pytest_qbench.prompts import Prompt
from tests.models.parts import byte_tokenizer

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] + '' }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module", params=["chat", "plain"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    choose_device = tmp_path_factory.mktemp("judge") / request.param
    torch.manual_seed(0)
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"])
    tokenizer.chat_template = TEMPLATE if request.param == "chat" else None
    config = tf.Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=4096,
    )  # fmt: skip
    with quiet():
        tf.Qwen2ForCausalLM(config).save_pretrained(choose_device)
        tokenizer.save_pretrained(choose_device)
    return choose_device


def test_words_after_the_prefix_match_transformers(folder: Path) -> None:
    model = TransformersModel(parse_spec(str(folder)), {}, vision=False)
    questions = [Prompt(f"b{i}", f"Judge this: {'text ' * i}", (), "Score:") for i in range(4)]
    rows = model.next_token_logprobs(questions, ("0", "1", "2"))
    with quiet():
        tokenizer, plain = tf.AutoTokenizer.from_pretrained(folder), tf.AutoModelForCausalLM.from_pretrained(folder)
    for prompt, row in zip(questions, rows, strict=True):
        text = f"{prompt.text} Score:"
        if tokenizer.chat_template:
            text = f"<|im_start|>user\n{prompt.text}<|im_end|>\n<|im_start|>assistant\nScore:"
        before = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        for word, value in zip(("0", "1", "2"), row, strict=True):
            after = tokenizer(f"{text} {word}", add_special_tokens=False, return_tensors="pt")["input_ids"]
            with torch.inference_mode():
                logprobs = plain(after).logits[0].float().log_softmax(-1)
            own = range(before.shape[1], after.shape[1])
            assert value == pytest.approx(sum(float(logprobs[i - 1, after[0, i]]) for i in own), abs=1e-4)
    model.close()


def test_a_text_only_model_can_be_a_judge(folder: Path) -> None:
    judge = make_judge(f"hf:{folder}")
    first = judge.judge(["Blurry.", ""], [("Blurry.",), ("Sharp.",)], 5)
    assert first == judge.judge(["Blurry.", ""], [("Blurry.",), ("Sharp.",)], 5)
    for verdicts in first:
        assert {d: len(verdicts[d]) for d in DIMENSIONS} == dict.fromkeys(DIMENSIONS, 5)  # type: ignore[index]
    assert len(judge.describe()["weights"]) == 64


def test_a_text_only_model_cannot_be_measured(folder: Path) -> None:
    with pytest.raises(ModelError, match="text-only"):
        check(parse_spec(str(folder)))


def test_a_vision_language_model_can_be_a_judge() -> None:
    (verdicts,) = make_judge("hf:tiny").judge(["Blurry."], [("Blurry.",)], 2)
    assert all(v in (0, 1, 2) for d in DIMENSIONS for v in verdicts[d])  # type: ignore[index]
