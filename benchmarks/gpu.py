"""How fast the engine is on a GPU: ratios within one run.

``python benchmarks/gpu.py [SHAPE [PHOTOGRAPHS [ROUNDS [SIZE]]]]``

SHAPE is ``7b`` (LLaVA-1.5-7B: 336 pixels, 576 image tokens, 32 layers; bfloat16, 14 GB of random weights on disk) or
``small``, the form for a CPU (float32). The photographs are JPEG files of 12 megapixels (256 x 192 for ``small``), or
of SIZE, such as ``1024x768``.

- engine: `Engine.measure` over the items, with the largest batch that the device gets by default;
- loop: one item at a time as in the paper's example scripts: open, preprocess, full logits; a multiple choice takes
  one forward pass an option (`A1`), or five generated tokens (`A1 generated`);
- vLLM: the engine with the managed engine ``vllm:FOLDER``, where the package vllm is installed.

Loop and engine use the same loaded weights and take turns. *Busy* is the median share of the GPU's time in which a
kernel ran, as the driver states it. Random weights answer nonsense, but cost what trained ones cost.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
import transformers as tf
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.throughput import OPTIONS, items_of, photographs
from pytest_qbench.engine.engine import Engine
from pytest_qbench.judges.lexicon import LexiconJudge
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.models.errors import quiet
from pytest_qbench.prompt_sets.read import packaged_set
from pytest_qbench.prompts import QUALITY_WORDS, RATE, RATE_PREFIX
from pytest_qbench.records import Record
from tests.models.parts import LLAVA_TEMPLATE, metaspace_tokenizer

TASKS = ("A1", "A3", "A1+A3", "A1 generated")
SHAPES: dict[str, dict[str, Any]] = {
    "7b": {
        "side": 336, "photograph": (4000, 3000), "dtype": torch.bfloat16,
        "vision": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16},
        "text": {"vocab_size": 32064, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
                 "num_attention_heads": 32, "num_key_value_heads": 32},
    },
    "small": {
        "side": 56, "photograph": (256, 192), "dtype": torch.float32,
        "vision": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4},
        "text": {"vocab_size": 400, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
                 "num_attention_heads": 4, "num_key_value_heads": 4},
    },
}  # fmt: skip


def build(folder: Path, shape: dict[str, Any], device: str) -> int:
    """Write a checkpoint with random weights, made on the device, and return its number of parameters."""
    torch.manual_seed(0)
    side = shape["side"]
    tokenizer = metaspace_tokenizer(["<image>"])
    size = {"height": side, "width": side}
    images = tf.CLIPImageProcessor(size={"shortest_edge": side}, crop_size=size)
    tf.LlavaProcessor(
        images, tokenizer, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    ).save_pretrained(folder)  # fmt: skip
    vision = tf.CLIPVisionConfig(image_size=side, patch_size=14, projection_dim=64, **shape["vision"])
    text = tf.LlamaConfig(pad_token_id=3, bos_token_id=1, eos_token_id=2, **shape["text"])
    config = tf.LlavaConfig(
        vision_config=vision.to_dict(), text_config=text.to_dict(), vision_feature_layer=-2,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    before = torch.get_default_dtype()
    torch.set_default_dtype(shape["dtype"])
    try:
        with quiet(), torch.device(device):
            model = tf.LlavaForConditionalGeneration(config)
            model.save_pretrained(folder)
            return sum(weight.numel() for weight in model.parameters())
    finally:
        torch.set_default_dtype(before)


class Loop:
    """The loop of the example scripts over a loaded model: one item at a time."""

    def __init__(self, network: Any, folder: Path) -> None:
        self.network, self.processor = network, tf.AutoProcessor.from_pretrained(folder)
        question = packaged_set("default").likelihood.fill(items_of([Path("x")], "A1")[0])[0]
        self.texts = {
            "A1": f"USER: <image>\n{question} ASSISTANT:",
            "A3": f"USER: <image>\n{RATE} ASSISTANT: {RATE_PREFIX}",
        }
        tokenizer = self.processor.tokenizer
        start = len(tokenizer("ASSISTANT:", add_special_tokens=False).input_ids)
        self.options = [tokenizer(f"ASSISTANT: {o}", add_special_tokens=False).input_ids[start:] for o in OPTIONS]
        self.words = [tokenizer(f"is {word}", add_special_tokens=False).input_ids[-1] for word in QUALITY_WORDS]

    @torch.inference_mode()
    def measure(self, paths: Sequence[Path], task: str, generate: bool = False) -> list[list[float]]:
        """Return the log-probabilities of options or words, by photograph and task; of generated replies nothing."""
        rows = []
        for path in paths:
            for part in task.split("+"):
                image = Image.open(path).convert("RGB")
                asked = self.processor(images=image, text=self.texts[part], return_tensors="pt")
                asked = asked.to(self.network.device, self.network.dtype)
                if part == "A3":
                    logits = self.network(**asked).logits[0, -1].float()
                    rows.append(logits.log_softmax(-1)[self.words].tolist())
                elif generate:
                    self.network.generate(**asked, max_new_tokens=5, min_new_tokens=5, do_sample=False)
                else:
                    rows.append([self._option(asked, ids) for ids in self.options])
        return rows

    def _option(self, asked: Any, ids: list[int]) -> float:
        new = torch.tensor([ids], device=self.network.device)
        whole = {**asked, "input_ids": torch.cat([asked["input_ids"], new], 1)}
        whole["attention_mask"] = torch.ones_like(whole["input_ids"])
        logits = self.network(**whole).logits[0, -len(ids) - 1 : -1].float()
        return float(logits.log_softmax(-1).gather(-1, new[0][:, None]).sum())


@contextmanager
def utilization(device: str) -> Iterator[list[float]]:
    """Collect the driver's share of busy time of the GPU, in per cent, every 50 ms; nothing on a CPU."""
    found: list[float] = []
    end = threading.Event()

    def sample() -> None:
        while not end.wait(0.05):
            found.append(float(torch.cuda.utilization()))

    sampler = threading.Thread(target=sample)
    if device == "cuda":
        sampler.start()
    try:
        yield found
    finally:
        end.set()
        if device == "cuda":
            sampler.join()


def engine(model: Any, *, generates: bool) -> Engine:
    """Return an engine around a loaded model, with the largest batch that its device gets by default."""
    return Engine(
        model, answer="generate" if generates else "likelihood", batch_size=getattr(model, "largest_batch", 64),
        blind=False, judge_rounds=1, judge=LexiconJudge, max_new_tokens={"perception": 5},
    )  # fmt: skip


def largest_difference(records: Sequence[Record], rows: Sequence[Sequence[float]]) -> float:
    """Return the largest difference of a log-probability between the engine's records and the loop's rows."""
    mine = [
        [(r.logprobs or {})[word] for word in (QUALITY_WORDS if r.task == "assessment" else OPTIONS)] for r in records
    ]
    return max(abs(a - b) for own, other in zip(mine, rows, strict=True) for a, b in zip(own, other, strict=True))


def timed(run: Callable[[], object], device: str) -> tuple[float, list[float]]:
    """Return the seconds of a run, and the samples of the GPU's busy share in per cent."""
    with utilization(device) as busy:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start, busy


def compare(folder: Path, paths: list[Path], rounds: int, device: str) -> Iterator[str]:
    """Yield the rows of the table."""
    model: Any = load_model(parse_spec(str(folder)), {"device": device, "dtype": "auto"})
    loop = Loop(model.network, folder)
    for task in TASKS:
        plain, generates = task.removesuffix(" generated"), task.endswith("generated")
        ours = engine(model, generates=generates)
        items, few = items_of(paths, plain), paths[: max(2, len(paths) // 8)]
        records = ours.measure(items_of(few, plain))  # also warms up
        rows = loop.measure(few, plain, generates)
        differ = "-" if generates else f"{largest_difference(records, rows):.2g}"
        mine, theirs, busy, idle = [], [], [], []
        for _ in range(rounds):
            seconds, share = timed(partial(ours.measure, items), device)
            mine, busy = [*mine, seconds / len(items)], busy + share
            seconds, share = timed(partial(loop.measure, few, plain, generates), device)
            theirs, idle = [*theirs, seconds / (len(items) * len(few) / len(paths))], idle + share
        ours.close()
        shares = [f"{median(each):.0f} %" if each else "-" for each in (busy, idle)]
        yield (
            f"| {task} | {1 / median(mine):.1f} | {shares[0]} | {1 / median(theirs):.1f} | {shares[1]} | "
            f"{median(theirs) / median(mine):.1f} | {differ} |"
        )
    model.close()


def served(folder: Path, paths: list[Path], rounds: int) -> Iterator[str]:
    """Yield the rows of the same items behind vLLM."""
    model = load_model(parse_spec(f"vllm:{folder}"), {})
    for task in TASKS:
        plain, generates = task.removesuffix(" generated"), task.endswith("generated")
        ours, items = engine(model, generates=generates), items_of(paths, plain)
        ours.measure(items_of(paths[:2], plain))
        took = [timed(partial(ours.measure, items), "")[0] for _ in range(rounds)]
        ours.close()
        yield f"| {task}, vLLM | {len(items) / median(took):.1f} | | | | | |"
    model.close()


def main(shape: str = "7b", count: int = 256, rounds: int = 2, pixels: str = "") -> None:
    """Print the device, versions and the table. `pixels` is the size of the photographs, such as 1024x768."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if shape == "7b" and device == "cpu":
        raise SystemExit("benchmarks/gpu.py: the shape 7b needs a GPU; use: python benchmarks/gpu.py small 16")
    with tempfile.TemporaryDirectory() as place:
        folder, photos = Path(place, "llava"), Path(place, "photographs")
        photos.mkdir()
        size = build(folder, SHAPES[shape], device)
        name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
        print(f"{name}, torch {torch.__version__}, transformers {tf.__version__}, {size / 1e9:.2f}e9 parameters,")
        width, height = map(int, pixels.split("x")) if pixels else SHAPES[shape]["photograph"]
        print(f"{count} photographs of {width} x {height}, median of {rounds} rounds\n")
        paths = photographs(photos, (width, height), count)
        print("| task | engine, items/s | busy | loop, items/s | busy | engine / loop | largest difference |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for row in compare(folder, paths, rounds, device):
            print(row, flush=True)
        if importlib.util.find_spec("vllm") and device == "cuda":
            for row in served(folder, paths, rounds):
                print(row, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:4]), *sys.argv[4:])
