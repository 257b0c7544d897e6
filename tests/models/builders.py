"""Build tiny models. The function of each architecture saves config, processor and weights in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers as tf

from tests.models.parts import (
    HEADS,
    IMAGE,
    LLAVA_TEMPLATE,
    PATCH,
    SIZE,
    WIDTH,
    byte_tokenizer,
    chatml,
    metaspace_tokenizer,
    save,
    text,
    vision,
)

MROPE = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
QWEN_SPECIAL = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
IDEFICS_SPECIAL = ["<image>", "<fake_token_around_image>", "<end_of_utterance>", "<global-img>"] + [
    f"<row_{i}_col_{j}>" for i in range(1, 7) for j in range(1, 7)
]
MISTRAL_SPECIAL = ["[IMG]", "[IMG_BREAK]", "[IMG_END]", "[INST]", "[/INST]"]


def llava(folder: Path) -> None:
    tokenizer = metaspace_tokenizer(["<image>"])
    processor = tf.LlavaProcessor(
        tf.CLIPImageProcessor(size={"shortest_edge": IMAGE}, crop_size=SIZE),
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    )
    config = tf.LlavaConfig(
        vision_config=vision(tf.CLIPVisionConfig, projection_dim=WIDTH),
        text_config=text(tf.LlamaConfig, tokenizer),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    save(tf.LlavaForConditionalGeneration(config), processor, folder)


def llava_next(folder: Path) -> None:
    tokenizer = metaspace_tokenizer(["<image>"])
    grid = [[IMAGE, 2 * IMAGE], [2 * IMAGE, IMAGE], [2 * IMAGE, 2 * IMAGE]]
    processor = tf.LlavaNextProcessor(
        tf.LlavaNextImageProcessor(size={"shortest_edge": IMAGE}, crop_size=SIZE, image_grid_pinpoints=grid),
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    )
    config = tf.LlavaNextConfig(
        vision_config=vision(tf.CLIPVisionConfig, projection_dim=WIDTH),
        text_config=text(tf.MistralConfig, tokenizer, sliding_window=None),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=grid,
        vision_feature_layer=-1,
    )
    save(tf.LlavaNextForConditionalGeneration(config), processor, folder)


def llava_onevision(folder: Path) -> None:
    tokenizer = byte_tokenizer(["<image>", "<video>"])
    grid = [[IMAGE, 2 * IMAGE], [2 * IMAGE, IMAGE], [2 * IMAGE, 2 * IMAGE]]
    processor = tf.LlavaOnevisionProcessor(
        tf.LlavaOnevisionImageProcessor(size=SIZE, image_grid_pinpoints=grid),
        tokenizer,
        tf.LlavaOnevisionVideoProcessor(size=SIZE),
        num_image_tokens=(IMAGE // PATCH) ** 2,
        vision_feature_select_strategy="full",
        chat_template=chatml("<image>\n"),
    )
    config = tf.LlavaOnevisionConfig(
        vision_config=vision(tf.SiglipVisionConfig),
        text_config=text(tf.Qwen2Config, tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=grid,
    )
    save(tf.LlavaOnevisionForConditionalGeneration(config), processor, folder)


def _qwen_processor(cls: Any, video: Any) -> Any:
    images = tf.Qwen2VLImageProcessor(patch_size=PATCH, min_pixels=16 * 16, max_pixels=48 * 48)
    template = chatml("<|vision_start|><|image_pad|><|vision_end|>")
    return cls(images, byte_tokenizer(QWEN_SPECIAL), video(patch_size=PATCH), chat_template=template)


def _qwen_ids(tokenizer: Any) -> dict[str, int]:
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    return dict(zip(names, tokenizer.convert_tokens_to_ids(QWEN_SPECIAL), strict=True))


def qwen2_vl(folder: Path) -> None:
    processor = _qwen_processor(tf.Qwen2VLProcessor, tf.Qwen2VLVideoProcessor)
    config = tf.Qwen2VLConfig(
        vision_config={"depth": 2, "embed_dim": WIDTH, "hidden_size": WIDTH, "num_heads": 4, "patch_size": PATCH},
        text_config=text(tf.Qwen2VLTextConfig, processor.tokenizer, rope_parameters=MROPE),
        **_qwen_ids(processor.tokenizer),
    )
    save(tf.Qwen2VLForConditionalGeneration(config), processor, folder)


def qwen2_5_vl(folder: Path) -> None:
    processor = _qwen_processor(tf.Qwen2_5_VLProcessor, tf.Qwen2VLVideoProcessor)
    config = tf.Qwen2_5_VLConfig(
        vision_config={
            "depth": 2, "hidden_size": WIDTH, "num_heads": 4, "patch_size": PATCH, "intermediate_size": 48,
            "out_hidden_size": WIDTH, "window_size": 4 * PATCH, "fullatt_block_indexes": [1],
        },
        text_config=text(tf.Qwen2_5_VLTextConfig, processor.tokenizer, rope_parameters=MROPE),
        **_qwen_ids(processor.tokenizer),
    )  # fmt: skip
    save(tf.Qwen2_5_VLForConditionalGeneration(config), processor, folder)


def qwen3_vl(folder: Path) -> None:
    processor = _qwen_processor(tf.Qwen3VLProcessor, tf.Qwen3VLVideoProcessor)
    config = tf.Qwen3VLConfig(
        vision_config={
            "depth": 2, "hidden_size": WIDTH, "num_heads": 4, "patch_size": PATCH, "intermediate_size": 48,
            "out_hidden_size": WIDTH, "num_position_embeddings": 64, "deepstack_visual_indexes": [0],
        },
        text_config=text(tf.Qwen3VLTextConfig, processor.tokenizer, head_dim=8, rope_parameters=MROPE),
        **_qwen_ids(processor.tokenizer),
    )  # fmt: skip
    save(tf.Qwen3VLForConditionalGeneration(config), processor, folder)


def internvl(folder: Path) -> None:
    special = {
        "start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }  # fmt: skip
    tokenizer = byte_tokenizer(list(special.values()), extra_special_tokens=special)
    images = tf.GotOcr2ImageProcessor(size=SIZE, crop_to_patches=True, min_patches=1, max_patches=2)
    processor = tf.InternVLProcessor(
        images,
        tokenizer,
        tf.InternVLVideoProcessor(size=SIZE),
        image_seq_length=(IMAGE // PATCH) ** 2 // 4,
        chat_template=chatml("<IMG_CONTEXT>\n"),
    )
    config = tf.InternVLConfig(
        vision_config=vision(tf.InternVLVisionConfig, image_size=[IMAGE] * 2, patch_size=[PATCH] * 2),
        text_config=text(tf.Qwen2Config, tokenizer),
        image_token_id=tokenizer.context_image_token_id,
        image_seq_length=processor.image_seq_length,
        tie_word_embeddings=False,
    )
    save(tf.InternVLForConditionalGeneration(config), processor, folder)


def _idefics(tokenizer: Any) -> dict[str, Any]:
    return {
        "text_config": text(tf.LlamaConfig, tokenizer),
        "image_token_id": tokenizer.convert_tokens_to_ids("<image>"),
    }


def idefics2(folder: Path) -> None:
    tokenizer = metaspace_tokenizer(IDEFICS_SPECIAL[:3])
    images = tf.Idefics2ImageProcessor(
        size={"shortest_edge": IMAGE, "longest_edge": 2 * IMAGE}, do_image_splitting=False
    )
    processor = tf.Idefics2Processor(images, tokenizer, image_seq_len=4, chat_template=LLAVA_TEMPLATE)
    config = tf.Idefics2Config(
        vision_config=vision(tf.Idefics2VisionConfig, image_size=2 * IMAGE),
        perceiver_config={
            "hidden_size": WIDTH, "resampler_n_latents": 4, "resampler_depth": 1, "resampler_n_heads": 4,
            "resampler_head_dim": 8, "num_key_value_heads": 2,
        },
        **_idefics(tokenizer),
    )  # fmt: skip
    save(tf.Idefics2ForConditionalGeneration(config), processor, folder)


def idefics3(folder: Path) -> None:
    tokenizer = byte_tokenizer(IDEFICS_SPECIAL)
    images = tf.Idefics3ImageProcessor(size={"longest_edge": 2 * IMAGE}, max_image_size={"longest_edge": IMAGE})
    processor = tf.Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=chatml("<image>"))
    config = tf.Idefics3Config(vision_config=vision(tf.Idefics3VisionConfig), scale_factor=2, **_idefics(tokenizer))
    save(tf.Idefics3ForConditionalGeneration(config), processor, folder)


def smolvlm(folder: Path) -> None:
    tokenizer = byte_tokenizer(IDEFICS_SPECIAL)
    images = tf.SmolVLMImageProcessor(size={"longest_edge": 2 * IMAGE}, max_image_size={"longest_edge": IMAGE})
    videos = tf.SmolVLMVideoProcessor(size={"longest_edge": 2 * IMAGE}, max_image_size={"longest_edge": IMAGE})
    processor = tf.SmolVLMProcessor(images, tokenizer, videos, image_seq_len=4, chat_template=chatml("<image>"))
    config = tf.SmolVLMConfig(vision_config=vision(tf.SmolVLMVisionConfig), scale_factor=2, **_idefics(tokenizer))
    save(tf.SmolVLMForConditionalGeneration(config), processor, folder)


def gemma3(folder: Path) -> None:
    special = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    tokenizer = metaspace_tokenizer(list(special.values()), prepend="never", extra_special_tokens=special)
    template = LLAVA_TEMPLATE.replace("<image>", "<start_of_image>")
    images = tf.Gemma3ImageProcessor(size=SIZE)
    processor = tf.Gemma3Processor(images, tokenizer, chat_template=template, image_seq_length=4)
    config = tf.Gemma3Config(
        vision_config=vision(tf.SiglipVisionConfig, vision_use_head=False),
        text_config=text(tf.Gemma3TextConfig, tokenizer, head_dim=8, sliding_window=16, query_pre_attn_scalar=8,
                         layer_types=["sliding_attention", "full_attention"], tie_word_embeddings=False),
        mm_tokens_per_image=4,
        boi_token_index=tokenizer.convert_tokens_to_ids("<start_of_image>"),
        eoi_token_index=tokenizer.convert_tokens_to_ids("<end_of_image>"),
        image_token_index=tokenizer.convert_tokens_to_ids("<image_soft_token>"),
        tie_word_embeddings=False,
    )  # fmt: skip
    save(tf.Gemma3ForConditionalGeneration(config), processor, folder)


def paligemma(folder: Path) -> None:
    tokenizer = metaspace_tokenizer(
        ["<image>"], bos=None, prepend="never", extra_special_tokens={"image_token": "<image>"}
    )
    images = tf.SiglipImageProcessor(size=SIZE)
    images.image_seq_length = (IMAGE // PATCH) ** 2
    processor = tf.PaliGemmaProcessor(images, tokenizer)
    config = tf.PaliGemmaConfig(
        vision_config=vision(tf.SiglipVisionConfig, vision_use_head=False, projection_dim=WIDTH),
        text_config=text(tf.GemmaConfig, tokenizer, head_dim=8, tie_word_embeddings=False),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        projection_dim=WIDTH,
        hidden_size=WIDTH,
        tie_word_embeddings=False,
    )
    save(tf.PaliGemmaForConditionalGeneration(config), processor, folder)


def mistral3(folder: Path) -> None:
    tokenizer = metaspace_tokenizer(MISTRAL_SPECIAL)
    template = (
        "{% for m in messages %}{% if m['role'] == 'user' %}[INST]{% for c in m['content'] %}"
        "{% if c['type'] == 'image' %}[IMG]{% else %}{{ c['text'] }}{% endif %}{% endfor %}[/INST]"
        "{% else %}{{ m['content'][0]['text'] }}</s>{% endif %}{% endfor %}"
    )
    images = tf.PixtralImageProcessor(size={"longest_edge": 2 * IMAGE}, patch_size=2 * PATCH)
    processor = tf.PixtralProcessor(images, tokenizer, patch_size=PATCH, spatial_merge_size=2, chat_template=template)
    config = tf.Mistral3Config(
        vision_config=vision(tf.PixtralVisionConfig, image_size=2 * IMAGE, head_dim=8),
        text_config=text(tf.MistralConfig, tokenizer, head_dim=8, sliding_window=None),
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
        tie_word_embeddings=False,
    )
    save(tf.Mistral3ForConditionalGeneration(config), processor, folder)


def kosmos2(folder: Path) -> None:
    tokenizer = metaspace_tokenizer([], bos=None, first=("<s>", "<pad>", "</s>", "<unk>"))
    images = tf.CLIPImageProcessor(size={"shortest_edge": IMAGE}, crop_size=SIZE)
    processor = tf.Kosmos2Processor(images, tokenizer, num_patch_index_tokens=16)
    config = tf.Kosmos2Config(
        vision_config=vision(tf.models.kosmos2.configuration_kosmos2.Kosmos2VisionConfig),
        text_config={
            "vocab_size": len(tokenizer), "embed_dim": WIDTH, "layers": 2, "ffn_dim": 48, "attention_heads": 4,
            "max_position_embeddings": 512, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
            "tie_word_embeddings": False,
        },
        latent_query_num=64,
        tie_word_embeddings=False,
    )  # fmt: skip
    save(tf.Kosmos2ForConditionalGeneration(config), processor, folder)


def _blip(kind: str, folder: Path, language: dict[str, Any], tokenizer: Any) -> None:
    config, model = getattr(tf, f"{kind}Config"), getattr(tf, f"{kind}ForConditionalGeneration")
    images = tf.BlipImageProcessor(size=SIZE)
    sizes = {"num_query_tokens": 4, "image_token_index": tokenizer.convert_tokens_to_ids("<image>")}
    qformer = {"encoder_hidden_size": WIDTH, "vocab_size": 400, "pad_token_id": 3, **HEADS}
    if kind == "InstructBlip":
        own = metaspace_tokenizer([], end="</s>")
        processor = tf.InstructBlipProcessor(images, tokenizer, own, num_query_tokens=4)
    else:
        processor = tf.Blip2Processor(images, tokenizer, num_query_tokens=4)
    vision_config = vision(getattr(tf, f"{kind}VisionConfig"))
    made = config(
        vision_config=vision_config, qformer_config=qformer, text_config=language, tie_word_embeddings=False, **sizes
    )
    save(model(made), processor, folder)


def instructblip_t5(folder: Path) -> None:
    tokenizer = metaspace_tokenizer(["<image>"], bos=None, end="</s>")
    language = tf.T5Config(
        vocab_size=len(tokenizer), d_model=WIDTH, d_kv=8, d_ff=48, num_layers=2, num_heads=4,
        pad_token_id=3, eos_token_id=2, decoder_start_token_id=3, tie_word_embeddings=False,
    )  # fmt: skip
    _blip("InstructBlip", folder, language.to_dict(), tokenizer)


def instructblip_vicuna(folder: Path) -> None:
    tokenizer = metaspace_tokenizer(["<image>"])
    _blip("InstructBlip", folder, text(tf.LlamaConfig, tokenizer), tokenizer)


def blip2(folder: Path) -> None:
    tokenizer = byte_tokenizer(["<image>"])
    language = tf.OPTConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, word_embed_proj_dim=WIDTH, ffn_dim=48, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=512, pad_token_id=0, bos_token_id=2, eos_token_id=2,
        tie_word_embeddings=False,
    )  # fmt: skip
    _blip("Blip2", folder, language.to_dict(), tokenizer)


BUILDERS: dict[str, Callable[[Path], None]] = {
    build.__name__: build
    for build in (
        llava, llava_next, llava_onevision, qwen2_vl, qwen2_5_vl, qwen3_vl, internvl, idefics2, idefics3, smolvlm,
        gemma3, paligemma, mistral3, kosmos2, blip2, instructblip_t5, instructblip_vicuna,
    )
}  # fmt: skip
