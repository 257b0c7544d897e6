"""Move padding, compute positions and append tokens. Shapes: B prompts of S tokens, L appended tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

Tensors = dict[str, Tensor]
Side = Literal["left", "right"]


def align(batch: Mapping[str, Tensor], side: Side) -> Tensors:
    """Return `batch` with the padding of each row moved to `side`.

    Some processors ignore their argument for the side: BLIP-2 and InstructBLIP pad between image and text, Kosmos-2 as
    its tokenizer does. InstructBLIP's Q-Former has absolute positions, so its text is padded on the right.
    """
    aligned = dict(batch)
    _move(aligned, "attention_mask", _per_token(batch), side)
    if "qformer_attention_mask" in aligned:
        _move(aligned, "qformer_attention_mask", ("qformer_input_ids",), "right")
    return aligned


def append(batch: Mapping[str, Tensor], tokens: Sequence[Sequence[int]], pad: int, token_type: int = 0) -> Tensors:
    """Return `batch` (padded on the left) with a token sequence appended to each row.

    The sequences are padded on the right to the longest, where causal attention ignores the padding. In other tensors
    with an entry per token, such as masks of image tokens, the new entries are zero. Tensors of three or more
    dimensions repeat their last entry, as in `generate`.
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
    """Return ids and mask of sequences padded on the right, both int64 of shape (B, L)."""
    length = max((len(row) for row in tokens), default=0)
    ids = torch.full((len(tokens), length), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(tokens):
        ids[i, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[i, : len(row)] = 1
    return ids.to(device), mask.to(device)


def positions(mask: Tensor) -> Tensor:
    """Return the position of each token among the unmasked tokens of its row, (B, S) int64; 0 for padding."""
    return (mask.long().cumsum(-1) - 1).clamp(min=0)


def _per_token(batch: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Return the keys of integer tensors whose first two dimensions are (B, S)."""
    shape = batch["input_ids"].shape
    return tuple(k for k, v in batch.items() if v.ndim >= 2 and v.shape[:2] == shape and not v.is_floating_point())


def _move(batch: Tensors, mask_key: str, keys: Sequence[str], side: Side) -> None:
    mask = batch[mask_key]
    order = mask.argsort(dim=1, descending=side == "right", stable=True)
    for key in {mask_key, *keys}:
        tensor = batch[key]
        index = order.reshape(*order.shape, *[1] * (tensor.ndim - 2)).expand_as(tensor)
        batch[key] = tensor.gather(1, index)
