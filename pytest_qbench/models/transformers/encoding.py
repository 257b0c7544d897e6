"""Encode prompts and replies as tensors, with a chat template or a plain prompt."""

from __future__ import annotations

import copy
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.models.errors import FAILURES
from pytest_qbench.models.images import LazyImage, LazyImages
from pytest_qbench.models.transformers.architectures import Architecture
from pytest_qbench.models.transformers.padding import Side, Tensors, align, append, ragged
from pytest_qbench.models.transformers.turns import PROBE, STAND_IN, TurnBuilder
from pytest_qbench.models.transformers.vision import ImagePreprocessor, Preprocessed, differ_in_pixels_only, join
from pytest_qbench.prompts import Prompt


class Encoder:
    """Encodes prompts as the tensors of one forward pass, on the CPU. It needs the processor but not the weights.

    Prompts of one batch have the same number of images and the same `prefix`. The encoder is thread-safe: a lock guards
    the processor's tokenizer, which is not, and continuations use a copy of the tokenizer.
    """

    def __init__(self, name: str, processor: Any, architecture: Architecture, decoder_start: int | None) -> None:
        self.processor = processor
        tokenizer = getattr(processor, "tokenizer", processor)
        self.side: Side = "left" if decoder_start is None else "right"
        tokenizer.padding_side = self.side
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.tokenizer = copy.deepcopy(tokenizer)
        self._lock = threading.Lock()
        self._name = name
        self._architecture = architecture
        self._decoder_start = decoder_start
        self._turns = TurnBuilder(name, processor, self.tokenizer, architecture)
        self.moves_images = self._turns.moves_images
        """Whether images stand before the text, wherever the prompt has them."""
        separators = self._turns.find_separators()
        self._tail, self._prefix_tail, self._joint = separators if decoder_start is None else ("", "", "")
        self.continuation = lru_cache(maxsize=65536)(self._continuation)
        self._images = ImagePreprocessor(processor.image_processor)
        self._last: tuple[list[Preprocessed], Preprocessed] = [], {}
        self.preprocesses_separately = self._preprocesses_separately()
        """Whether preprocessing images one by one gives the same tensors as preprocessing the batch."""

    def preprocess(self, lazy_image: LazyImage) -> None:
        """Decode an image, preprocess it if images may be preprocessed one by one, and store the result with it."""
        with lazy_image.lock:
            if lazy_image.preprocessed is None:
                image = lazy_image.decode()
                lazy_image.preprocessed = self._images.preprocess(image) if self.preprocesses_separately else image

    def __call__(self, prompts: Sequence[Prompt]) -> Tensors:
        """Return input ids, mask and image tensors. Padding is on the left, for encoder-decoders on the right."""
        for prompt in prompts:
            if len(prompt.images) not in self._architecture.images:
                raise ItemError(f"{prompt.key}: {self._name} cannot take {len(prompt.images)} images in a prompt")
        encoded = self._encode_separately(prompts)
        if encoded is None:
            images = [_decoded(prompt.images) for prompt in prompts]
            with self._lock:
                encoded = self._encode(prompts, images)
        batch = _tensors(encoded)
        batch.pop("labels", None)
        batch = align(batch, self.side)
        edge = batch["attention_mask"][:, -1 if self.side == "left" else 0]
        if not bool(edge.all()):
            raise ModelError(f"{self._name}: its processor returns a prompt without tokens")
        return self._with_prefix(batch, prompts[0].prefix)

    def _with_prefix(self, batch: Tensors, prefix: str | None) -> Tensors:
        """Append the tokens of the assistant's prefix unless the chat template has added them."""
        if self._decoder_start is not None:
            start = [self._decoder_start, *(self.continuation(None, prefix) if prefix else ())]
            batch["decoder_input_ids"] = ragged([start] * len(batch["input_ids"]), 0, batch["input_ids"].device)[0]
        elif prefix and not self._turns.has_template:
            batch = self.append(batch, [self.continuation(None, prefix)] * len(batch["input_ids"]))
        return batch

    def append(self, batch: Tensors, tokens: Sequence[Sequence[int]]) -> Tensors:
        """Return `batch` with these tokens after each row (`padding.append`)."""
        return append(batch, tokens, self.tokenizer.pad_token_id, self._architecture.appended_type)

    def has_one_token(self, prefix: str | None, word: str) -> bool:
        """Return whether `word` is one token after `prefix`, so that one forward pass has its log-probability."""
        try:
            tokens = self.continuation(prefix, word)
        except ModelError:
            return False
        return len(tokens) == 1 and tokens[0] != self.tokenizer.unk_token_id

    def _continuation(self, prefix: str | None, text: str) -> tuple[int, ...]:
        """Return the token ids of `text` as the assistant's reply, or as the word after `prefix` in the reply.

        The text alone could have other ids (leading space, merges), so these are the ids that it adds to its context.
        Raises `ModelError` if tokens of `text` merge with the context.
        """
        if not text.strip():
            raise ModelError(f"{self._name}: cannot score an empty text")
        if prefix is None:
            before, after = self._tail, self._tail + self._joint + text.strip()
        else:
            before = self._prefix_tail + prefix
            after = f"{before} {text.strip()}"
        first, second = self._ids(before), self._ids(after)
        if len(second) <= len(first) or second[: len(first)] != first:
            raise ModelError(f"{self._name}: cannot score {text!r} after {before[-40:]!r}: their tokens merge")
        return tuple(second[len(first) :])

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
        return ids

    def _encode_separately(self, prompts: Sequence[Prompt]) -> Any:
        """Encode prompts from images that were preprocessed one by one; return None if a prompt has other images."""
        lazy_images = [prompt.images.lazy_images[0] for prompt in prompts if isinstance(prompt.images, LazyImages)]
        if (
            not self.preprocesses_separately
            or len(lazy_images) < len(prompts)
            or any(len(prompt.images) != 1 for prompt in prompts)
        ):
            return None
        preprocessed = []
        for lazy_image in lazy_images:
            self.preprocess(lazy_image)
            preprocessed.append(lazy_image.preprocessed)
        for lazy_image in lazy_images:
            if not lazy_image.shared:
                lazy_image.preprocessed = None
        with self._lock:
            return self._encode_joined(
                prompts, preprocessed, self._joined(preprocessed, keep=all(one.shared for one in lazy_images))
            )

    def _joined(self, preprocessed: list[Preprocessed], *, keep: bool) -> Preprocessed:
        """Join the preprocessed images of a batch. `keep`: store the result for a batch with the same images."""
        last, joined = self._last
        if len(last) != len(preprocessed) or any(
            one is not other for one, other in zip(last, preprocessed, strict=True)
        ):
            joined = join(preprocessed)
        self._last = (preprocessed, joined) if keep else ([], {})
        return joined

    def _encode_joined(
        self, prompts: Sequence[Prompt], preprocessed: Sequence[Preprocessed], joined: Preprocessed
    ) -> Any:
        """Encode prompts with one image each. If all texts are equal, as in assessment, tokenize only the first."""
        texts = {(prompt.text, prompt.system, prompt.places) for prompt in prompts}
        if len(texts) > 1 or not differ_in_pixels_only(preprocessed):
            with self._images.substituting(joined):
                return self._encode(prompts, [[STAND_IN]] * len(prompts))
        with self._images.substituting(preprocessed[0]):
            one = self._encode(prompts[:1], [[STAND_IN]])
        rows = len(prompts)
        return {
            key: joined[key] if key in joined else value.repeat(rows, *[1] * (value.ndim - 1))
            for key, value in _tensors(one).items()
        }

    def _preprocesses_separately(self) -> bool:
        """Return whether separate preprocessing gives the tensors of batch preprocessing.

        It compares batches of two images, of equal and unequal shape, with equal and unequal questions.
        """
        gradient = Image.linear_gradient("L").convert("RGB")
        square, wide = gradient.resize((64, 64)), gradient.rotate(90).resize((192, 96))
        question = PROBE[0]
        return all(
            self._gives_same_tensors([Prompt("", text, (image,)) for text, image in zip(texts, images, strict=True)])
            for images in ((square, wide), (square, square.rotate(90)))
            for texts in ((question, question), (question, question * 2))
        )

    def _gives_same_tensors(self, prompts: Sequence[Prompt]) -> bool:
        images = [prompt.images[0] for prompt in prompts]
        try:
            whole = self._encode(prompts, [[image] for image in images])
            preprocessed = [self._images.preprocess(image) for image in images]
            parts = self._encode_joined(prompts, preprocessed, join(preprocessed))
        except FAILURES:
            return False
        return _tensors(whole).keys() == _tensors(parts).keys() and all(
            torch.equal(value, parts[key]) for key, value in _tensors(whole).items()
        )

    def _encode(self, prompts: Sequence[Prompt], images: Sequence[Sequence[Any]]) -> Any:
        return self._chat_batch(prompts, images) if self._turns.has_template else self._plain_batch(prompts, images)

    def _chat_batch(self, prompts: Sequence[Prompt], images: Sequence[Sequence[Any]]) -> Any:
        prefix = prompts[0].prefix if self._decoder_start is None else None
        return self.processor.apply_chat_template(
            [
                self._turns.turns(prompt, own, prefix and prompt.prefix)
                for prompt, own in zip(prompts, images, strict=True)
            ],
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": self.side},
            **({"continue_final_message": True} if prefix else {"add_generation_prompt": True}),
        )

    def _plain_batch(self, prompts: Sequence[Prompt], images: Sequence[Sequence[Any]]) -> Any:
        placeholder = "" if self._architecture.inserts_images else str(getattr(self.processor, "image_token", ""))
        texts = [
            self._turns.plain_text(prompt, len(own), placeholder) for prompt, own in zip(prompts, images, strict=True)
        ]
        given: list[Any] | None = [list(own) for own in images] if images[0] else None
        if given and self._architecture.inserts_images:
            given = [image for (image,) in given]
        return self.processor(images=given, text=texts, padding=True, padding_side=self.side, return_tensors="pt")


def _decoded(images: Sequence[Any]) -> list[Any]:
    """Return the decoded images of a prompt, and free those that were decoded ahead."""
    if not isinstance(images, LazyImages):
        return list(images)
    decoded = []
    for lazy_image in images.lazy_images:
        with lazy_image.lock:
            ready, lazy_image.preprocessed = lazy_image.preprocessed, None
        decoded.append(ready if isinstance(ready, Image.Image) else lazy_image.decode())
    return decoded


def _tensors(encoded: Any) -> Tensors:
    return {key: value for key, value in encoded.items() if isinstance(value, Tensor)}
