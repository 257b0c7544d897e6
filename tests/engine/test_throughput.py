"""The engine with a real model: shared images and prefetching change no record and save the expected work."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pytest_qbench.doctor.conformance import photo
from pytest_qbench.engine.engine import Engine
from pytest_qbench.items import Item
from pytest_qbench.judges.lexicon import LexiconJudge
from pytest_qbench.models.images import LazyImage, LazyImages
from pytest_qbench.models.transformers.model import TransformersModel
from pytest_qbench.prompts import Prompt
from pytest_qbench.records import Record

Load = Callable[[str], TransformersModel]
NAMES = pytest.mark.parametrize("name", ["llava", "qwen2_vl", "llava_next", "internvl"])


@dataclass(frozen=True)
class Photo:
    seed: int

    @property
    def name(self) -> str:
        return f"{self.seed}.png"

    def read(self) -> bytes:
        buffer = io.BytesIO()
        photo(self.seed).save(buffer, "PNG")
        return buffer.getvalue()

    def missing(self) -> bool:
        return False


def items(n: int, *tasks: str) -> list[Item]:
    asked = {"question": "Is it sharp?", "options": ("Yes", "motion blur"), "answer": "Yes"}
    return [
        Item(
            f"{task}/{i}", task, "d", None, f"{i}", (Photo(i),), **(asked if task == "perception" else {"target": 1.0})
        )  # type: ignore[arg-type]
        for task in tasks
        for i in range(n)
    ]


def measure(model: Any, asked: Sequence[Item], size: int = 4, **how: Any) -> list[Record]:
    engine = Engine(model, answer="likelihood", batch_size=size, blind=False, judge_rounds=1, judge=LexiconJudge, **how)
    try:
        return engine.measure(asked)
    finally:
        engine.close()


class Plain:
    """The same model, reduced to the three methods of the protocol, so that nothing is prefetched."""

    needs_images = True

    def __init__(self, model: TransformersModel, change: Callable[[Prompt], Prompt] = lambda prompt: prompt) -> None:
        self.name, self._model, self._change = model.name, model, change

    def describe(self) -> dict[str, Any]:
        return {}

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        return self._model.generate([self._change(p) for p in prompts], max_new_tokens)

    def option_loglikelihoods(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
        return self._model.option_loglikelihoods([self._change(p) for p in prompts], options)

    def next_token_logprobs(
        self, prompts: Sequence[Prompt], words: Sequence[str], named: Sequence[str] = (), free: Sequence[str] = ()
    ) -> list[list[float]]:
        return self._model.next_token_logprobs([self._change(p) for p in prompts], words, named, free)

    def close(self) -> None: ...


@NAMES
def test_two_runs_and_a_plain_model_give_identical_records(name: str, loaded: Load) -> None:
    asked = items(10, "perception", "assessment")
    first = [record.to_json() for record in measure(loaded(name), asked)]
    assert [record.to_json() for record in measure(loaded(name), asked)] == first
    assert [record.to_json() for record in measure(Plain(loaded(name)), asked)] == first


@pytest.mark.parametrize("name, times", [("llava", 1), ("qwen2_vl", 1), ("llava_next", 1), ("internvl", 2)])
def test_two_tasks_on_an_image_share_one_pass_of_the_vision_tower(name: str, times: int, loaded: Load) -> None:
    model = loaded(name)
    before = model.image_passes
    measure(model, items(8, "perception", "assessment"))
    assert model.image_passes - before == 2 * times  # two batches of four images


@NAMES
def test_a_prompt_changed_after_its_preparation_is_encoded_again(name: str, loaded: Load) -> None:
    def other(prompt: Prompt) -> Prompt:
        return replace(prompt, images=tuple(Image.new("RGB", image.size, (9, 99, 9)) for image in prompt.images))

    model, asked = loaded(name), items(4, "assessment")
    changed = measure(Plain(model, other), asked)
    assert [r.logprobs for r in changed] != [r.logprobs for r in measure(model, asked)]
    # The same with a model that prepares prompts. Only its scoring method is replaced.
    kept = model.next_token_logprobs
    model.next_token_logprobs = lambda prompts, words, named=(), free=(): kept(  # type: ignore[method-assign]
        [other(p) for p in prompts], words, named, free
    )
    try:
        assert measure(model, asked) == changed
    finally:
        del model.next_token_logprobs


def test_an_unshared_image_keeps_no_tensors(loaded: Load) -> None:
    model, picture = loaded("llava"), LazyImage(Photo(1))
    model.preprocess(picture)
    assert picture.preprocessed["pixel_values"].shape == (1, 3, 32, 32)
    prompts = model.prepare([Prompt("a", "Rate.", LazyImages([picture]), "This is")])
    model.next_token_logprobs(prompts, ["good"])
    assert (picture.preprocessed, picture.features) == (None, None)


@pytest.mark.parametrize("name", ["llava", "qwen2_vl", "internvl", "gemma3", "paligemma", "kosmos2", "instructblip_t5"])
@pytest.mark.parametrize("seeds", [(0, 1, 3), (0, 2)], ids=["squares", "square and wide"])
def test_one_text_is_tokenized_once_for_images_of_one_size(
    name: str, seeds: Sequence[int], loaded: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = loaded(name).encoder
    drawn = [Prompt(str(seed), "Rate it.", LazyImages([LazyImage(Photo(seed))]), "This is") for seed in seeds]
    asked = [replace(prompt, images=tuple(prompt.images)) for prompt in drawn]
    expected, encode, sizes = encoder(asked), encoder._encode, []
    monkeypatch.setattr(
        encoder, "_encode", lambda prompts, images: sizes.append(len(prompts)) or encode(prompts, images)
    )
    found = encoder(drawn)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    # The text of these two has more placeholders for a wide image.
    assert sizes == [2 if 2 in seeds and name in ("qwen2_vl", "internvl") else 1]


@pytest.mark.parametrize("side", [(4000, 3000), (33, 47), (32, 32)])
def test_channels_last_pixels_give_the_same_values(side: tuple[int, int]) -> None:
    import transformers as tf

    from pytest_qbench.models.transformers.vision import ImagePreprocessor

    noise = np.random.default_rng(0).integers(0, 256, (side[1], side[0], 3), dtype=np.uint8)
    for make in (tf.CLIPImageProcessor, tf.SiglipImageProcessor, tf.Qwen2VLImageProcessor):
        own, ours = make(), make()
        ImagePreprocessor(ours)
        for image in (Image.fromarray(noise), Image.fromarray(noise[..., 0])):
            expected, found = (p(images=[image], return_tensors="pt")["pixel_values"] for p in (own, ours))
            assert torch.equal(expected, found)
            assert found.is_contiguous()


def test_memory_does_not_grow_with_the_number_of_items(checkpoint: Callable[[str], Path], loaded: Load) -> None:
    alive, most = set(), []

    class Counted(LazyImage):
        def __init__(self, *args: Any, **keywords: Any) -> None:
            super().__init__(*args, **keywords)
            alive.add(id(self))
            most.append(len(alive))

        def __del__(self) -> None:
            alive.discard(id(self))

    for n in (12, 60):
        most.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pytest_qbench.engine.dispatch.LazyImage", Counted)
            measure(loaded("llava"), items(n, "assessment"))
        assert max(most) <= 4 * 4  # one batch in the model, two prefetched, one in preparation
        assert not alive
