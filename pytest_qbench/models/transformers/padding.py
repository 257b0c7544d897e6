"""Where padding, positions and appended tokens go. Shapes: B prompts of S tokens, L appended tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

Batch = dict[str, Tensor]
Side = Literal["left", "right"]


def align(batch: Mapping[str, Tensor], side: Side) -> Batch:
    """Return `batch` with the padding of each row moved to `side`.

    Processors do not always pad where they are told: BLIP-2 and InstructBLIP put padding between image and text, and
    Kosmos-2 asks its tokenizer. InstructBLIP's Q-Former has absolute positions, so its text is padded on the right.
    """
    aligned = dict(batch)
    _move(aligned, "attention_mask", _per_token(batch), side)
    if "qformer_attention_mask" in aligned:
        _move(aligned, "qformer_attention_mask", ("qformer_input_ids",), "right")
    return aligned


def append(batch: Mapping[str, Tensor], tokens: Sequence[Sequence[int]], pad: int, token_type: int = 0) -> Batch:
    """Return `batch` (padded on the left) with a sequence of tokens after each row, padded on the right to the longest.

    Causal attention keeps the padding out of sight. Other tensors that run along the tokens (marks of image tokens)
    are zero there; those of three and more dimensions (which image a token sees) repeat their last token, as `generate`
    does.
    """
    ids, mask = ragged(tokens, pad, batch["input_ids"].device)
    extended = dict(batch)
    for key in _per_token(batch):
        old = batch[key]
        if key == "input_ids":
            new = ids
        elif key == "attention_mask":
            new = mask.to(old.dtype)
        elif old.ndim == 2:
            new = old.new_full(ids.shape, token_type if key == "token_type_ids" else 0)
        else:
            new = old[:, -1:].expand(-1, ids.shape[1], *old.shape[2:])
        extended[key] = torch.cat([old, new], dim=1)
    return extended


def ragged(tokens: Sequence[Sequence[int]], pad: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return ids and mask, both int64 of shape (B, L), of sequences padded on the right."""
    length = max((len(row) for row in tokens), default=0)
    ids = torch.full((len(tokens), length), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(tokens):
        ids[i, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[i, : len(row)] = 1
    return ids.to(device), mask.to(device)


def positions(mask: Tensor) -> Tensor:
    """Return each token's position among the real tokens of its row, (B, S) int64; padding gets 0."""
    return (mask.long().cumsum(-1) - 1).clamp(min=0)


def _per_token(batch: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Name the integer tensors whose first two dimensions are (B, S)."""
    shape = batch["input_ids"].shape
    return tuple(k for k, v in batch.items() if v.ndim >= 2 and v.shape[:2] == shape and not v.is_floating_point())


def _move(batch: Batch, mask_key: str, keys: Sequence[str], side: Side) -> None:
    mask = batch[mask_key]
    order = mask.argsort(dim=1, descending=side == "right", stable=True)
    for key in {mask_key, *keys}:
        tensor = batch[key]
        index = order.reshape(*order.shape, *[1] * (tensor.ndim - 2)).expand_as(tensor)
        batch[key] = tensor.gather(1, index)
