"""Give a language model's tokenizer the interface of a processor, so that a text-only judge can use this backend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class NoImages:
    """Replaces an image processor and rejects images."""

    def preprocess(self, images: Any, **how: Any) -> Any:
        """Raise `ValueError`: the model is text-only."""
        raise ValueError("the model is text-only and was given an image")


class TextProcessor:
    """The parts of a processor that `Encoder` uses, for prompts without images."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.image_processor = NoImages()
        self.chat_template = tokenizer.chat_template

    @classmethod
    def load(cls, target: str, **common: Any) -> TextProcessor:
        """Load the tokenizer of a model."""
        from transformers import AutoTokenizer

        return cls(AutoTokenizer.from_pretrained(target, **common))

    def __call__(self, images: Any = None, *, text: Sequence[str], **how: Any) -> Any:
        """Return the tensors of plain prompts. Raises `ValueError` for a prompt with an image."""
        if images:
            self.image_processor.preprocess(images)
        return self.tokenizer(list(text), **how)

    def apply_chat_template(self, conversation: Any, **how: Any) -> Any:
        """Render or encode conversations. Content becomes a string, as templates of language models expect."""
        how.update(how.pop("processor_kwargs", {}))
        return self.tokenizer.apply_chat_template(_plain(conversation), **how)


def _plain(conversation: Any) -> Any:
    if conversation and isinstance(conversation[0], list):
        return [_plain(each) for each in conversation]
    return [{**turn, "content": "".join(part["text"] for part in turn["content"])} for turn in conversation]
