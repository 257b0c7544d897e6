"""Any vision-language model that transformers can load."""

from __future__ import annotations

import copy
import gc
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.models import loading
from pytest_qbench.models.encoding import Encoder
from pytest_qbench.models.failures import item_errors, quiet
from pytest_qbench.models.layout import Batch
from pytest_qbench.models.likelihood import Scorer
from pytest_qbench.models.quirks import is_encoder_decoder, quirks
from pytest_qbench.models.specs import ModelSpec
from pytest_qbench.prompts import Prompt

T = TypeVar("T")

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


class TransformersModel:
    """A model loaded by `AutoProcessor` and `AutoModelForImageTextToText`; one code path for all architectures."""

    needs_images = True

    def __init__(self, spec: ModelSpec, args: Mapping[str, str], *, sees: bool = True) -> None:
        """Load it; a judge need not see. Raises `ModelError`, in one line, for all that can go wrong."""
        self.name = spec.name
        self._spec = spec
        self._model, self._processor, self._device = loading.load(spec, args, sees=sees)
        config = self._model.config
        self._encoder_decoder = is_encoder_decoder(config)
        self._quirks = quirks(config)
        with quiet():
            start = config.get_text_config().decoder_start_token_id if self._encoder_decoder else None
            self._encoder = Encoder(spec.name, self._processor, self._quirks, start)
        self._score = Scorer(self._model, self._encoder, self._quirks)
        self._max_new_tokens = int(args["max_new_tokens"]) if "max_new_tokens" in args else None
        self._greedy = _greedy_settings(self._model, self._encoder.tokenizer)

    def describe(self) -> dict[str, Any]:
        """Return what identifies the model and how it ran (`loading.describe`)."""
        return loading.describe(self._spec, self._model, self._processor, self._device)

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        """Return the greedily decoded replies; at most `max_new_tokens` tokens (a model argument overrides it)."""
        limit = self._max_new_tokens or max_new_tokens
        return self._in_groups(prompts, lambda group, _: self._generate(group, limit))

    def option_likelihoods(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """Return for each prompt the summed log-likelihood of each option's tokens as the assistant's reply."""
        return self._in_groups(
            prompts, lambda group, indices: self._likelihoods(group, (), [options[i] for i in indices])
        )

    def next_token_logprobs(self, prompts: Sequence[Prompt], words: Sequence[str]) -> list[list[float]]:
        """Return for each prompt the log-probability of each word after `Prompt.prefix`, over the whole vocabulary."""
        return self._in_groups(prompts, lambda group, _: self._likelihoods(group, words))

    def vary(self) -> str | None:
        """Go over from float32 to bfloat16, from any other floating type to float32; None for quantised weights."""
        if getattr(self._model, "hf_quantizer", None) is not None:
            return None
        dtype = torch.bfloat16 if self._model.dtype == torch.float32 else torch.float32
        self._model.to(dtype)
        return str(dtype).removeprefix("torch.")

    def close(self) -> None:
        """Release the weights; a second call does nothing."""
        for holder in ("_model", "_score"):
            self.__dict__.pop(holder, None)
        gc.collect()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _in_groups(self, prompts: Sequence[Prompt], work: Callable[[list[Prompt], list[int]], list[T]]) -> list[T]:
        """Run `work` over prompts of one kind at a time: processors mix no numbers of images, templates no prefixes."""
        groups: dict[tuple[int, str | None], list[int]] = {}
        for i, prompt in enumerate(prompts):
            groups.setdefault((len(prompt.images), prompt.prefix), []).append(i)
        results: dict[int, T] = {}
        for indices in groups.values():
            group = [prompts[i] for i in indices]
            with torch.inference_mode(), quiet(), item_errors([prompt.key for prompt in group], len(group)):
                results.update(zip(indices, work(group, indices), strict=True))
        return [results[i] for i in range(len(prompts))]

    def _likelihoods(
        self, prompts: list[Prompt], words: Sequence[str], options: list[Sequence[str]] | None = None
    ) -> list[list[float]]:
        """Score the same words for every prompt, or options of its own for each."""
        if options is None:
            tokens = [[self._encoder.continuation(prompts[0].prefix, word) for word in words]] * len(prompts)
        else:
            tokens = [self._options(prompt, own) for prompt, own in zip(prompts, options, strict=True)]
        scores = self._score(self._to_device(self._encoder(prompts)), tokens)
        for prompt, row in zip(prompts, scores, strict=True):
            if not all(map(math.isfinite, row)):
                raise ItemError(f"{prompt.key}: the model returned NaN or infinite logits")
        return scores

    def _options(self, prompt: Prompt, options: Sequence[str]) -> list[tuple[int, ...]]:
        try:
            return [self._encoder.continuation(prompt.prefix, option) for option in options]
        except ModelError as error:
            raise ItemError(f"{prompt.key}: {error}") from None

    def _generate(self, prompts: list[Prompt], limit: int) -> list[str]:
        batch = self._encoder(prompts)
        lengths = batch["attention_mask"].sum(-1).tolist()
        if self._quirks.pads_in_generate or len(set(lengths)) == 1:
            return self._decode(prompts, self._to_device(batch), limit)
        texts = [""] * len(prompts)
        for length in sorted(set(lengths)):
            indices = [i for i, own in enumerate(lengths) if own == length]
            group = [prompts[i] for i in indices]
            for i, text in zip(indices, self._decode(group, self._to_device(self._encoder(group)), limit), strict=True):
                texts[i] = text
        return texts

    def _decode(self, prompts: list[Prompt], batch: Batch, limit: int) -> list[str]:
        settings = copy.deepcopy(self._greedy)
        settings.max_new_tokens = limit
        checks = LogitsProcessorList([_RefuseNaN([prompt.key for prompt in prompts])])
        output = self._model.generate(**batch, generation_config=settings, logits_processor=checks)
        asked = batch["input_ids"]
        # Models that generate from embeddings may or may not return the prompt.
        if not self._encoder_decoder and torch.equal(output[:, : asked.shape[1]], asked):
            output = output[:, asked.shape[1] :]
        texts = self._encoder.tokenizer.batch_decode(output, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def _to_device(self, batch: Batch) -> Batch:
        dtype = self._model.dtype
        return {
            key: value.to(self._device, dtype if value.is_floating_point() else None) for key, value in batch.items()
        }


class _RefuseNaN(LogitsProcessor):  # type: ignore[misc]
    """Greedy decoding would answer NaN with the first token of the vocabulary."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        broken = scores.isnan().any(-1)
        if bool(broken.any()):
            raise ItemError(f"{self._keys[int(broken.int().argmax())]}: the model returned NaN logits")
        return scores


def _greedy_settings(model: Any, tokenizer: Any) -> Any:
    """Return generation settings with the checkpoint's special tokens alone: no sampling, beams, penalties or lengths.

    They also replace those of submodules, from which BLIP-like models and Kosmos-2 generate.
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
