"""Prompts to tensors: chat template or plain prompt, control tokens in questions, and the tokens of a reply."""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.models.errors import FAILURES
from pytest_qbench.models.images import Picture, Pictures
from pytest_qbench.models.transformers.architectures import Quirks
from pytest_qbench.models.transformers.padding import Batch, Side, align, append, ragged
from pytest_qbench.models.transformers.vision import ImageWork, Made, alike, join
from pytest_qbench.prompts import Prompt

_PROBE = ("Question", "Reply")
_STAND_IN = Image.new("RGB", (32, 32))


class Encoder:
    """Turns prompts into the tensors of one forward pass, on the CPU; needs the processor but not the weights.

    Prompts of one batch have the same number of images and the same `prefix`. Any thread may call; the processor's
    tokenizer, which does not bear two at a time, is behind a lock, and words are cut by a copy of it.
    """

    def __init__(self, name: str, processor: Any, quirks: Quirks, decoder_start: int | None) -> None:
        self.processor = processor
        tokenizer = getattr(processor, "tokenizer", processor)
        self.side: Side = "left" if decoder_start is None else "right"
        tokenizer.padding_side = self.side
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.tokenizer = copy.deepcopy(tokenizer)
        self._lock = threading.Lock()
        self._name = name
        self._quirks = quirks
        self._decoder_start = decoder_start
        self._chat = bool(getattr(processor, "chat_template", None))
        self._controls = _control_tokens(processor, self.tokenizer)
        self._tail, self._prefix_tail, self._joint = self._probe()
        self.continuation = lru_cache(maxsize=65536)(self._continuation)
        self._work = ImageWork(processor.image_processor)
        self._last: tuple[list[Made], Made] = [], {}
        self.comes_apart = self._comes_apart()
        """Whether the images of a batch can be preprocessed one by one."""

    def look(self, picture: Picture) -> None:
        """Decode a picture and, where the processor's work comes apart, preprocess it; keeps the result with it."""
        with picture.lock:
            if picture.made is None:
                image = picture.decode()
                picture.made = self._work.make(image) if self.comes_apart else image

    def __call__(self, prompts: Sequence[Prompt]) -> Batch:
        """Return input ids, mask and image tensors; padding is on the left (on the right for encoder-decoders)."""
        for prompt in prompts:
            if len(prompt.images) not in self._quirks.images:
                raise ItemError(f"{prompt.key}: {self._name} cannot take {len(prompt.images)} images in a prompt")
        encoded = self._encode_apart(prompts)
        if encoded is None:
            images = [_looked_at(prompt.images) for prompt in prompts]
            with self._lock:
                encoded = self._encode(prompts, images)
        batch = _tensors(encoded)
        batch.pop("labels", None)
        batch = align(batch, self.side)
        edge = batch["attention_mask"][:, -1 if self.side == "left" else 0]
        if not bool(edge.all()):
            raise ModelError(f"{self._name}: its processor returns prompts that do not end where the batch does")
        return self._with_prefix(batch, prompts[0].prefix)

    def _with_prefix(self, batch: Batch, prefix: str | None) -> Batch:
        """Add the tokens of the assistant's prefix where the chat template has not."""
        if self._decoder_start is not None:
            start = [self._decoder_start, *(self.continuation(None, prefix) if prefix else ())]
            batch["decoder_input_ids"] = ragged([start] * len(batch["input_ids"]), 0, batch["input_ids"].device)[0]
        elif prefix and not self._chat:
            batch = self.append(batch, [self.continuation(None, prefix)] * len(batch["input_ids"]))
        return batch

    def append(self, batch: Batch, tokens: Sequence[Sequence[int]]) -> Batch:
        """Return `batch` with these tokens after each row (`layout.append`)."""
        return append(batch, tokens, self.tokenizer.pad_token_id, self._quirks.appended_type)

    def _continuation(self, prefix: str | None, text: str) -> tuple[int, ...]:
        """Return the ids of `text` as the assistant's reply, or of the word that follows `prefix` in it.

        The ids of the text alone are wrong in both cases (a leading space, merges), so this is the difference between
        the ids without and with it. Raises `ModelError` when `text` merges into what stands before.
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
            raise ModelError(f"{self._name}: cannot score {text!r} after {before[-40:]!r}, its tokens merge into it")
        return tuple(second[len(first) :])

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
        return ids

    def _encode_apart(self, prompts: Sequence[Prompt]) -> Any:
        """Return the same from pictures that were looked at one by one, or None where there are none such."""
        pictures = [prompt.images.pictures[0] for prompt in prompts if isinstance(prompt.images, Pictures)]
        if not self.comes_apart or len(pictures) < len(prompts) or any(len(prompt.images) != 1 for prompt in prompts):
            return None
        made = []
        for picture in pictures:
            self.look(picture)
            made.append(picture.made)
        for picture in pictures:
            if not picture.shared:
                picture.made = None
        with self._lock:
            return self._encode_joined(prompts, made, self._joined(made, keep=all(one.shared for one in pictures)))

    def _joined(self, made: list[Made], *, keep: bool) -> Made:
        """Return what was made of a batch's images in one; prompts on the same images follow one another."""
        last, joined = self._last
        if len(last) != len(made) or any(one is not other for one, other in zip(last, made, strict=True)):
            joined = join(made)
        self._last = (made, joined) if keep else ([], {})
        return joined

    def _encode_joined(self, prompts: Sequence[Prompt], made: Sequence[Made], joined: Made) -> Any:
        """Encode prompts of one image each; where all read the same, as ratings do, one is tokenized for all."""
        if len({prompt.text for prompt in prompts}) > 1 or not alike(made):
            with self._work.joining(joined):
                return self._encode(prompts, [[_STAND_IN]] * len(prompts))
        with self._work.joining(made[0]):
            one = self._encode(prompts[:1], [[_STAND_IN]])
        rows = len(prompts)
        return {
            key: joined[key] if key in joined else value.repeat(rows, *[1] * (value.ndim - 1))
            for key, value in _tensors(one).items()
        }

    def _comes_apart(self) -> bool:
        """Try images at once and one by one: two of different shapes, two of the same; one question, and two."""
        gradient = Image.linear_gradient("L").convert("RGB")
        square, wide = gradient.resize((64, 64)), gradient.rotate(90).resize((192, 96))
        question = _PROBE[0]
        return all(
            self._splits([Prompt("", text, (image,)) for text, image in zip(texts, images, strict=True)])
            for images in ((square, wide), (square, square.rotate(90)))
            for texts in ((question, question), (question, question * 2))
        )

    def _splits(self, asked: Sequence[Prompt]) -> bool:
        images = [prompt.images[0] for prompt in asked]
        try:
            whole = self._encode(asked, [[image] for image in images])
            made = [self._work.make(image) for image in images]
            parts = self._encode_joined(asked, made, join(made))
        except FAILURES:
            return False
        return _tensors(whole).keys() == _tensors(parts).keys() and all(
            torch.equal(value, parts[key]) for key, value in _tensors(whole).items()
        )

    def _encode(self, prompts: Sequence[Prompt], images: Sequence[Sequence[Any]]) -> Any:
        return self._chat_batch(prompts, images) if self._chat else self._plain_batch(prompts, images)

    def _chat_batch(self, prompts: Sequence[Prompt], images: Sequence[Sequence[Any]]) -> Any:
        prefix = prompts[0].prefix if self._decoder_start is None else None
        return self.processor.apply_chat_template(
            [
                _conversation(self._escape(prompt.text), own, prefix and prompt.prefix)
                for prompt, own in zip(prompts, images, strict=True)
            ],
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": self.side},
            **({"continue_final_message": True} if prefix else {"add_generation_prompt": True}),
        )

    def _plain_batch(self, prompts: Sequence[Prompt], images: Sequence[Sequence[Any]]) -> Any:
        placeholder = "" if self._quirks.inserts_images else str(getattr(self.processor, "image_token", ""))
        texts = [
            placeholder * len(own) + self._quirks.plain.text.format(text=self._escape(prompt.text))
            for prompt, own in zip(prompts, images, strict=True)
        ]
        given: list[Any] | None = [list(own) for own in images] if images[0] else None
        if given and self._quirks.inserts_images:
            given = [image for (image,) in given]
        return self.processor(images=given, text=texts, padding=True, padding_side=self.side, return_tensors="pt")

    def _probe(self) -> tuple[str, str, str]:
        """Return what stands before a reply, what stands before a prefix, and what joins the first to a reply."""
        if not self._chat:
            plain = self._quirks.plain
            if self._decoder_start is not None:
                return "", "", ""
            return plain.tail, plain.tail + plain.joint, plain.joint
        question, reply = _PROBE
        asked = self._render(_conversation(question), add_generation_prompt=True)
        answered = self._render(_conversation(question, prefix=reply), continue_final_message=True)
        if question not in asked or question not in answered or not answered.endswith(reply):
            raise ModelError(f"{self._name}: its chat template drops the question or the beginning of the reply")
        if self._decoder_start is not None:
            return "", "", ""
        tail = asked.rpartition(question)[2]
        prefix_tail = answered[: -len(reply)].rpartition(question)[2]
        if prefix_tail.startswith(tail):
            return tail, prefix_tail, prefix_tail[len(tail) :]
        return tail, prefix_tail, "" if not tail or tail[-1].isspace() else " "

    def _render(self, conversation: list[dict[str, Any]], **how: bool) -> str:
        return str(self.processor.apply_chat_template(conversation, tokenize=False, **how))

    def _escape(self, text: str) -> str:
        """Return `text` with control tokens broken up, so that a question can hold a literal ``<image>``."""
        return self._controls.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)


def _conversation(text: str, images: Sequence[Any] = (), prefix: str | None = None) -> list[dict[str, Any]]:
    """Return a user's turn and the beginning of the assistant's. Content is a list: some templates drop strings."""
    content = [*({"type": "image", "image": image} for image in images), {"type": "text", "text": text}]
    turns: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if prefix:
        turns.append({"role": "assistant", "content": [{"type": "text", "text": prefix}]})
    return turns


def _looked_at(images: Sequence[Any]) -> list[Any]:
    """Return the pixels of a prompt's images; those decoded ahead are let go of."""
    if not isinstance(images, Pictures):
        return list(images)
    decoded = []
    for picture in images.pictures:
        with picture.lock:
            ready, picture.made = picture.made, None
        decoded.append(ready if isinstance(ready, Image.Image) else picture.decode())
    return decoded


def _tensors(encoded: Any) -> Batch:
    return {key: value for key, value in encoded.items() if isinstance(value, Tensor)}


def _control_tokens(processor: Any, tokenizer: Any) -> re.Pattern[str]:
    """Return a pattern of every token in brackets that the tokenizer or processor takes for more than its letters."""
    named = (
        getattr(owner, key, None) for owner in (processor, tokenizer) for key in dir(owner) if key.endswith("_token")
    )
    tokens = {"<image>", "<video>", *tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
    tokens.update(getattr(token, "content", token) for token in named if token)
    bracketed = [token for token in tokens if isinstance(token, str) and re.fullmatch(r"[<\[|].+[>\]|]", token)]
    return re.compile("|".join(map(re.escape, sorted(bracketed, key=len, reverse=True))))
