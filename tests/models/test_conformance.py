"""Every architecture through the one backend, against transformers alone and against itself in other batches."""

from __future__ import annotations

import importlib.util
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pytest_qbench.errors import ItemError
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.models.transformers import TransformersModel
from pytest_qbench.prompts import QUALITY_WORDS, RATE_PREFIX, Prompt
from tests.models.checkpoints import ARCHITECTURES, photo, prompts
from tests.models.oracle import Oracle

# One token, several tokens, two that share their first token, and one more than others have.
OPTIONS = ["Yes", "motion blur", "motion noise", "overexposure of everything"]
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


def options(n: int) -> list[list[str]]:
    return [OPTIONS[: 2 + i % 3] for i in range(n)]


def flat(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor([value for row in rows for value in row])


def choices(rows: list[list[float]]) -> list[int]:
    return [row.index(max(row)) for row in rows]


def same(one: list[list[float]], other: list[list[float]]) -> None:
    torch.testing.assert_close(flat(one), flat(other), atol=TOLERANCE, rtol=0)
    assert choices(one) == choices(other)


def tokens_generated(
    model: TransformersModel, asked: list[Prompt], limit: int, monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    """The new tokens behind the only reply."""
    outputs: list[torch.Tensor] = []
    decode = model.encoder.tokenizer.batch_decode
    with monkeypatch.context() as patch:
        patch.setattr(model.encoder.tokenizer, "batch_decode", lambda x, **kw: outputs.append(x) or decode(x, **kw))
        model.generate(asked, limit)
    return [int(token) for token in outputs[0][0]][int(model._encoder_decoder) :]  # a decoder starts with its own token


@architectures(ARCHITECTURES)
class TestEveryArchitecture:
    def test_words_after_the_prefix_are_what_transformers_says(
        self, name: str, loaded: Load, checkpoint: Callable[[str], Path]
    ) -> None:
        asked, oracle = prompts(4, prefix=RATE_PREFIX), Oracle(checkpoint(name))
        words = [*QUALITY_WORDS, "rather blurry"]
        expected = [[oracle.likelihood(prompt, word, RATE_PREFIX) for word in words] for prompt in asked]
        same(loaded(name).next_token_logprobs(asked, words), expected)

    def test_options_are_what_transformers_says(
        self, name: str, loaded: Load, checkpoint: Callable[[str], Path]
    ) -> None:
        asked, oracle = prompts(4), Oracle(checkpoint(name))
        expected = [[oracle.likelihood(prompt, option) for option in OPTIONS] for prompt in asked]
        same(loaded(name).option_likelihoods(asked, [OPTIONS] * 4), expected)

    def test_shared_prefix_equals_full_forwards(self, name: str, loaded: Load) -> None:
        model, asked = loaded(name), prompts(6)
        tokens = [[model.encoder.continuation(None, option) for option in own] for own in options(6)]
        with torch.inference_mode():
            expected = model.score.by_full_forwards(model.encoder(asked), tokens)
        same(model.option_likelihoods(asked, options(6)), expected)

    @pytest.mark.parametrize("size", [8, 32])
    def test_batch_size_changes_nothing(self, name: str, loaded: Load, size: int) -> None:
        model, asked, rated = loaded(name), prompts(size), prompts(size, prefix=RATE_PREFIX)
        some = range(0, size, 1 if size == 8 else 5)  # five: all questions, in turn
        rows = model.option_likelihoods(asked, options(size))
        same([rows[i] for i in some], [model.option_likelihoods([asked[i]], [options(size)[i]])[0] for i in some])
        rows = model.next_token_logprobs(rated, QUALITY_WORDS)
        same([rows[i] for i in some], [model.next_token_logprobs([rated[i]], QUALITY_WORDS)[0] for i in some])
        if size == 8:
            assert model.generate(asked, 6) == [model.generate([p], 6)[0] for p in asked]

    def test_image_and_question_matter(self, name: str, loaded: Load) -> None:
        model, asked = loaded(name), prompts(1)[0]
        changed = [asked, replace(asked, images=(photo(99),)), replace(asked, text="Is this image blurry?")]
        rows = model.option_likelihoods(changed, [OPTIONS] * 3)
        assert (flat(rows[:1]) - flat(rows[1:2])).abs().max() > 50 * TOLERANCE
        assert (flat(rows[:1]) - flat(rows[2:])).abs().max() > 50 * TOLERANCE

    def test_generation_is_greedy_and_stops(self, name: str, loaded: Load, monkeypatch: pytest.MonkeyPatch) -> None:
        model, asked = loaded(name), prompts(1)
        new = tokens_generated(model, asked, 5, monkeypatch)
        assert len(new) == 5
        with torch.inference_mode():
            for i in range(5 if not model._encoder_decoder else 0):
                whole = model.encoder.append(model.encoder(asked), [new[:i]])
                assert new[i] == int(model.score._forward(whole, 1).logits[0, -1].argmax())
        stop = next((i for i in range(1, 5) if new[i] not in new[:i]), 0)  # 0: it repeats one token
        monkeypatch.setattr(model.greedy, "eos_token_id", new[stop])
        assert tokens_generated(model, asked, 50, monkeypatch) == new[: stop + 1]

    def test_literal_control_tokens_in_a_question(self, name: str, loaded: Load) -> None:
        model = loaded(name)
        tokens = ["<image>", "</s>", *model.encoder._controls.pattern.replace("\\", "").split("|")[:40]]
        asked = replace(prompts(1)[0], text=f"What does {' '.join(tokens)} mean?")
        plain = replace(asked, text="What does it mean?")
        images = [int(v.numel()) for k, v in model.encoder([asked]).items() if k.startswith("pixel")]
        assert images == [int(v.numel()) for k, v in model.encoder([plain]).items() if k.startswith("pixel")]
        assert model.option_likelihoods([asked], [OPTIONS])[0]

    def test_reload_offline(
        self, name: str, loaded: Load, checkpoint: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise AssertionError("network")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        again = load_model(parse_spec(str(checkpoint(name))), {})
        asked = prompts(2)
        assert again.option_likelihoods(asked, options(2)) == loaded(name).option_likelihoods(asked, options(2))
        assert again.describe() == loaded(name).describe()
        again.close()


@architectures(MULTI_IMAGE)
def test_several_images(name: str, loaded: Load, checkpoint: Callable[[str], Path]) -> None:
    model, asked, oracle = loaded(name), prompts(4, images=2), Oracle(checkpoint(name))
    rows = model.option_likelihoods(asked, [OPTIONS] * 4)
    same(rows, [[oracle.likelihood(prompt, option) for option in OPTIONS] for prompt in asked])
    swapped = [replace(prompt, images=prompt.images[::-1]) for prompt in asked]
    assert (flat(rows) - flat(model.option_likelihoods(swapped, [OPTIONS] * 4))).abs().max() > TOLERANCE


@architectures(NO_IMAGE)
def test_no_image(name: str, loaded: Load, checkpoint: Callable[[str], Path]) -> None:
    model, asked, oracle = loaded(name), prompts(4, images=0), Oracle(checkpoint(name))
    model.option_likelihoods(prompts(2), options(2))  # positions of an earlier image must not linger
    rows = model.option_likelihoods(asked, [OPTIONS] * 4)
    same(rows, [[oracle.likelihood(prompt, option) for option in OPTIONS] for prompt in asked])
    assert model.generate(asked, 4) == [model.generate([prompt], 4)[0] for prompt in asked]


@architectures(["llava", "qwen2_vl", "instructblip_t5"])
def test_mixed_batches_keep_their_order(name: str, loaded: Load) -> None:
    model = loaded(name)
    kinds: list[Prompt] = [*prompts(2), *prompts(2, prefix=RATE_PREFIX), *prompts(1, prefix="This is")]
    if name in NO_IMAGE:
        kinds += [*prompts(1, images=0), *prompts(1, images=3)]
    mixed = kinds[::2] + kinds[1::2]
    same(model.next_token_logprobs(mixed, ["good"]), [model.next_token_logprobs([p], ["good"])[0] for p in mixed])


@architectures([name for name in ARCHITECTURES if name not in MULTI_IMAGE])
def test_more_images_than_the_model_takes(name: str, loaded: Load) -> None:
    with pytest.raises(ItemError, match=r"^item/0: .* cannot take 2 images"):
        loaded(name).generate(prompts(1, images=2), 3)
