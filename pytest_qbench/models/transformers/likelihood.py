"""Log-probabilities of given continuations: the image and the prompt are read once, whatever the number of options."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pytest_qbench.models.transformers.architectures import Quirks, multimodal_rope
from pytest_qbench.models.transformers.encoding import Encoder
from pytest_qbench.models.transformers.padding import Batch, positions, ragged

Tokens = Sequence[int]
_CACHES = ("cache", "past_key_values")
"""What a forward pass calls the keys and values of what it has read: since transformers 5.24, and before."""
_ROWS = 16384
"""Rows of the head multiplied at a time: 256 MiB in float32 at a width of 4096."""


class Scorer:
    """Scores continuations of encoded prompts. Log-probabilities are natural and computed in float32."""

    def __init__(self, model: Any, encoder: Encoder, quirks: Quirks) -> None:
        self._model = model
        self._encoder = encoder
        self._quirks = quirks
        self._rope = multimodal_rope(model)
        parameters = inspect.signature(model.forward).parameters
        self._takes_positions = "position_ids" in parameters
        self._keeps_logits = "logits_to_keep" in parameters
        self._cache = next((name for name in _CACHES if name in parameters), "") if quirks.continues else ""

    def __call__(self, batch: Batch, continuations: Sequence[Sequence[Tokens]]) -> list[list[float]]:
        """Return, per row of `batch`, the summed log-probability of each of its continuations (at least one token)."""
        if "decoder_input_ids" in batch:
            return self._by_full_forwards(batch, continuations)
        several = any(len(tokens) > 1 for row in continuations for tokens in row)
        with float32_head(self._model):
            if several and not self._cache:
                return self._by_full_forwards(batch, continuations)
            output = self._forward(batch, 1, use_cache=several)
            cache = getattr(output, self._cache) if several else None
            if several and not _can_crop(cache):
                return self._by_full_forwards(batch, continuations)
            first = output.logits[:, -1].float().log_softmax(-1)
            scores = [first[i, [tokens[0] for tokens in row]] for i, row in enumerate(continuations)]
            if several:
                self._add_rest(batch, continuations, cache, scores)
        return [row.tolist() for row in scores]

    def by_full_forwards(self, batch: Batch, continuations: Sequence[Sequence[Tokens]]) -> list[list[float]]:
        """Return the same by one forward pass over everything for each continuation: slow, and the reference."""
        with float32_head(self._model):
            return self._by_full_forwards(batch, continuations)

    def _add_rest(
        self, batch: Batch, continuations: Sequence[Sequence[Tokens]], cache: Any, scores: list[Tensor]
    ) -> None:
        """Add to `scores` the tokens after the first, one pass a continuation over the prompts' cached keys."""
        mask = batch["attention_mask"]
        # M-RoPE: an image takes fewer positions than tokens; the first pass left the difference of each row, (B, 1).
        shift: Any = 0 if self._model_positions(batch) is not None else getattr(self._rope, "rope_deltas", 0)
        for column in range(max(len(row) for row in continuations)):
            own = [row[column] if column < len(row) else () for row in continuations]
            if all(len(tokens) < 2 for tokens in own):
                continue
            ids, new = ragged([tokens[:-1] for tokens in own], self._encoder.tokenizer.pad_token_id, mask.device)
            whole = torch.cat([mask, new.to(mask.dtype)], dim=1)
            where = positions(whole)[:, -ids.shape[1] :] + self._quirks.first_position + shift
            given = {"position_ids": where} if self._takes_positions else {}
            given[self._cache] = cache
            logits = self._model(input_ids=ids, attention_mask=whole, use_cache=True, **given).logits
            targets, real = ragged([tokens[1:] for tokens in own], 0, mask.device)
            sums = _gathered(logits, targets, real)
            for i, tokens in enumerate(own):
                if tokens:
                    scores[i][column] += sums[i]
            cache.crop(-ids.shape[1])

    def _by_full_forwards(self, batch: Batch, continuations: Sequence[Sequence[Tokens]]) -> list[list[float]]:
        device = batch["attention_mask"].device
        columns = []
        for column in range(max(len(row) for row in continuations)):
            own = [row[column] if column < len(row) else () for row in continuations]
            targets, real = ragged(own, 0, device)
            length = targets.shape[1]
            if "decoder_input_ids" in batch:
                start = batch["decoder_input_ids"]
                extended = {**batch, "decoder_input_ids": torch.cat([start, targets[:, :-1]], dim=1)}
                logits = self._model(**extended).logits[:, -length:]
            else:
                logits = self._forward(self._encoder.append(batch, own), length + 1).logits[:, -length - 1 : -1]
            columns.append(_gathered(logits, targets, real))
        return [[float(columns[j][i]) for j in range(len(row))] for i, row in enumerate(continuations)]

    def _forward(self, batch: Batch, keep: int, use_cache: bool = False) -> Any:
        given: dict[str, Any] = {"logits_to_keep": keep} if self._keeps_logits else {}
        if (where := self._model_positions(batch)) is not None and self._takes_positions:
            given["position_ids"] = where
        if self._cache:
            given["use_cache"] = use_cache
        with nullcontext() if self._keeps_logits else last_positions(self._model, keep):
            return self._model(**batch, **given)

    def _model_positions(self, batch: Batch) -> Tensor | None:
        """Return positions from the mask, or None where the model computes its own from the images."""
        if self._rope is not None and any(key.startswith("pixel") for key in batch):
            return None
        return positions(batch["attention_mask"]) + self._quirks.first_position


@contextmanager
def float32_head(model: Any) -> Iterator[None]:
    """Let the output head of a half-precision model multiply in float32; what follows it (soft caps) then does too.

    bf16 logits have 8 bits: the scores of thousands of images collapse onto a few dozen values.
    """
    head = model.get_output_embeddings()
    if (
        type(head) is not nn.Linear
        or head.weight.dtype not in (torch.bfloat16, torch.float16)
        or "forward" in vars(head)
    ):
        yield
        return

    def forward(input: Tensor) -> Tensor:
        weights, bias = head.weight, head.bias
        parts = [functional.linear(input.float(), rows.float()) for rows in torch.split(weights, _ROWS)]
        logits = torch.cat(parts, dim=-1)
        return logits if bias is None else logits + bias.float()

    head.forward = forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        del head.forward


@contextmanager
def last_positions(model: Any, keep: int) -> Iterator[None]:
    """Let the output head see the last `keep` positions alone: for models whose forward pass has no `logits_to_keep`.

    Over all positions of a prompt it is the largest tensor of all, (B, L, V), and nobody reads it.
    """
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, given: (given[0][:, -keep:],))
    try:
        yield
    finally:
        hook.remove()


def _can_crop(cache: Any) -> bool:
    """Tell whether tokens can be taken off the end again: growing layers only, not windows or recurrent states."""
    from transformers.cache_utils import DynamicLayer

    layers = getattr(cache, "layers", None) or ()
    return len(layers) > 0 and all(type(layer) is DynamicLayer for layer in layers)


def _gathered(logits: Tensor, targets: Tensor, real: Tensor) -> Tensor:
    """Return (B,) sums of the log-probabilities of `targets` (B, L), where `real`, under `logits` (B, L, V)."""
    picked = logits.float().log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return torch.where(real.bool(), picked, 0.0).sum(-1)
