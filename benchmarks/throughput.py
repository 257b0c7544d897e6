"""How fast the engine is: ``python benchmarks/throughput.py [ROUNDS [SIDE]]``, ratios within one run.

A LLaVA of 6 million parameters with random weights (SIDE pixels: 224 with 256 image tokens, or 336 with 576; 32,000
words), on photographs of 12 megapixels and on small ones, all as JPEG files. Three ways to the same numbers. Two are
timed one right after the other, by the clock and in CPU time of the process, and the median of such ratios is told: a
shared machine drifts by a fifth within minutes, which the least times of each way do not see.

- engine: `Engine.measure` over the items, with images from files or, like `hand, tensors`, decoded and preprocessed
  before the clock starts (`engine, tensors`);
- loop: one item at a time as in the paper's example scripts: open, preprocess, full logits; a multiple choice takes
  one forward pass an option (`A1`), or five generated tokens (`A1 generated`);
- hand: batches written by hand for this one model, prompts tokenized before the clock starts, images decoded and
  preprocessed one by one in a pool of threads (`hand`), or before the clock starts (`hand, tensors`).

Then the ways on tensors again, in a process where the C library keeps the memory that is given back to it (`KEEPS`):
else either way loses up to a sixth of its time to new pages, as the state of the heap has it. At last the peak of
memory, each in a process of its own: hand, engine, and engine with twice the items.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import transformers as tf
from PIL import Image

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from pytest_qbench.engine.engine import Engine
from pytest_qbench.items import FileImage, ImageSource, Item
from pytest_qbench.judges.lexicon import LexiconJudge
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.models.errors import quiet
from pytest_qbench.models.images import LazyImage
from pytest_qbench.prompt_sets.read import packaged_set
from pytest_qbench.prompts import QUALITY_WORDS, RATE, RATE_PREFIX
from tests.models.parts import LLAVA_TEMPLATE, metaspace_tokenizer, randomize

BATCH = 16
OPTIONS = ("motion blur", "noise", "overexposure", "low light")
SIZES = {"12 MP": ((4000, 3000), 32), "small": ((512, 384), 64)}
TASKS = ("A1", "A3", "A1+A3")
PAIRS = [
    ("loop", "engine", 1),
    ("hand", "engine", 1),
    ("hand, tensors", "engine, tensors", 5),
    ("hand, tensors", "engine", 1),
]
KEEPS = {"MALLOC_TRIM_THRESHOLD_": "2000000000", "MALLOC_MMAP_THRESHOLD_": "1000000000"}


def build(folder: Path, side: int) -> None:
    torch.manual_seed(0)
    tokenizer = metaspace_tokenizer(["<image>"])
    size = {"height": side, "width": side}
    images = tf.CLIPImageProcessor(size={"shortest_edge": side}, crop_size=size)
    processor = tf.LlavaProcessor(
        images, tokenizer, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=LLAVA_TEMPLATE,
    )  # fmt: skip
    vision = tf.CLIPVisionConfig(
        image_size=side, patch_size=14, hidden_size=128, intermediate_size=512, num_hidden_layers=4,
        num_attention_heads=4, projection_dim=64,
    )  # fmt: skip
    text = tf.LlamaConfig(
        vocab_size=32000, hidden_size=80, intermediate_size=216, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=4, pad_token_id=3, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    config = tf.LlavaConfig(
        vision_config=vision.to_dict(), text_config=text.to_dict(), vision_feature_layer=-1,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )  # fmt: skip
    with quiet():
        model = randomize(tf.LlavaForConditionalGeneration(config))
        print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} million parameters")
        model.save_pretrained(folder)
        processor.save_pretrained(folder)


def photographs(folder: Path, size: tuple[int, int], n: int) -> list[Path]:
    """Write `n` JPEG files with the detail of photographs, of eight contents."""
    rng, paths = np.random.default_rng(0), []
    for i in range(n):
        path = folder / f"{i}.jpg"
        if i < 8:
            coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).resize(size, 3)
            grain = rng.normal(0, 6, (size[1], size[0], 1))
            pixels = np.clip(np.asarray(coarse, np.float32) + grain, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path, quality=92)
        else:
            shutil.copy(folder / f"{i % 8}.jpg", path)
        paths.append(path)
    return paths


def items_of(paths: Sequence[Path], task: str) -> list[Item]:
    items = []
    for path in paths:
        source = (FileImage(path.parent, path.parent.name, path.name),)
        if "A1" in task:
            question = "What distortion is most severe in this picture?"
            asked = {"question": question, "options": OPTIONS, "answer": OPTIONS[0]}
            items.append(Item(f"a1/{path.name}", "perception", "d", None, path.name, source, **asked))
        if "A3" in task:
            items.append(Item(f"a3/{path.name}", "assessment", "d", None, path.name, source, target=0.0))
    return items


class ByHand:
    """The loops to compare with, from transformers alone."""

    def __init__(self, folder: Path) -> None:
        with quiet():
            self.model = tf.LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
            self.processor = tf.AutoProcessor.from_pretrained(folder)
        question = packaged_set("default").likelihood.fill(items_of([Path("x")], "A1")[0])[0]
        self.texts = {
            "A1": f"USER: <image>\n{question} ASSISTANT:",
            "A3": f"USER: <image>\n{RATE} ASSISTANT: {RATE_PREFIX}",
        }
        tokenizer = self.processor.tokenizer
        self.options = [tokenizer(f"ASSISTANT: {o}", add_special_tokens=False).input_ids for o in OPTIONS]
        start = len(tokenizer("ASSISTANT:", add_special_tokens=False).input_ids)
        self.options = [ids[start:] for ids in self.options]
        self.words = [tokenizer(f"is {w}", add_special_tokens=False).input_ids[-1] for w in QUALITY_WORDS]

    # (a) the loop of the example scripts

    @torch.inference_mode()
    def loop(self, paths: Sequence[Path], task: str, generate: bool = False) -> list[list[float]]:
        rows = []
        for path in paths:
            for part in task.split("+"):
                image = Image.open(path).convert("RGB")
                asked = self.processor(images=image, text=self.texts[part], return_tensors="pt")
                if part == "A3":
                    logits = self.model(**asked).logits[0, -1]
                    rows.append(logits.log_softmax(-1)[self.words].tolist())
                elif generate:
                    self.model.generate(**asked, max_new_tokens=5, do_sample=False)
                else:
                    rows.append([self.one_option(asked, ids) for ids in self.options])
        return rows

    def one_option(self, asked: dict[str, torch.Tensor], ids: list[int]) -> float:
        new = torch.tensor([ids])
        whole = {**asked, "input_ids": torch.cat([asked["input_ids"], new], 1)}
        whole["attention_mask"] = torch.ones_like(whole["input_ids"])
        logits = self.model(**whole).logits[0, -len(ids) - 1 : -1]
        return float(logits.log_softmax(-1).gather(-1, new[0][:, None]).sum())

    # (b) by hand, in batches

    def pixels(self, path: Path) -> torch.Tensor:
        image = Image.open(path)
        image.load()
        return self.processor.image_processor(image, return_tensors="pt").pixel_values

    @torch.inference_mode()
    def batches(self, paths: Sequence[Path], task: str, tensors: list[torch.Tensor] | None = None) -> list[list[float]]:
        rows: list[list[float]] = []
        ids = {}
        blank = Image.new("RGB", (224, 224))
        for part in task.split("+"):
            ids[part] = self.processor(images=blank, text=self.texts[part], return_tensors="pt").input_ids
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            starts = range(0, len(paths), BATCH)
            ahead = (
                [[pool.submit(self.pixels, p) for p in paths[s : s + BATCH]] for s in starts] if tensors is None else []
            )
            for number, start in enumerate(starts):
                if tensors is None:
                    batch = torch.cat([future.result() for future in ahead[number]])
                    ahead[number].clear()
                else:
                    batch = torch.cat(tensors[start : start + BATCH])
                seen = self.model.model.get_image_features(batch, return_dict=True)
                found = [self.one_batch(part, ids[part], seen, len(batch)) for part in task.split("+")]
                rows += [row for rows_of_item in zip(*found, strict=True) for row in rows_of_item]
        return rows

    def one_batch(self, part: str, ids: torch.Tensor, seen: object, n: int) -> list[list[float]]:
        ids = ids.expand(n, -1)
        output = self.model(input_ids=ids, mm_encoder_outputs={"image": seen}, logits_to_keep=1, use_cache=part == "A1")
        first = output.logits[:, -1].log_softmax(-1)
        if part == "A3":
            return first[:, self.words].tolist()
        columns, name = [], "cache" if "cache" in output else "past_key_values"  # since transformers 5.24, and before
        cache = output[name]
        for option in self.options:
            score = first[:, option[0]]
            if len(option) > 1:
                new = torch.tensor([option[:-1]]).expand(n, -1)
                logits = self.model(input_ids=new, **{name: cache}).logits.log_softmax(-1)
                score = score + logits.gather(-1, torch.tensor(option[1:]).expand(n, -1)[..., None])[..., 0].sum(-1)
                cache.crop(-new.shape[1])
            columns.append(score)
        return torch.stack(columns, 1).tolist()


def engine(folder: Path) -> Engine:
    return Engine(
        load_model(parse_spec(str(folder)), {"device": "cpu"}), answer="likelihood", batch_size=BATCH, blind=False,
        judge_rounds=1, judge=LexiconJudge,
    )  # fmt: skip


@contextmanager
def looked_at(ours: Engine, made: Mapping[ImageSource, Any]) -> Iterator[None]:
    """Let the engine find its images decoded and preprocessed."""

    def preprocess(picture: LazyImage) -> None:
        picture.preprocessed = made[picture._source]

    encoder = ours.model.encoder
    encoder.preprocess = preprocess
    try:
        yield
    finally:
        del encoder.preprocess


def look_at(ours: Engine, items: Sequence[Item]) -> dict[ImageSource, Any]:
    """Return what the engine's model makes of each image."""
    made = {}
    for item in items:
        (source,) = item.images
        picture = LazyImage(source)
        ours.model.preprocess(picture)
        made[source] = picture.preprocessed
    return made


def clock(run: Callable[[], object]) -> tuple[float, float]:
    """Return seconds by the clock and of CPU."""
    start, cpu = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - start, time.process_time() - cpu


def agree(ours: Engine, hand: ByHand, paths: list[Path]) -> None:
    records = ours.measure(items_of(paths, "A1+A3"))
    ours.close()
    words = {"assessment": QUALITY_WORDS}
    found = [(r.logprobs or {}, words.get(r.task)) for r in records]
    mine = torch.tensor([row[word] for row, chosen in found for word in chosen or row])
    for rows in (hand.loop(paths, "A1+A3"), hand.batches(paths, "A1+A3")):
        torch.testing.assert_close(mine, torch.tensor([v for row in rows for v in row]), atol=1e-3, rtol=0)


def compare(folder: Path, photos: dict[str, list[Path]], rounds: int, pairs: Sequence[tuple[str, str, int]]) -> None:
    """Print a table of the ratios of `pairs`: a way, what it is compared with, and how often in a round."""
    ours, hand = engine(folder), ByHand(folder)
    agree(ours, hand, photos["small"][:20])
    print("time of each, in times of the engine; by the clock (by CPU time)")
    columns = [f"{way} / {other}" for way, other, _ in pairs]
    print("| images | task | items/s engine |", " | ".join(columns), "|\n|", "--- | " * (3 + len(pairs)))
    for size, paths in photos.items():
        tensors = [hand.pixels(path) for path in paths]
        made = look_at(ours, items_of(paths, "A3"))
        few = paths[: len(paths) // 4]
        for task in (*TASKS, "A1 generated"):
            plain, scale = task.removesuffix(" generated"), len(paths) / len(few)
            items = items_of(paths, plain)
            ways: dict[str, Callable[[], object]] = {
                "engine": partial(ours.measure, items),
                "engine, tensors": partial(ours.measure, items),
                "loop": partial(hand.loop, few, plain, generate=task != plain),
                "hand": partial(hand.batches, paths, plain),
                "hand, tensors": partial(hand.batches, paths, plain, tensors),
            }
            ratios, seconds = [], []
            for way, other, times in pairs:
                found = []
                for turn in range(rounds * times):
                    pair = (way, other) if turn % 2 else (other, way)  # who comes first takes turns too
                    took = {}
                    for name in pair:
                        with looked_at(ours, made) if name == "engine, tensors" else nullcontext():
                            took[name] = clock(ways[name])
                        if name == pairs[0][1]:
                            seconds.append(took[name][0])
                        if name == "engine":  # its threads live on as in a run, but Pillow keeps memory for them
                            ours.close()
                    found.append(
                        [s / o * (scale if way == "loop" else 1) for s, o in zip(took[way], took[other], strict=True)]
                    )
                ratios.append([median(each) for each in zip(*found, strict=True)])
            ours.close()
            told = " | ".join(f"{wall:.2f} ({cpu:.2f})" for wall, cpu in ratios)
            print(f"| {size} | {task} | {len(items) / median(seconds):.1f} | {told} |", flush=True)


def peak(folder: Path, which: str, paths: list[Path]) -> None:
    if which == "hand":
        ByHand(folder).batches(paths, "A1+A3")
    else:
        ours = engine(folder)
        ours.measure(items_of(paths, "A1+A3"))
        ours.close()
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps(int(line.split()[1]) / 1024))


def main(rounds: int = 3, side: int = 224) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "llava")
        build(folder, side)
        photos = {}
        for size, (pixels, n) in SIZES.items():
            there = Path(place, size)
            there.mkdir()
            photos[size] = photographs(there, pixels, n)
        compare(folder, photos, rounds, PAIRS)
        print("memory kept:", flush=True)
        command = [sys.executable, __file__, "kept", str(folder), str(rounds), *map(str, photos["small"])]
        subprocess.run(command, check=True, env={**os.environ, **KEEPS})
        for size, paths in photos.items():
            found = {}
            for name, which, chosen in (
                ("hand", "hand", paths), ("engine", "engine", paths), ("engine, twice the items", "engine", paths * 2),
            ):  # fmt: skip
                command = [sys.executable, __file__, "peak", str(folder), which, *map(str, chosen)]
                found[name] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            told = ", ".join(f"{name} {mib:.0f} MiB ({mib / found['hand']:.2f})" for name, mib in found.items())
            print(f"peak memory, {size}: {told}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["peak"]:
        peak(Path(sys.argv[2]), sys.argv[3], list(map(Path, sys.argv[4:])))
    elif sys.argv[1:2] == ["kept"]:
        compare(Path(sys.argv[2]), {"small": list(map(Path, sys.argv[4:]))}, int(sys.argv[3]), PAIRS[2:3])
    else:
        main(*map(int, sys.argv[1:]))
