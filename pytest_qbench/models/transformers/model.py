"""The backend for vision-language models that transformers can load."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from transformers import LogitsProcessorList

from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.models import given_prompts, memory
from pytest_qbench.models.base import OptionScores, Prompts
from pytest_qbench.models.errors import expected_failures, item_errors, quiet
from pytest_qbench.models.images import LazyImage, LazyImages
from pytest_qbench.models.specs import ModelSpec
from pytest_qbench.models.transformers import loading
from pytest_qbench.models.transformers.architectures import architecture_of, is_encoder_decoder
from pytest_qbench.models.transformers.devices import ALONE, Worker
from pytest_qbench.models.transformers.encoding import Encoder
from pytest_qbench.models.transformers.generation import NaNCheck, ends_at_limit, greedy_settings
from pytest_qbench.models.transformers.likelihood import LoglikelihoodScorer
from pytest_qbench.models.transformers.padding import Tensors
from pytest_qbench.models.transformers.vision import VisionFeatureCache
from pytest_qbench.prompts import Prompt
from pytest_qbench.records import CUT, Response

T = TypeVar("T")
PromptKind = tuple[int, str | None]
"""Number of images, and prefix. Both are equal for all prompts of one forward pass."""

LARGEST_BATCH = {"cuda": 64}
"""Initial batch size on a GPU, where a batch that does not fit raises an error. Elsewhere it may kill the process."""
OTHER_BATCH = 16


class PreparedPrompts(Prompts):
    """Prompts with their tensors. A changed copy of the list has no tensors."""

    def __init__(self, prompts: Sequence[Prompt], batches: Mapping[PromptKind, Tensors]) -> None:
        super().__init__(prompts)
        self.batches = batches


class TransformersModel:
    """A model loaded with `AutoProcessor` and an Auto class of transformers; one code path for all architectures."""

    needs_images = True

    def __init__(
        self, spec: ModelSpec, args: Mapping[str, str], worker: Worker = ALONE, *, vision: bool = True
    ) -> None:
        """Load the model. Raises `ModelError` in one line if that fails. `vision`: whether it must read images."""
        self.name = spec.name
        self._spec = spec
        self._failures = expected_failures(args)
        self._model, self._processor, self._device = loading.load(spec, args, worker, vision=vision)
        self._deterministic = loading.Deterministic(self._device)
        config = self._model.config
        self._encoder_decoder = is_encoder_decoder(config)
        self.architecture = architecture_of(config)
        with loading.loading_errors(spec, args, self._device):
            start = config.get_text_config().decoder_start_token_id if self._encoder_decoder else None
            self.encoder = Encoder(spec.name, self._processor, self.architecture, start)
        self.score = LoglikelihoodScorer(self._model, self.encoder, self.architecture)
        self._vision_cache = VisionFeatureCache(self._model)
        self.largest_batch = LARGEST_BATCH.get(self._device.type, OTHER_BATCH)
        self.greedy = greedy_settings(self._model, self.encoder.tokenizer)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights."""
        dtype: torch.dtype = self._model.dtype
        return dtype

    @property
    def network(self) -> torch.nn.Module:
        """The modules of the model, for hooks."""
        network: torch.nn.Module = self._model
        return network

    @property
    def image_passes(self) -> int:
        """Number of forward passes of the vision tower so far."""
        return self._vision_cache.passes

    def describe(self) -> dict[str, Any]:
        """Return the identity and settings of the model (`loading.describe`)."""
        return loading.describe(self._spec, self._model, self._processor, self._device)

    @property
    def moves_images(self) -> bool:
        """Whether images stand before the text, wherever the prompt has them."""
        return self.encoder.moves_images

    def preprocess(self, lazy_image: LazyImage) -> None:
        """Decode and preprocess one image. Thread-safe."""
        with torch.inference_mode():
            self.encoder.preprocess(lazy_image)

    def prepare(self, prompts: Sequence[Prompt]) -> PreparedPrompts:
        """Return the prompts with the tensors of their forward pass, on the CPU."""
        with torch.inference_mode():
            kinds = _kinds(prompts)
            return PreparedPrompts(
                prompts, {kind: self.encoder([prompts[i] for i in indices]) for kind, indices in kinds.items()}
            )

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str | Response]:
        """Return the greedily decoded replies, of at most `max_new_tokens` tokens."""
        given_prompts.note(prompts)
        return self._in_groups(prompts, lambda group, _, batch: self._generate(group, batch, max_new_tokens))

    def option_loglikelihoods(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """Return the log-likelihood of each option of each prompt as the assistant's reply, summed over tokens."""
        given_prompts.note(prompts)
        return self._in_groups(
            prompts, lambda group, indices, batch: self._option_scores(group, batch, [options[i] for i in indices])
        )

    def option_perplexities(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """Return the mean log-likelihood over prompt and option, for each option of each prompt."""
        if self._encoder_decoder:
            raise ModelError(
                f"{self.name}: an encoder-decoder does not score its prompt; use --qbench-answer=likelihood"
            )
        given_prompts.note(prompts)
        return self._in_groups(
            prompts, lambda group, indices, batch: self._perplexities(group, batch, [options[i] for i in indices])
        )

    def next_token_logprobs(
        self, prompts: Sequence[Prompt], words: Sequence[str], named: Sequence[str] = (), free: Sequence[str] = ()
    ) -> list[list[float]]:
        """Return for each prompt the log-probability of each word after `Prompt.prefix`, over the whole vocabulary.

        NaN stands for a word of `free` that has several tokens, which would take further forward passes.
        """
        given_prompts.note(prompts)
        return self._in_groups(prompts, lambda group, _, batch: self._words(group, batch, [*words, *named], free))

    def switch_dtype(self) -> str | None:
        """Switch from float32 to bfloat16, from any other dtype to float32; None for quantized weights."""
        if getattr(self._model, "hf_quantizer", None) is not None:
            return None
        dtype = torch.bfloat16 if self._model.dtype == torch.float32 else torch.float32
        self._model.to(dtype)
        return str(dtype).removeprefix("torch.")

    def close(self) -> None:
        """Release the weights; a second call does nothing."""
        for holder in ("_model", "score", "_vision_cache"):
            self.__dict__.pop(holder, None)
        self._deterministic.undo()
        memory.collect_garbage()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _in_groups(
        self, prompts: Sequence[Prompt], work: Callable[[list[Prompt], list[int], Tensors], list[T]]
    ) -> list[T]:
        """Run `work` on groups of one kind: a processor needs equal numbers of images, a template equal prefixes."""
        batches = prompts.batches if isinstance(prompts, PreparedPrompts) else {}
        results: dict[int, T] = {}
        for kind, indices in _kinds(prompts).items():
            group = [prompts[i] for i in indices]
            keys = [prompt.key for prompt in group]
            with torch.inference_mode(), quiet(), item_errors(keys, len(group), self._failures):
                batch = batches[kind] if kind in batches else self.encoder(group)
                results.update(zip(indices, work(group, indices, batch), strict=True))
        return [results[i] for i in range(len(prompts))]

    def _words(
        self, prompts: list[Prompt], batch: Tensors, words: Sequence[str], free: Sequence[str]
    ) -> list[list[float]]:
        own = [word for word in free if self.encoder.has_one_token(prompts[0].prefix, word)]
        rows = self._loglikelihoods(prompts, batch, [*words, *own], required=len(words))
        if len(own) == len(free):
            return rows
        places = [len(words) + own.index(word) if word in own else None for word in free]
        return [row[: len(words)] + [math.nan if i is None else row[i] for i in places] for row in rows]

    def _option_scores(self, prompts: list[Prompt], batch: Tensors, options: list[Sequence[str]]) -> list[list[float]]:
        rows = self._loglikelihoods(prompts, batch, (), options)
        return [
            OptionScores(row, map(len, self._options(prompt, own)))
            for prompt, own, row in zip(prompts, options, rows, strict=True)
        ]

    def _perplexities(self, prompts: list[Prompt], batch: Tensors, options: list[Sequence[str]]) -> list[list[float]]:
        rows = self._option_scores(prompts, batch, options)
        with self._vision_cache.for_images(_lazy_images(prompts)):
            asked = self.score.score_prompts(self.to_device(batch), self.image_tokens)
        means: list[list[float]] = []
        for prompt, (total, count), row in zip(prompts, asked, rows, strict=True):
            if not math.isfinite(total):
                raise ItemError(f"{prompt.key}: the model returned NaN or infinite logits")
            assert isinstance(row, OptionScores)
            numbers = [count + own for own in row.tokens]
            means.append(OptionScores([(total + v) / n for v, n in zip(row, numbers, strict=True)], numbers))
        return means

    @property
    def image_tokens(self) -> set[int]:
        """The ids of tokens that stand for parts of an image."""
        config = self._model.config
        named = [getattr(config, key, None) for key in ("image_token_id", "image_token_index")]
        named.append(getattr(self._processor, "image_token_id", None))
        return {token for token in named if isinstance(token, int)}

    def _loglikelihoods(
        self,
        prompts: list[Prompt],
        batch: Tensors,
        words: Sequence[str],
        options: list[Sequence[str]] | None = None,
        required: int | None = None,
    ) -> list[list[float]]:
        """Score the same words for every prompt or, if given, each prompt's own options.

        The first `required` scores (None: all) must be finite.
        """
        if options is None:
            tokens = [[self.encoder.continuation(prompts[0].prefix, word) for word in words]] * len(prompts)
        else:
            tokens = [self._options(prompt, own) for prompt, own in zip(prompts, options, strict=True)]
        with self._vision_cache.for_images(_lazy_images(prompts)):
            scores = self.score(self.to_device(batch), tokens)
        for prompt, row in zip(prompts, scores, strict=True):
            if not all(map(math.isfinite, row[:required])):
                raise ItemError(f"{prompt.key}: the model returned NaN or infinite logits")
        return scores

    def _options(self, prompt: Prompt, options: Sequence[str]) -> list[tuple[int, ...]]:
        try:
            return [self.encoder.continuation(prompt.prefix, option) for option in options]
        except ModelError as error:
            raise ItemError(f"{prompt.key}: {error}") from None

    def _generate(self, prompts: list[Prompt], batch: Tensors, limit: int) -> list[str | Response]:
        lengths = batch["attention_mask"].sum(-1).tolist()
        if self.architecture.pads_in_generate or len(set(lengths)) == 1:
            return self._decode(prompts, self.to_device(batch), limit)
        replies: list[str | Response] = [""] * len(prompts)
        for length in sorted(set(lengths)):
            indices = [i for i, own in enumerate(lengths) if own == length]
            group = [prompts[i] for i in indices]
            for i, reply in zip(indices, self._decode(group, self.to_device(self.encoder(group)), limit), strict=True):
                replies[i] = reply
        return replies

    def _decode(self, prompts: list[Prompt], batch: Tensors, limit: int) -> list[str | Response]:
        output = self.new_tokens(prompts, batch, limit)
        texts = [text.strip() for text in self.encoder.tokenizer.batch_decode(output, skip_special_tokens=True)]
        cut = ends_at_limit(output, limit, self.greedy)
        return [Response(text, finish=CUT) if c else text for text, c in zip(texts, cut, strict=True)]

    def new_tokens(self, prompts: Sequence[Prompt], batch: Tensors, limit: int) -> torch.Tensor:
        """Return the greedy continuation of an encoded batch, (B, at most `limit`) token ids, padded on the right."""
        settings = copy.deepcopy(self.greedy)
        settings.max_new_tokens = limit
        checks = LogitsProcessorList([NaNCheck([prompt.key for prompt in prompts])])
        with self._vision_cache.for_images(_lazy_images(prompts)):
            output: torch.Tensor = self._model.generate(**batch, generation_config=settings, logits_processor=checks)
        prompt_ids = batch["input_ids"]
        # Models that generate from embeddings may return the prompt or not.
        if not self._encoder_decoder and torch.equal(output[:, : prompt_ids.shape[1]], prompt_ids):
            output = output[:, prompt_ids.shape[1] :]
        return output[:, 1:] if self._encoder_decoder else output  # drop the decoder's start token

    def to_device(self, batch: Tensors) -> Tensors:
        """Return the batch on the model's device, with floating-point tensors in its dtype."""
        dtype = self._model.dtype
        return {
            key: value.to(self._device, dtype if value.is_floating_point() else None) for key, value in batch.items()
        }


def _kinds(prompts: Sequence[Prompt]) -> dict[PromptKind, list[int]]:
    """Return the positions of the prompts of each kind."""
    kinds: dict[PromptKind, list[int]] = {}
    for i, prompt in enumerate(prompts):
        kinds.setdefault((len(prompt.images), prompt.prefix), []).append(i)
    return kinds


def _lazy_images(prompts: Sequence[Prompt]) -> list[LazyImage]:
    """Return the images of all prompts in order; empty if one of them is not a `LazyImage`."""
    if not all(isinstance(prompt.images, LazyImages) for prompt in prompts):
        return []
    return [lazy_image for prompt in prompts for lazy_image in prompt.images.lazy_images]  # type: ignore[attr-defined]
