"""Twenty known faults of any local model, by family and strength. They are injected into the loaded model.

This module needs torch.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image as Images
from PIL import ImageEnhance, ImageFilter

from pytest_qbench.doctor.faults import SEED, FaultyModel, swap_channels
from pytest_qbench.models.transformers.model import TransformersModel

if TYPE_CHECKING:
    from PIL.Image import Image

    from pytest_qbench.models.base import Model


@dataclass(frozen=True, slots=True)
class KnownFault:
    """A fault of a family. `strength` names it, and the faults of a family stand from weak to strong.

    `image` modifies each image. `noise` is the standard deviation of what is added to each weight, as a share of that
    of its tensor. `shuffles` reorders the options of a question but not its key.
    """

    family: str
    strength: str
    image: Callable[[Image], Image] | None = None
    noise: float = 0.0
    shuffles: bool = False

    @property
    def name(self) -> str:
        """Family and strength."""
        return f"{self.family} {self.strength}".strip()

    @contextmanager
    def injected(self, model: TransformersModel) -> Iterator[Model]:
        """Inject the fault into a loaded model inside this block. The weights are restored afterwards."""
        if not self.noise:
            yield FaultyModel(model, image=self.image, shuffles=self.shuffles)
            return
        generator = torch.Generator().manual_seed(SEED)
        kept: list[tuple[torch.nn.Parameter, torch.Tensor]] = []
        try:
            with torch.no_grad():
                for weight in model.network.parameters():
                    if weight.is_floating_point() and weight.numel() > 1:
                        kept.append((weight, weight.detach().cpu().clone()))
                        noise = torch.randn(weight.shape, generator=generator)
                        weight.add_((self.noise * weight.float().std() * noise.to(weight.device)).to(weight.dtype))
            yield FaultyModel(model)
        finally:
            with torch.no_grad():
                for weight, value in kept:
                    weight.copy_(value)


def _scaled(share: float, image: Image) -> Image:
    width, height = image.size
    return image.resize((max(1, round(width * share)), max(1, round(height * share)))).resize((width, height))


def _compressed(quality: int, image: Image) -> Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Images.open(buffer).convert("RGB")


def _blurred(radius: float, image: Image) -> Image:
    return image.filter(ImageFilter.GaussianBlur(radius))


def _noisy(sigma: float, image: Image) -> Image:
    rng = np.random.default_rng(SEED)
    pixels = np.asarray(image).astype(np.float32)
    noisy = pixels + sigma * rng.standard_normal(pixels.shape, dtype=np.float32)
    return Images.fromarray(np.clip(noisy + 0.5, 0, 255).astype(np.uint8))


def _darker(share: float, image: Image) -> Image:
    return ImageEnhance.Brightness(image).enhance(share)


KNOWN_FAULTS = (
    *(KnownFault("resolution", f"x {share:g}", partial(_scaled, share)) for share in (0.75, 0.5, 0.25)),
    *(KnownFault("JPEG", f"quality {quality}", partial(_compressed, quality)) for quality in (50, 20, 8)),
    *(KnownFault("blur", f"radius {radius:g}", partial(_blurred, radius)) for radius in (0.7, 1.5, 3.0)),
    *(KnownFault("image noise", f"{sigma:g} levels", partial(_noisy, sigma)) for sigma in (8.0, 20.0, 45.0)),
    *(KnownFault("brightness", f"x {share:g}", partial(_darker, share)) for share in (0.8, 0.6, 0.4)),
    *(KnownFault("weight noise", f"{share:.0%}", noise=share) for share in (0.02, 0.05, 0.1)),
    KnownFault("channels swapped", "", swap_channels),
    KnownFault("options shuffled, not the key", "", shuffles=True),
)
"""The twenty faults, by family from weak to strong."""
