"""Build the tokenizer, the processor and the untrained weights of `tiny`, a LLaVA with four million parameters."""

from __future__ import annotations

import numpy as np
import questions as qa
from causes import random_recipe
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

SIDE, PATCH, WIDTH, LAYERS = 128, 16, 192, 4
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'user' %}USER: "
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for c in message['content'] %}{% if c['type'] == 'image' %}<image>\n{% endif %}{% endfor %}"
    "{% for c in message['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %} "
    "{% elif message['role'] == 'assistant' %}ASSISTANT: {% generation %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for c in message['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{{ eos_token }}{% endgeneration %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def corpus() -> list[str]:
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(6000):
        recipe = random_recipe(rng)
        q = qa.random_question(recipe, rng)
        if q:
            lines.append(f"USER: \n{q.text}\n{qa.SHORT_ANSWER} ASSISTANT: {q.answer}")
            letters = "\n".join(f"{letter}. {o}" for letter, o in zip("ABCD", (q.answer, *q.others), strict=False))
            lines.append(
                f"USER: \n{q.text}\n{letters}\nAnswer with the option's letter from the given choices directly. ASSISTANT: A"
            )
        lines.append(f"USER: \n{qa.DESCRIBE} ASSISTANT: {qa.golden(recipe)}")
        lines.append(f"USER: \n{qa.RATE} ASSISTANT: {qa.RATE_PREFIX} good")
    words = "excellent good fair average poor bad high low medium fine A B C D Yes No yes no photo picture texture composition"
    return lines + [f" {words}"] * 300 + ["\n".join(words.split())] * 300


def tokenizer(vocabulary: int = 1024) -> PreTrainedTokenizerFast:
    t = Tokenizer(models.BPE())
    words = Regex(r"\n| ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9]|\s")
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(words, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<unk>", "<s>", "</s>", "<pad>", "<image>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    t.train_from_iterator(corpus(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=t, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>", padding_side="left",
        model_max_length=512, extra_special_tokens={"image_token": "<image>"}, clean_up_tokenization_spaces=False,
    )  # fmt: skip


def processor(tokens: PreTrainedTokenizerFast) -> LlavaProcessor:
    images = CLIPImageProcessor(
        size={"shortest_edge": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
        image_mean=list(MEAN),
        image_std=list(STD),
    )
    return LlavaProcessor(
        image_processor=images, tokenizer=tokens, patch_size=PATCH, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, chat_template=TEMPLATE,
    )  # fmt: skip


def model(tokens: PreTrainedTokenizerFast) -> LlavaForConditionalGeneration:
    vision = CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=WIDTH * 4, num_hidden_layers=LAYERS, num_attention_heads=WIDTH // 32,
        image_size=SIDE, patch_size=PATCH, projection_dim=WIDTH, hidden_act="gelu",
    )  # fmt: skip
    special = {
        "bos_token_id": tokens.bos_token_id,
        "eos_token_id": tokens.eos_token_id,
        "pad_token_id": tokens.pad_token_id,
    }
    text = LlamaConfig(
        vocab_size=len(tokens), hidden_size=WIDTH, intermediate_size=512, num_hidden_layers=LAYERS, num_attention_heads=WIDTH // 32,
        num_key_value_heads=WIDTH // 32, max_position_embeddings=512, tie_word_embeddings=True, **special,
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=vision, text_config=text, image_token_index=tokens.convert_tokens_to_ids("<image>"), vision_feature_layer=-1,
        vision_feature_select_strategy="default", image_seq_length=(SIDE // PATCH) ** 2, tie_word_embeddings=True,
    )  # fmt: skip
    built = LlavaForConditionalGeneration(config)
    built.generation_config = GenerationConfig(**special, do_sample=False, max_new_tokens=64)
    return built
