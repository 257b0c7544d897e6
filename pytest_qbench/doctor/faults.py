"""Known faults of a model's pipeline, to prove that the gates see them, and harmless changes that they must not.

A fault is injected into a copy of the model's folder (weights, processor, template) or by a wrapper around the backend
(images, options, length of replies). Needs torch.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.models.base import Model
from pytest_qbench.prompts import Prompt

if TYPE_CHECKING:
    from PIL.Image import Image

WEIGHTS = "model.safetensors"
LEVELS = 7  # of a signed 4-bit weight: -7 ... 7, one scale a row
SEED = 20231004


class Faulty:
    """A backend with something wrong before or after it; a `Model` itself."""

    def __init__(
        self,
        model: Model,
        *,
        image: Callable[[Image], Image] | None = None,
        shuffles: bool = False,
        most_tokens: int | None = None,
    ) -> None:
        """Wrap `model`: `image` changes each image, `most_tokens` bounds each reply, `shuffles` reorders options."""
        self.model, self.name, self.needs_images = model, model.name, model.needs_images
        self.image, self.shuffles, self.most_tokens = image, shuffles, most_tokens

    def describe(self) -> dict[str, Any]:
        """As the model inside."""
        return self.model.describe()

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> Sequence[str | ItemError]:
        """Reply, but to other images or with fewer tokens."""
        return self.model.generate(self._seen(prompts), min(max_new_tokens, self.most_tokens or max_new_tokens))

    def option_likelihoods(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]
    ) -> Sequence[list[float] | ItemError]:
        """Score the options, but shown in another order than the one by which they are marked."""
        shown = [self._shuffled(p.key, own) for p, own in zip(prompts, options, strict=True)]
        return self.model.option_likelihoods(self._seen(prompts), shown)

    def next_token_logprobs(self, prompts: Sequence[Prompt], words: Sequence[str]) -> Sequence[list[float] | ItemError]:
        """Score the words, but for other images."""
        return self.model.next_token_logprobs(self._seen(prompts), words)

    def close(self) -> None:
        """Release the model inside."""
        self.model.close()

    def _seen(self, prompts: Sequence[Prompt]) -> Sequence[Prompt]:
        if self.image is None:
            return prompts
        return [replace(prompt, images=tuple(map(self.image, prompt.images))) for prompt in prompts]

    def _shuffled(self, key: str, options: Sequence[str]) -> Sequence[str]:
        return random.Random(f"{SEED} {key}").sample(options, len(options)) if self.shuffles else options


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong: `edit` changes a copy of the model's folder, `wrap` what goes in and out.

    `drifts`: too small for the gates to see on this little data, but drift must show it.
    """

    name: str
    edit: Callable[[Path], None] | None = None
    wrap: Callable[[Model], Faulty] | None = None
    drifts: bool = False


def swapped(image: Image) -> Image:
    """The image with red and blue exchanged (BGR)."""
    from PIL import Image as Images

    red, green, blue = image.split()
    return Images.merge("RGB", (blue, green, red))


def halved(image: Image) -> Image:
    """The image at half resolution, at its own size again."""
    width, height = image.size
    return image.resize((max(1, width // 2), max(1, height // 2))).resize((width, height))


def unnormalised(folder: Path) -> None:
    """Drop the normalisation of pixels by mean and standard deviation."""
    path = folder / "processor_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["image_processor"]["do_normalize"] = False
    path.write_text(json.dumps(config), encoding="utf-8")


def without_turn(folder: Path) -> None:
    """Take the assistant's turn out of the chat template: the reply follows the question at once."""
    path = folder / "chat_template.jinja"
    text = path.read_text(encoding="utf-8")
    if "ASSISTANT:" not in text:
        raise ModelError(f"{path}: has no assistant turn to take out")
    # The space stays with the reply, or its words would be other tokens.
    text = (
        text.replace("{% endif %} {% elif", "{% endif %}{% elif").replace("ASSISTANT: ", " ").replace("ASSISTANT:", "")
    )
    path.write_text(text, encoding="utf-8")


def rounded(folder: Path) -> None:
    """Round every weight matrix to 4 bits, one scale a row (absolute maximum)."""
    import torch

    def to_4_bits(weight: torch.Tensor) -> torch.Tensor:
        if weight.ndim < 2:
            return weight
        scale = weight.abs().flatten(1).amax(1).clamp(min=1e-12).view(-1, *[1] * (weight.ndim - 1)) / LEVELS
        return (weight / scale).round() * scale

    _reweigh(folder, to_4_bits)


def noisy(share: float) -> Callable[[Path], None]:
    """Add normal noise to every weight, `share` of the standard deviation of its tensor."""

    def edit(folder: Path) -> None:
        import torch

        dice = torch.Generator().manual_seed(SEED)

        def with_noise(weight: torch.Tensor) -> torch.Tensor:
            if weight.numel() < 2:
                return weight
            return weight + share * weight.std() * torch.randn(weight.shape, generator=dice, dtype=weight.dtype)

        _reweigh(folder, with_noise)

    return edit


FAULTS = (
    Fault("channels swapped (BGR)", wrap=lambda model: Faulty(model, image=swapped)),
    Fault("normalisation dropped", edit=unnormalised),
    Fault("half the resolution", wrap=lambda model: Faulty(model, image=halved)),
    Fault("weights in 4 bits", edit=rounded, drifts=True),
    Fault("2 % weight noise", edit=noisy(0.02)),
    Fault("5 % weight noise", edit=noisy(0.05)),
    Fault("10 % weight noise", edit=noisy(0.10)),
    Fault("no assistant turn", edit=without_turn),
    Fault("options shuffled, not the key", wrap=lambda model: Faulty(model, shuffles=True)),
    Fault("answers cut to one token", wrap=lambda model: Faulty(model, most_tokens=1)),
)


def broken_copy(fault: Fault, original: Path, folder: Path) -> Path:
    """The folder to load for a fault: the original itself, or an edited copy of it in `folder`."""
    if fault.edit is None:
        return original
    copy = folder / "copy"
    shutil.copytree(original, copy)
    fault.edit(copy)
    return copy


def _reweigh(folder: Path, change: Callable[[Any], Any]) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / WEIGHTS)
    changed = {name: change(w).contiguous() if w.is_floating_point() else w for name, w in weights.items()}
    save_file(changed, folder / WEIGHTS, metadata={"format": "pt"})
