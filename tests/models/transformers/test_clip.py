"""CLIP as a baseline for assessment."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers as tf

from pytest_qbench.doctor.conformance import prompts
from pytest_qbench.errors import ModelError
from pytest_qbench.models import check, load_model, parse_spec
from pytest_qbench.models.errors import quiet
from pytest_qbench.models.transformers.clip import SENTENCE, ClipModel
from pytest_qbench.prompts import QUALITY_WORDS, RATE_PREFIX
from tests.models.parts import IMAGE, PATCH, SIZE, WIDTH, metaspace_tokenizer, save, text, vision


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    # CLIP treats an end token of id 2 in a special way.
    tokenizer = metaspace_tokenizer([], end="</s>", first=("<unk>", "<s>", "<pad>", "</s>"))
    images = tf.CLIPImageProcessor(size={"shortest_edge": IMAGE}, crop_size=SIZE)
    config = tf.CLIPConfig(
        text_config={**text(tf.CLIPTextConfig, tokenizer), "projection_dim": WIDTH},
        vision_config=vision(tf.CLIPVisionConfig, patch_size=PATCH, projection_dim=WIDTH),
        projection_dim=WIDTH,
    )
    with quiet():
        save(tf.CLIPModel(config), tf.CLIPProcessor(images, tokenizer), folder)
    return folder


def test_scores_are_the_softmax_of_similarities(folder: Path) -> None:
    spec = parse_spec(str(folder))
    check(spec)
    model = load_model(spec, {})
    assert isinstance(model, ClipModel)
    questions = prompts(5, prefix=RATE_PREFIX)
    rows = torch.tensor(model.next_token_logprobs(questions, QUALITY_WORDS))
    with quiet(), torch.no_grad():
        clip, processor = tf.CLIPModel.from_pretrained(folder), tf.CLIPProcessor.from_pretrained(folder)
        for row, prompt in zip(rows, questions, strict=True):  # for each prompt, the features of the two towers
            given = processor(
                images=prompt.images[0], text=[SENTENCE.format(word=w) for w in QUALITY_WORDS], padding=True,
                return_tensors="pt",
            )  # fmt: skip
            output = clip(**given)
            similar = torch.nn.functional.cosine_similarity(output.image_embeds, output.text_embeds)
            torch.testing.assert_close(row, (clip.logit_scale.exp() * similar).log_softmax(-1), atol=1e-4, rtol=0)
    assert rows.std(0).max() > 1e-3
    more = torch.tensor(model.next_token_logprobs(questions, QUALITY_WORDS, named=("sharp",), free=("bad",)))
    torch.testing.assert_close(more.exp().sum(-1), torch.ones(5))
    torch.testing.assert_close(more[:, 0] - more[:, 1], rows[:, 0] - rows[:, 1], atol=1e-4, rtol=0)
    model.close()


def test_questions_are_an_error_of_one_line(folder: Path) -> None:
    model = load_model(parse_spec(str(folder)), {})
    for ask in (lambda: model.generate(prompts(1), 3), lambda: model.option_loglikelihoods(prompts(1), [["Yes"]])):
        with pytest.raises(ModelError, match="run the assessment suite alone"):
            ask()
    model.close()
