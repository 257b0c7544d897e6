"""Known faults to inject into a model, to test that the gates detect them.

A fault edits a copy of the model's folder (weights, processor, template) or wraps the model (images, options, length of
replies). This module needs torch.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image as Images
from safetensors.torch import load_file, save_file

from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.models.base import Model
from pytest_qbench.prompts import Prompt
from pytest_qbench.records import Response

if TYPE_CHECKING:
    from PIL.Image import Image

WEIGHTS = "model.safetensors"
SEED = 20231004


class FaultyModel:
    """A `Model` that wraps another one and injects a fault into its inputs or outputs."""

    def __init__(
        self,
        model: Model,
        *,
        image: Callable[[Image], Image] | None = None,
        shuffles: bool = False,
        most_tokens: int | None = None,
    ) -> None:
        """Wrap `model`. `image` modifies each image, `most_tokens` limits each reply, `shuffles` reorders options."""
        self.model, self.name, self.needs_images = model, model.name, model.needs_images
        self.image, self.shuffles, self.most_tokens = image, shuffles, most_tokens

    def describe(self) -> dict[str, Any]:
        """Return the description of the wrapped model."""
        return self.model.describe()

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> Sequence[str | Response | ItemError]:
        """Return the replies to modified images, or replies of fewer tokens."""
        return self.model.generate(self._modified(prompts), min(max_new_tokens, self.most_tokens or max_new_tokens))

    def option_loglikelihoods(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]
    ) -> Sequence[list[float] | ItemError]:
        """Return log-likelihoods for modified images, or in the order of shuffled options."""
        shown = [self._shuffled(p.key, own) for p, own in zip(prompts, options, strict=True)]
        return self.model.option_loglikelihoods(self._modified(prompts), shown)

    def next_token_logprobs(self, prompts: Sequence[Prompt], words: Sequence[str]) -> Sequence[list[float] | ItemError]:
        """Return log-probabilities of the words for modified images."""
        return self.model.next_token_logprobs(self._modified(prompts), words)

    def close(self) -> None:
        """Close the wrapped model."""
        self.model.close()

    def _modified(self, prompts: Sequence[Prompt]) -> Sequence[Prompt]:
        if self.image is None:
            return prompts
        return [replace(prompt, images=tuple(map(self.image, prompt.images))) for prompt in prompts]

    def _shuffled(self, key: str, options: Sequence[str]) -> Sequence[str]:
        return random.Random(f"{SEED} {key}").sample(options, len(options)) if self.shuffles else options


@dataclass(frozen=True, slots=True)
class Fault:
    """An injected fault: `edit` modifies a copy of the checkpoint, `wrap` the model's inputs and outputs.

    `must_drift`: whether drift must detect the fault, because it is too small for the gates on this data.
    """

    name: str
    edit: Callable[[Path], None] | None = None
    wrap: Callable[[Model], FaultyModel] | None = None
    must_drift: bool = False


def swap_channels(image: Image) -> Image:
    """Return the image with red and blue exchanged (BGR)."""
    red, green, blue = image.split()
    return Images.merge("RGB", (blue, green, red))


def halve_resolution(image: Image) -> Image:
    """Return the image scaled to half its resolution and back to its size."""
    width, height = image.size
    return image.resize((max(1, width // 2), max(1, height // 2))).resize((width, height))


def drop_normalization(folder: Path) -> None:
    """Turn off the normalization of pixels by mean and standard deviation."""
    path = folder / "processor_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["image_processor"]["do_normalize"] = False
    path.write_text(json.dumps(config), encoding="utf-8")


def remove_assistant_turn(folder: Path) -> None:
    """Remove the assistant turn from the chat template, so that the reply follows the question directly."""
    path = folder / "chat_template.jinja"
    text = path.read_text(encoding="utf-8")
    if "ASSISTANT:" not in text:
        raise ModelError(f"{path}: has no assistant turn to remove")
    # Keep the space before the reply: without it the words would have other tokens.
    text = (
        text.replace("{% endif %} {% elif", "{% endif %}{% elif").replace("ASSISTANT: ", " ").replace("ASSISTANT:", "")
    )
    path.write_text(text, encoding="utf-8")


def round_weights(bits: int, part: str = "", by_row: bool = True) -> Callable[[Path], None]:
    """Return an edit that rounds the weight matrices of a part to signed integers of `bits`.

    There is one scale per row, or one per matrix. It maps the absolute maximum to the largest integer: of 4 bits, the
    values are -7 to 7. `part` is the start of the weights' names, such as ``vision_tower.``; empty is the whole model.
    """
    levels = (1 << (bits - 1)) - 1

    def rounded(weight: torch.Tensor) -> torch.Tensor:
        if weight.ndim < 2:
            return weight
        rows = weight.abs().flatten(1) if by_row else weight.abs().reshape(1, -1)
        scale = rows.amax(1).clamp(min=1e-12).view(-1, *[1] * (weight.ndim - 1)) / levels
        return (weight / scale).round() * scale

    return lambda folder: _change_weights(folder, rounded, part)


def add_noise(share: float) -> Callable[[Path], None]:
    """Return an edit that adds normal noise to every weight: `share` times the standard deviation of its tensor."""

    def edit(folder: Path) -> None:

        generator = torch.Generator().manual_seed(SEED)

        def with_noise(weight: torch.Tensor) -> torch.Tensor:
            if weight.numel() < 2:
                return weight
            return weight + share * weight.std() * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)

        _change_weights(folder, with_noise)

    return edit


FAULTS = (
    Fault("channels swapped (BGR)", wrap=lambda model: FaultyModel(model, image=swap_channels)),
    Fault("normalisation dropped", edit=drop_normalization),
    Fault("half the resolution", wrap=lambda model: FaultyModel(model, image=halve_resolution)),
    Fault("weights in 4 bits", edit=round_weights(4), must_drift=True),
    Fault("vision tower in 4 bits", edit=round_weights(4, "vision_tower.", by_row=False), must_drift=True),
    Fault("2 % weight noise", edit=add_noise(0.02)),
    Fault("5 % weight noise", edit=add_noise(0.05)),
    Fault("10 % weight noise", edit=add_noise(0.10)),
    Fault("no assistant turn", edit=remove_assistant_turn),
    Fault("options shuffled, not the key", wrap=lambda model: FaultyModel(model, shuffles=True)),
    Fault("answers cut to one token", wrap=lambda model: FaultyModel(model, most_tokens=1)),
)


def inject(fault: Fault, original: Path, folder: Path) -> Path:
    """Return the folder of the faulty model: the original, or an edited copy inside `folder`."""
    if fault.edit is None:
        return original
    copy = folder / "copy"
    shutil.copytree(original, copy)
    fault.edit(copy)
    return copy


def _change_weights(folder: Path, change: Callable[[Any], Any], part: str = "") -> None:

    weights = load_file(folder / WEIGHTS)
    changed = {
        name: change(w).contiguous() if w.is_floating_point() and name.startswith(part) else w
        for name, w in weights.items()
    }
    save_file(changed, folder / WEIGHTS, metadata={"format": "pt"})
