"""Build parts of the tiny checkpoints: tokenizers of two kinds, chat templates, parts of configs, weights."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from pytest_qbench.prompts import LETTER_INSTRUCTION, RATE, RATE_PREFIX, SHORT_ANSWER_INSTRUCTION

IMAGE = 32
PATCH = 8
WIDTH = 32
SIZE = {"height": IMAGE, "width": IMAGE}
HEADS = {"num_attention_heads": 4, "num_hidden_layers": 2, "hidden_size": WIDTH, "intermediate_size": 48}
CORPUS = [
    RATE,
    f"{RATE_PREFIX} good",
    f"{RATE_PREFIX} poor",
    LETTER_INSTRUCTION,
    SHORT_ANSWER_INSTRUCTION,
    "Is this image blurry? Yes No",
    "USER: ASSISTANT: Question: Answer: A. B. C. D. good good poor poor Yes Yes No No",
    "What distortion is most severe in this picture? motion blur noise low light overexposure",
] * 4

LLAVA_TEMPLATE = (
    "{% for m in messages %}{{ m['role'].upper() }}: "
    "{% for c in m['content'] if c['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for c in m['content'] if c['type'] == 'text' %}{{ c['text'] }} {% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def chatml(image: str) -> str:
    """Return a chat template like Qwen's, where the reply follows a newline."""
    return (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
        "{% for c in m['content'] %}{% if c['type'] == 'image' %}"
        + image
        + "{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )


def metaspace_tokenizer(
    special: list[str],
    *,
    bos: str | None = "<s>",
    first: tuple[str, ...] = ("<unk>", "<s>", "</s>", "<pad>"),
    end: str = "",
    prepend: str = "always",
    **named: Any,
) -> Any:
    """Return a tokenizer like Llama's: tokens contain the leading space, and BOS comes first (Gemma: `prepend` never)."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend)
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=300, special_tokens=list(first)))
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    if bos or end:
        single = " ".join(filter(None, (bos, "$A", end)))
        ids = [(token, first.index(token)) for token in (bos, end) if token]
        tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=None, special_tokens=ids)
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>", **named
    )


def byte_tokenizer(special: list[str], **named: Any) -> Any:
    """Return a tokenizer like GPT-2's, on bytes and without BOS."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>", *special],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", **named
    )


def vision(config: type, **more: Any) -> dict[str, Any]:
    """Return the vision part of a config."""
    return dict(config(**{"image_size": IMAGE, "patch_size": PATCH, **HEADS, **more}).to_dict())


def text(config: type, tokenizer: Any, **more: Any) -> dict[str, Any]:
    """Return the language part of a config."""
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    options = {**HEADS, "num_key_value_heads": 2, "max_position_embeddings": 1024, "vocab_size": len(tokenizer), **ids}
    return dict(config(**{**options, **more}).to_dict())


def randomize(model: Any, seed: int = 0) -> Any:
    """Draw new weights, an order of magnitude larger than those of transformers, and return the model."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=generator)
            if "embed" in name or ("query" in name and parameter.ndim == 3):
                parameter.copy_(noise * 0.7)
            elif parameter.ndim >= 2:
                parameter.copy_(noise * 1.5 / math.sqrt(math.prod(parameter.shape[1:])))
            elif "bias" in name:
                parameter.copy_(noise * 0.1)
    return model.eval()


def save(model: Any, processor: Any, folder: Path) -> None:
    """Save all files that `from_pretrained` reads."""
    randomize(model).save_pretrained(folder)
    processor.save_pretrained(folder)
