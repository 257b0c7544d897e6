"""Greedy decoding: its settings, a check of its logits, and which replies the token limit cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import GenerationConfig, LogitsProcessor

from pytest_qbench.errors import ItemError

_TOKEN_SETTINGS = (
    "bos_token_id",
    "eos_token_id",
    "decoder_start_token_id",
    "bad_words_ids",
    "suppress_tokens",
    "begin_suppress_tokens",
    "forced_bos_token_id",
    "forced_eos_token_id",
)


def greedy_settings(model: Any, tokenizer: Any) -> Any:
    """Return settings of greedy decoding with the checkpoint's special tokens and none of its other settings.

    They also replace the settings of submodules, which BLIP-like models and Kosmos-2 use.
    """
    given = model.generation_config
    text = model.config.get_text_config()
    tokens = {
        name: value
        for name in _TOKEN_SETTINGS
        if (value := getattr(given, name, None)) is not None or (value := getattr(text, name, None)) is not None
    }
    tokens.setdefault("eos_token_id", tokenizer.eos_token_id)
    settings = GenerationConfig(do_sample=False, num_beams=1, **tokens)
    settings.pad_token_id = tokenizer.pad_token_id
    for module in model.modules():
        if getattr(module, "generation_config", None) is not None:
            module.generation_config = settings
    return settings


class NaNCheck(LogitsProcessor):  # type: ignore[misc]
    """Raises `ItemError` on NaN logits, for which greedy decoding would choose the first token of the vocabulary."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the logits as they are."""
        broken = scores.isnan().any(-1)
        if bool(broken.any()):
            raise ItemError(f"{self._keys[int(broken.int().argmax())]}: the model returned NaN logits")
        return scores


def ends_at_limit(output: torch.Tensor, limit: int, settings: GenerationConfig) -> list[bool]:
    """Return for each row of new tokens whether the reply ends at `limit`, that is, has no end token."""
    given = settings.eos_token_id
    ids = given if isinstance(given, list) else [] if given is None else [given]
    ends = torch.tensor(ids, dtype=output.dtype, device=output.device)
    cut: list[bool] = (~torch.isin(output, ends).any(-1)).tolist()
    return cut if output.shape[1] >= limit else [False] * len(cut)
