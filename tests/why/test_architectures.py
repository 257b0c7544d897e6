"""Parts and stages of every supported architecture, found by structure; a changed weight is named by its part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from pytest_qbench.engine.dispatch import PromptSettings
from pytest_qbench.items import Item
from pytest_qbench.models.base import Model
from pytest_qbench.models.load import load_model, parse_spec
from pytest_qbench.why.explain import compare_traces
from pytest_qbench.why.sides import LiveSide
from tests.models.checkpoints import ARCHITECTURES
from tests.why.faults import sources

if TYPE_CHECKING:
    from pytest_qbench.models.transformers.model import TransformersModel

QUICK = ("qwen2_vl",)
# Paths of the last layers of the vision tower, of the projector and of the language model, as the classes name them.
PARTS = {
    "llava": ("model.vision_tower.encoder.layers.1", "model.multi_modal_projector", "model.language_model.layers.1"),
    "llava_next": ("model.vision_tower.encoder.layers.1", "model.multi_modal_projector", "model.language_model.layers.1"),
    "llava_onevision": ("model.vision_tower.encoder.layers.1", "model.multi_modal_projector", "model.language_model.layers.1"),
    "qwen2_vl": ("model.visual.blocks.1", "model.visual.merger", "model.language_model.layers.1"),
    "qwen2_5_vl": ("model.visual.blocks.1", "model.visual.merger", "model.language_model.layers.1"),
    "qwen3_vl": ("model.visual.blocks.1", "model.visual.merger", "model.language_model.layers.1"),
    "internvl": ("model.vision_tower.encoder.layer.1", "model.multi_modal_projector", "model.language_model.layers.1"),
    "idefics2": ("model.vision_model.encoder.layers.1", "model.connector.perceiver_resampler.layers.0", "model.text_model.layers.1"),
    "idefics3": ("model.vision_model.encoder.layers.1", "model.connector", "model.text_model.layers.1"),
    "smolvlm": ("model.vision_model.encoder.layers.1", "model.connector", "model.text_model.layers.1"),
    "gemma3": ("model.vision_tower.encoder.layers.1", "model.multi_modal_projector", "model.language_model.layers.1"),
    "paligemma": ("model.vision_tower.encoder.layers.1", "model.multi_modal_projector", "model.language_model.layers.1"),
    "mistral3": ("model.vision_tower.transformer.layers.1", "model.multi_modal_projector", "model.language_model.layers.1"),
    "kosmos2": ("vision_model.model.encoder.layers.1", "image_to_text_projection", "text_model.model.layers.1"),
    "blip2": ("vision_model.encoder.layers.1", "language_projection", "language_model.model.decoder.layers.1"),
    "instructblip_t5": ("vision_model.encoder.layers.1", "language_projection", "language_model.decoder.block.1"),
    "instructblip_vicuna": ("vision_model.encoder.layers.1", "language_projection", "language_model.model.layers.1"),
}  # fmt: skip
SETTINGS = PromptSettings("likelihood", False, ("good", "poor"), {"perception": 4, "description": 4})


def questions() -> list[Item]:
    chosen = [next(item for item in sources(10) if item.task == task) for task in ("perception", "assessment")]
    return [replace(item, options=item.options[:2]) for item in chosen]


def side(folder: Path, changed: str | None = None) -> LiveSide:
    def load() -> Model:
        model: TransformersModel = load_model(parse_spec(str(folder)), {})  # type: ignore[assignment]
        if changed is not None:
            with torch.no_grad():
                for weight in model.network.get_submodule(changed).parameters():
                    weight.mul_(1.02)
        return model

    return LiveSide("a", load, SETTINGS)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.campaign) for name in ARCHITECTURES]
)
def test_a_changed_part_of_any_architecture_is_named(name: str, checkpoint: Callable[[str], Path]) -> None:
    reference = side(checkpoint(name)).trace(questions(), noise=True)
    assert all("error" not in trace.record.status for trace in reference.by_item.values())
    assert reference.noise.measured == 2
    assert list(reference.stages.values())[-1] == "head"
    for stage, part in zip(("vision tower", "projector", "language model"), PARTS[name], strict=True):
        assert reference.stages[part] == stage
        found = compare_traces(reference, side(checkpoint(name), part).trace(questions(), noise=False))
        assert found.first == stage, found.verdict
        assert found.stage(stage).where == part
        assert found.causes[0] == f"The weights of {part} differ, in the same dtype (float32)."
    same = compare_traces(reference, side(checkpoint(name)).trace(questions(), noise=False))
    assert same.first is None, same.verdict
