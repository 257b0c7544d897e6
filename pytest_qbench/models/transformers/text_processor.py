"""A language model's tokenizer in the shape of a processor, so that judges run by the code that runs models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class NoImages:
    """Stands where a processor has its image processor."""

    def preprocess(self, images: Any, **how: Any) -> Any:
        """Raise `ValueError`: there are no eyes."""
        raise ValueError("the model reads text alone, and was given an image")


class TextProcessor:
    """What `Encoder` asks of a processor, for prompts without images."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.image_processor = NoImages()
        self.chat_template = tokenizer.chat_template

    @classmethod
    def of(cls, target: str, **common: Any) -> TextProcessor:
        """Load the tokenizer of a model."""
        from transformers import AutoTokenizer

        return cls(AutoTokenizer.from_pretrained(target, **common))

    def __call__(self, images: Any = None, *, text: Sequence[str], **how: Any) -> Any:
        """Return the tensors of plain prompts; raises `ValueError` for one with an image."""
        if images:
            self.image_processor.preprocess(images)
        return self.tokenizer(list(text), **how)

    def apply_chat_template(self, conversation: Any, **how: Any) -> Any:
        """Render or encode conversations; content is plain text, for templates of language models join strings."""
        how.update(how.pop("processor_kwargs", {}))
        return self.tokenizer.apply_chat_template(_plain(conversation), **how)


def _plain(conversation: Any) -> Any:
    if conversation and isinstance(conversation[0], list):
        return [_plain(each) for each in conversation]
    return [{**turn, "content": "".join(part["text"] for part in turn["content"])} for turn in conversation]
