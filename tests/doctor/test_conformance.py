"""Compare every architecture in the backend with transformers alone and with other batch sizes."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_qbench.doctor.conformance import CHECKS, OPTIONS, options, photo, prompts, run_check, run_checks
from pytest_qbench.errors import ItemError
from pytest_qbench.models import parse_spec
from pytest_qbench.models.transformers.model import TransformersModel
from pytest_qbench.prompts import QUALITY_WORDS, RATE_PREFIX, Prompt
from tests.doctor.documentation import DOCUMENTATION, row
from tests.models.checkpoints import ARCHITECTURES
from tests.models.oracle import Oracle

TOLERANCE = 1e-4
MULTI_IMAGE = [
    name for name in ARCHITECTURES if name not in ("kosmos2", "blip2", "instructblip_t5", "instructblip_vicuna")
]
NO_IMAGE = [name for name in MULTI_IMAGE if name != "paligemma"]

Load = Callable[[str], TransformersModel]


def architectures(names: Any) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec("num2words") is None
    skip = pytest.mark.skipif(missing, reason="SmolVLM's processor needs the package num2words")
    return pytest.mark.parametrize("name", [pytest.param(n, marks=skip if n == "smolvlm" else ()) for n in names])


def flat(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor([value for row in rows for value in row])


def choices(rows: list[list[float]]) -> list[int]:
    return [row.index(max(row)) for row in rows]


def same(one: list[list[float]], other: list[list[float]]) -> None:
    torch.testing.assert_close(flat(one), flat(other), atol=TOLERANCE, rtol=0)
    assert choices(one) == choices(other)


@architectures(ARCHITECTURES)
def test_all_checks_pass_and_match_the_documentation(
    name: str, loaded: Load, checkpoint: Callable[[str], Path]
) -> None:
    spec = parse_spec(str(checkpoint(name)))
    model = TransformersModel(spec, {})
    found = list(run_checks(model, lambda: TransformersModel(spec, {})))
    assert [check for check in found if check.outcome == "failed"] == []
    assert (
        row(name, found, preprocesses_separately=model.encoder.preprocesses_separately)
        in DOCUMENTATION.read_text("utf-8").splitlines()
    )


def positions_that_count_padding(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.arange(batch["input_ids"].shape[1]).expand_as(batch["input_ids"])


def preprocess_another_image(model: TransformersModel, picture: Any) -> None:
    picture.preprocessed = model.encoder._images.preprocess(photo(99))


@architectures(["llava"])
@pytest.mark.parametrize("fault, caught", [
    (lambda m, p: p.setattr(m.score, "_model_positions", positions_that_count_padding), "batch of 8"),
    (lambda m, p: p.setattr(m.score, "_add_later_tokens", lambda *_: None), "options by full forwards"),
    (lambda m, p: p.setattr(m.encoder, "continuation", lambda prefix, text: (7,)), "words after the prefix"),
    (lambda m, p: p.setattr(m, "option_loglikelihoods", lambda questions, own: [[-1.0] * 4 for _ in own]), "several images"),
    (lambda m, p: p.setattr(m, "option_loglikelihoods", lambda questions, own: [[-1.0] * 4 for _ in own]), "image and question matter"),
    (lambda m, p: p.setattr(m, "new_tokens", lambda questions, batch, limit: torch.ones(1, limit + 1)), "generation stops"),
    (lambda m, p: p.setattr(m.encoder, "preprocess", partial(preprocess_another_image, m)), "prefetched batches"),
])  # fmt: skip
def test_each_check_can_fail(
    name: str, fault: Any, caught: str, checkpoint: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = TransformersModel(parse_spec(str(checkpoint(name))), {})
    fault(model, monkeypatch)
    assert run_check(caught, lambda: CHECKS[caught](model)).outcome == "failed"


@architectures(ARCHITECTURES)
class TestEveryArchitecture:
    def test_words_after_the_prefix_match_transformers(
        self, name: str, loaded: Load, checkpoint: Callable[[str], Path]
    ) -> None:
        questions, oracle = prompts(4, prefix=RATE_PREFIX), Oracle(checkpoint(name))
        words = [*QUALITY_WORDS, "rather blurry"]
        expected = [[oracle.likelihood(prompt, word, RATE_PREFIX) for word in words] for prompt in questions]
        same(loaded(name).next_token_logprobs(questions, words), expected)

    def test_options_match_transformers(self, name: str, loaded: Load, checkpoint: Callable[[str], Path]) -> None:
        questions, oracle = prompts(4), Oracle(checkpoint(name))
        expected = [[oracle.likelihood(prompt, option) for option in OPTIONS] for prompt in questions]
        same(loaded(name).option_loglikelihoods(questions, [OPTIONS] * 4), expected)

    def test_a_question_may_contain_control_tokens_as_text(self, name: str, loaded: Load) -> None:
        model = loaded(name)
        tokens = ["<image>", "</s>", *model.encoder._turns._controls.pattern.replace("\\", "").split("|")[:40]]
        question = replace(prompts(1)[0], text=f"What does {' '.join(tokens)} mean?")
        plain = replace(question, text="What does it mean?")
        images = [int(v.numel()) for k, v in model.encoder([question]).items() if k.startswith("pixel")]
        assert images == [int(v.numel()) for k, v in model.encoder([plain]).items() if k.startswith("pixel")]
        assert model.option_loglikelihoods([question], [OPTIONS])[0]


@architectures(["llava", "qwen2_vl", "gemma3", "instructblip_t5"])
def test_free_words_take_no_further_pass_and_named_ones_have_their_whole_value(
    name: str, loaded: Load, checkpoint: Callable[[str], Path]
) -> None:
    model, questions, oracle = loaded(name), prompts(3, prefix=RATE_PREFIX), Oracle(checkpoint(name))
    passes: list[None] = []
    hook = model._model.register_forward_hook(lambda *_: passes.append(None))
    try:
        rows = model.next_token_logprobs(questions, QUALITY_WORDS, free=("Yes", "rather blurry", "noise"))
        assert len(passes) == 1
        named = model.next_token_logprobs(questions, QUALITY_WORDS, named=("rather blurry",), free=("Yes",))
    finally:
        hook.remove()
    assert all(math.isnan(row[3]) for row in rows)
    free = [word for word in ("Yes", "noise") if model.encoder.has_one_token(RATE_PREFIX, word)]
    assert "Yes" in free
    for found, words in ((rows, ("good", "poor", "Yes")), (named, ("good", "poor", "rather blurry", "Yes"))):
        expected = [[oracle.likelihood(prompt, word, RATE_PREFIX) for word in words] for prompt in questions]
        same([row[: len(words)] for row in found], expected)


@architectures([name for name in ARCHITECTURES if name != "instructblip_t5"])
def test_the_head_computes_one_position_in_assessment(name: str, loaded: Load) -> None:
    model, seen = loaded(name), []
    hook = model._model.get_output_embeddings().register_forward_hook(lambda _, given, out: seen.append(out.shape[:2]))
    try:
        model.next_token_logprobs(prompts(3, prefix=RATE_PREFIX), QUALITY_WORDS)
    finally:
        hook.remove()
    assert seen[0] == (3, 1)


@architectures(MULTI_IMAGE)
def test_several_images_match_transformers_in_their_order(
    name: str, loaded: Load, checkpoint: Callable[[str], Path]
) -> None:
    model, questions, oracle = loaded(name), prompts(4, images=2), Oracle(checkpoint(name))
    rows = model.option_loglikelihoods(questions, [OPTIONS] * 4)
    same(rows, [[oracle.likelihood(prompt, option) for option in OPTIONS] for prompt in questions])
    swapped = [replace(prompt, images=prompt.images[::-1]) for prompt in questions]
    assert (flat(rows) - flat(model.option_loglikelihoods(swapped, [OPTIONS] * 4))).abs().max() > TOLERANCE


@architectures(NO_IMAGE)
def test_prompts_without_images_match_transformers(name: str, loaded: Load, checkpoint: Callable[[str], Path]) -> None:
    model, questions, oracle = loaded(name), prompts(4, images=0), Oracle(checkpoint(name))
    model.option_loglikelihoods(prompts(2), options(2))  # state of an earlier image must not affect the next prompts
    rows = model.option_loglikelihoods(questions, [OPTIONS] * 4)
    same(rows, [[oracle.likelihood(prompt, option) for option in OPTIONS] for prompt in questions])
    assert model.generate(questions, 4) == [model.generate([prompt], 4)[0] for prompt in questions]


@architectures(["llava", "qwen2_vl", "instructblip_t5"])
def test_mixed_batches_keep_their_order(name: str, loaded: Load) -> None:
    model = loaded(name)
    kinds: list[Prompt] = [*prompts(2), *prompts(2, prefix=RATE_PREFIX), *prompts(1, prefix="This is")]
    if name in NO_IMAGE:
        kinds += [*prompts(1, images=0), *prompts(1, images=3)]
    mixed = kinds[::2] + kinds[1::2]
    same(model.next_token_logprobs(mixed, ["good"]), [model.next_token_logprobs([p], ["good"])[0] for p in mixed])


@architectures([name for name in ARCHITECTURES if name not in MULTI_IMAGE])
def test_more_images_than_the_model_takes_are_an_item_error(name: str, loaded: Load) -> None:
    with pytest.raises(ItemError, match=r"^item/0: .* cannot take 2 images"):
        loaded(name).generate(prompts(1, images=2), 3)
