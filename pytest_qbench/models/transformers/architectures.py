"""Differences between architectures, as data. The rest of the backend is the same for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class PlainPrompt:
    """Prompt of a model without a chat template. `text` is a format with ``{text}``, and `tail` is its end.

    The reply is tokenized as the continuation of `tail` + `joint`.
    """

    text: str = "{text}"
    tail: str = "."
    joint: str = " "


@dataclass(frozen=True, slots=True)
class Architecture:
    """Properties of one architecture; the defaults hold for most."""

    plain: PlainPrompt = PlainPrompt()
    inserts_images: bool = False
    """Whether the processor itself inserts image placeholders into a plain prompt."""
    images: range = range(100)
    """Allowed numbers of images in a prompt."""
    first_position: int = 0
    """Position of the first token, for models that do not compute positions themselves."""
    appended_type: int = 0
    """Token type of the tokens after the prompt."""
    pads_in_generate: bool = True
    """Whether `generate` computes correct positions with padding; if not, each batch holds prompts of one length."""
    continues_cache: bool = True
    """Whether a forward pass may continue a cache without the images; if not, each option takes a full forward pass."""


_BLIP = Architecture(inserts_images=True, images=range(1, 2))


def architecture_of(config: Any) -> Architecture:
    """Return the properties of the architecture with this transformers config."""
    match config.model_type:
        case "blip-2":
            return Architecture(
                PlainPrompt("Question: {text} Answer:", " Answer:"), inserts_images=True, images=range(1, 2)
            )
        case "instructblip":
            return _BLIP
        case "kosmos-2":
            # Sinusoidal positions start after the padding index; `generate` ignores padding in them.
            return Architecture(
                PlainPrompt("Question: {text} Answer:", " Answer:"),
                inserts_images=True,
                images=range(1, 2),
                first_position=config.text_config.pad_token_id + 1,
                pads_in_generate=False,
                continues_cache=False,
            )
        case "paligemma":
            # The processor ends the prompt with a newline. Later tokens are causal (type 1); positions start at 1.
            return Architecture(
                PlainPrompt("answer en {text}", "\n", ""), images=range(1, 100), first_position=1, appended_type=1
            )
    return Architecture()


def is_encoder_decoder(config: Any) -> bool:
    """Return whether the model is an encoder-decoder. InstructBLIP states this only in its text config."""
    return bool(config.is_encoder_decoder or getattr(config.get_text_config(), "is_encoder_decoder", False))


def multimodal_rope(model: torch.nn.Module) -> torch.nn.Module | None:
    """Return the submodule that computes positions from the images (Qwen's M-RoPE), or None."""
    base = getattr(model, "model", model)
    return base if hasattr(base, "get_rope_index") else None
