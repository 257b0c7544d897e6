"""Where architectures differ, as data. Everything else in the transformers backend is the same for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Plain:
    """The prompt of a model without chat template: `text` with ``{text}`` in it, and what the reply follows.

    A reply is tokenized as it would be after `tail` + `joint`.
    """

    text: str = "{text}"
    tail: str = "."
    joint: str = " "


@dataclass(frozen=True, slots=True)
class Quirks:
    """What is special about one architecture."""

    plain: Plain = Plain()
    inserts_images: bool = False
    """The processor puts image placeholders into a plain prompt itself."""
    images: range = range(100)
    """How many images a prompt may have."""
    first_position: int = 0
    """The position of the first token, where the model does not compute positions itself."""
    appended_type: int = 0
    """The token type of what follows the prompt."""
    pads_in_generate: bool = True
    """Whether `generate` keeps positions right behind padding; if not, prompts of one length run together."""
    continues: bool = True
    """Whether a forward pass may continue a cache without the images; if not, each option takes a pass of its own."""


_BLIP = Quirks(inserts_images=True, images=range(1, 2))


def quirks(config: Any) -> Quirks:
    """Return what is special about the model of this transformers config."""
    match config.model_type:
        case "blip-2":
            return Quirks(Plain("Question: {text} Answer:", " Answer:"), inserts_images=True, images=range(1, 2))
        case "instructblip":
            return _BLIP
        case "kosmos-2":
            # Sinusoidal positions start after the padding index; `generate` drops the ones that know about padding.
            return Quirks(
                Plain("Question: {text} Answer:", " Answer:"),
                inserts_images=True,
                images=range(1, 2),
                first_position=config.text_config.pad_token_id + 1,
                pads_in_generate=False,
                continues=False,
            )
        case "paligemma":
            # The processor ends the prompt with a newline; what follows is causal (type 1), and positions count from 1.
            return Quirks(Plain("answer en {text}", "\n", ""), images=range(1, 100), first_position=1, appended_type=1)
    return Quirks()


def is_encoder_decoder(config: Any) -> bool:
    """Tell whether replies come from a decoder of their own; InstructBLIP says so on its text config only."""
    return bool(config.is_encoder_decoder or getattr(config.get_text_config(), "is_encoder_decoder", False))


def multimodal_rope(model: torch.nn.Module) -> torch.nn.Module | None:
    """Return the submodule that computes its own positions from the images (Qwen's M-RoPE), if there is one."""
    base = getattr(model, "model", model)
    return base if hasattr(base, "get_rope_index") else None
