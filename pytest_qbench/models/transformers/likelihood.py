"""Log-probabilities of given continuations. All options share one forward pass over the image and the prompt."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pytest_qbench.errors import ItemError
from pytest_qbench.models.transformers.architectures import Architecture, multimodal_rope
from pytest_qbench.models.transformers.encoding import Encoder
from pytest_qbench.models.transformers.padding import Tensors, positions, ragged

Tokens = Sequence[int]
_CACHES = ("cache", "past_key_values")
"""Names of the argument for cached keys and values: since transformers 5.24, and before."""
_ROWS = 16384
"""Rows of the output head in one matrix product: 256 MiB in float32 at a width of 4096."""


class LoglikelihoodScorer:
    """Scores continuations of encoded prompts. Log-probabilities are natural logarithms, computed in float32."""

    def __init__(self, model: Any, encoder: Encoder, architecture: Architecture) -> None:
        self._model = model
        self._encoder = encoder
        self._architecture = architecture
        self._rope = multimodal_rope(model)
        parameters = inspect.signature(model.forward).parameters
        self._takes_positions = "position_ids" in parameters
        self._keeps_logits = "logits_to_keep" in parameters
        self._cache = next((name for name in _CACHES if name in parameters), "") if architecture.continues_cache else ""

    def __call__(self, batch: Tensors, continuations: Sequence[Sequence[Tokens]]) -> list[list[float]]:
        """Return the log-probability of each continuation of each row, summed over its tokens (at least one)."""
        several = {column for row in continuations for column, tokens in enumerate(row) if len(tokens) > 1}
        crops = bool(self._cache) and "decoder_input_ids" not in batch
        with float32_head(self._model):
            if several and not crops and len(several) == max(map(len, continuations)):
                return self._by_full_forwards(batch, continuations)
            output = self._first_pass(batch, use_cache=bool(several) and crops)
            cache = getattr(output, self._cache) if several and crops else None
            first = output.logits[:, -1].float().log_softmax(-1)
            scores = [first[i, [tokens[0] for tokens in row]] for i, row in enumerate(continuations)]
            if several and cache is not None and _can_crop(cache):
                self._add_later_tokens(batch, continuations, cache, scores)
            elif several:
                self._replace(batch, continuations, sorted(several), scores)
        return [row.tolist() for row in scores]

    def _first_pass(self, batch: Tensors, *, use_cache: bool) -> Any:
        """Run one forward pass; the last logits are those of the first token of a continuation."""
        return self._model(**batch) if "decoder_input_ids" in batch else self._forward(batch, 1, use_cache=use_cache)

    def _replace(
        self, batch: Tensors, continuations: Sequence[Sequence[Tokens]], columns: Sequence[int], scores: list[Tensor]
    ) -> None:
        """Replace the scores of some columns by those of one full forward pass each."""
        chosen = [[row[column] for column in columns if column < len(row)] for row in continuations]
        for i, values in enumerate(self._by_full_forwards(batch, chosen)):
            for column, value in zip(columns, values, strict=False):
                scores[i][column] = value

    def by_full_forwards(self, batch: Tensors, continuations: Sequence[Sequence[Tokens]]) -> list[list[float]]:
        """Return the same log-probabilities from one full forward pass per continuation: slow, for reference."""
        with float32_head(self._model):
            return self._by_full_forwards(batch, continuations)

    def score_prompts(self, batch: Tensors, ignored: Collection[int]) -> list[tuple[float, int]]:
        """Return for each row the log-probability of its own tokens and their number.

        The first token, which nothing predicts, padding and the tokens `ignored` do not count.
        """
        ids, mask = batch["input_ids"], batch["attention_mask"].bool()
        counted = mask[:, 1:] & mask[:, :-1]
        for token in ignored:
            counted &= ids[:, 1:] != token
        with float32_head(self._model):
            logits = self._forward(batch, ids.shape[1]).logits
        if logits.shape[1] != ids.shape[1]:
            raise ItemError("the model has another number of logits than of tokens: no perplexity of its prompt")
        parts = (logits[:, :-1], ids[:, 1:], counted)
        sums = [_sum_logprobs(*(part[i : i + 1] for part in parts)) for i in range(len(ids))]  # one row in float32
        return [(float(total), int(row.sum())) for total, row in zip(sums, counted, strict=True)]

    def _add_later_tokens(
        self, batch: Tensors, continuations: Sequence[Sequence[Tokens]], cache: Any, scores: list[Tensor]
    ) -> None:
        """Add the tokens after the first to `scores`, with one forward pass per option over the cached prompts."""
        mask = batch["attention_mask"]
        # M-RoPE: an image has fewer positions than tokens; `rope_deltas` (B, 1) is the difference of each row.
        shift: Any = 0 if self._model_positions(batch) is not None else getattr(self._rope, "rope_deltas", 0)
        for column in range(max(len(row) for row in continuations)):
            own = [row[column] if column < len(row) else () for row in continuations]
            if all(len(tokens) < 2 for tokens in own):
                continue
            ids, new = ragged([tokens[:-1] for tokens in own], self._encoder.tokenizer.pad_token_id, mask.device)
            whole = torch.cat([mask, new.to(mask.dtype)], dim=1)
            where = positions(whole)[:, -ids.shape[1] :] + self._architecture.first_position + shift
            given = {"position_ids": where} if self._takes_positions else {}
            given[self._cache] = cache
            logits = self._model(input_ids=ids, attention_mask=whole, use_cache=True, **given).logits
            targets, real = ragged([tokens[1:] for tokens in own], 0, mask.device)
            sums = _sum_logprobs(logits, targets, real)
            for i, tokens in enumerate(own):
                if tokens:
                    scores[i][column] += sums[i]
            cache.crop(-ids.shape[1])

    def _by_full_forwards(self, batch: Tensors, continuations: Sequence[Sequence[Tokens]]) -> list[list[float]]:
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
            columns.append(_sum_logprobs(logits, targets, real))
        return [[float(columns[j][i]) for j in range(len(row))] for i, row in enumerate(continuations)]

    def _forward(self, batch: Tensors, keep: int, use_cache: bool = False) -> Any:
        given: dict[str, Any] = {"logits_to_keep": keep} if self._keeps_logits else {}
        if (where := self._model_positions(batch)) is not None and self._takes_positions:
            given["position_ids"] = where
        if self._cache:
            given["use_cache"] = use_cache
        with nullcontext() if self._keeps_logits else last_positions(self._model, keep):
            return self._model(**batch, **given)

    def _model_positions(self, batch: Tensors) -> Tensor | None:
        """Return positions from the mask, or None if the model computes them from the images."""
        if self._rope is not None and any(key.startswith("pixel") for key in batch):
            return None
        return positions(batch["attention_mask"]) + self._architecture.first_position


@contextmanager
def float32_head(model: Any) -> Iterator[None]:
    """Compute the output head of a half-precision model in float32, and with it later operations (soft caps).

    Logits in bfloat16 have 8 bits of precision, so the scores of thousands of images would have few distinct values.
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
    """Limit the output head to the last `keep` positions, for models without `logits_to_keep`.

    Logits of all positions, (B, L, V), would be the largest tensor of the pass, but only the last positions are needed.
    """
    hook = model.get_output_embeddings().register_forward_pre_hook(lambda _, given: (given[0][:, -keep:],))
    try:
        yield
    finally:
        hook.remove()


def _can_crop(cache: Any) -> bool:
    """Return whether a cache can drop its last tokens. Sliding windows and recurrent states cannot."""
    from transformers.cache_utils import DynamicLayer

    layers = getattr(cache, "layers", None) or ()
    return len(layers) > 0 and all(type(layer) is DynamicLayer for layer in layers)


def _sum_logprobs(logits: Tensor, targets: Tensor, real: Tensor) -> Tensor:
    """Return sums (B,) over the log-probabilities of `targets` (B, L) where `real` is 1, from `logits` (B, L, V)."""
    picked = logits.float().log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return torch.where(real.bool(), picked, 0.0).sum(-1)
