"""Single faults and harmless changes of the embedded model, and the sides that carry them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from shutil import copytree

import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from pytest_qbench import PACKAGE
from pytest_qbench.data.load import MINI, open_datasets
from pytest_qbench.doctor.faults import FaultyModel, drop_normalization, remove_assistant_turn, swap_channels
from pytest_qbench.engine.dispatch import PromptSettings
from pytest_qbench.items import FileImage, Item
from pytest_qbench.models.base import Model
from pytest_qbench.models.load import load_model, parse_spec
from pytest_qbench.why.choose import pool
from pytest_qbench.why.sides import LiveSide

TINY = PACKAGE / "tiny"
SETTINGS = PromptSettings("likelihood", False, ("good", "poor"), {"perception": 32, "description": 24})


def side(spec: str | Path, wrap: Callable[[Model], Model] | None = None, **args: str) -> LiveSide:
    """Return a side that loads a model and wraps it."""

    def load() -> Model:
        model = load_model(parse_spec(str(spec)), args)
        return wrap(model) if wrap else model

    return LiveSide(str(spec), load, SETTINGS)


@cache
def sources(count: int) -> tuple[Item, ...]:
    """Return items of the embedded data."""
    return tuple(pool(open_datasets(MINI, rootdir=Path(), names=None, split="dev"), count, 0))


def items(folder: Path, count: int = 10, suffix: str = "png", **how: object) -> list[Item]:
    """Return embedded items whose images are larger and wider than the model's input, saved in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for item in sources(count):
        source = item.images[0]
        assert isinstance(source, FileImage)
        name = f"{source.path.stem}.{suffix}"
        image = Image.open(source.path).convert("RGB")
        wide = image.resize((320, 256), Image.Resampling.BICUBIC)
        wide.save(folder / name, **how)
        found.append(replace(item, images=(FileImage(folder, "images", name),)))
    return found


# edits of a folder


def edit_processor(change: Callable[[dict[str, object]], None], folder: Path) -> None:
    path = folder / "processor_config.json"
    config = json.loads(path.read_text("utf-8"))
    change(config["image_processor"])
    path.write_text(json.dumps(config), "utf-8")


def set_filter(number: int, folder: Path) -> None:
    edit_processor(lambda config: config.update(resample=number), folder)


def add_system_text(folder: Path) -> None:
    path = folder / "chat_template.jinja"
    path.write_text(
        path.read_text("utf-8").replace("{{ bos_token }}", "{{ bos_token }}You are a helpful assistant. "), "utf-8"
    )


def change_weights(chosen: str, change: Callable[[torch.Tensor], torch.Tensor], folder: Path) -> None:
    """Change the weight matrices whose names contain `chosen`."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    names = [name for name in weights if chosen in name]
    assert names, chosen
    for name in names:
        if weights[name].ndim >= 2:
            weights[name] = change(weights[name]).contiguous()
    save_file(weights, path, metadata={"format": "pt"})


def rounded(levels: int, weight: torch.Tensor) -> torch.Tensor:
    """Return a matrix rounded to `levels` values on each side of 0, with one scale a row."""
    scale = weight.abs().flatten(1).amax(1).clamp(min=1e-12).view(-1, *[1] * (weight.ndim - 1)) / levels
    return (weight / scale).round() * scale


def shard(folder: Path) -> None:
    """Save the same weights in two files with an index."""
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    index = {}
    for number, own in enumerate((names[::2], names[1::2]), 1):
        file = f"model-{number:05}-of-00002.safetensors"
        save_file({name: weights[name] for name in own}, folder / file, metadata={"format": "pt"})
        index |= dict.fromkeys(own, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}), "utf-8")
    (folder / "model.safetensors").unlink()


@dataclass(frozen=True)
class Case:
    """A change of B: the stage that it must be named, what the cause must say, and how it is made."""

    stage: str | None
    says: str = ""
    edit: Callable[[Path], None] | None = None
    wrap: Callable[[Model], Model] | None = None
    args: tuple[tuple[str, str], ...] = ()
    images: tuple[tuple[str, object], ...] = ()

    def side(self, folder: Path) -> LiveSide:
        if self.edit is None:
            return side("tiny", self.wrap, **dict(self.args))
        copytree(TINY, folder / "copy")
        self.edit(folder / "copy")
        return side(folder / "copy", self.wrap, **dict(self.args))

    def items(self, folder: Path, count: int) -> list[Item]:
        return items(folder / "images", count, **dict(self.images))  # type: ignore[arg-type]


def _turned(model: Model) -> Model:
    return FaultyModel(model, image=lambda image: image.transpose(Image.Transpose.ROTATE_90))


CASES = {
    "resize filter": Case("preprocessed tensor", "resample: 3 -> 2", partial(set_filter, 2)),
    "slow processor": Case("preprocessed tensor", "torchvision -> pil", args=(("image_backend", "pil"),)),
    "orientation": Case("decoded pixels", "EXIF orientation is applied on one side", wrap=_turned),
    "JPEG": Case("file bytes", "JPEG", images=(("suffix", "jpg"), ("quality", 60))),
    "channels swapped": Case(
        "decoded pixels", "red and blue", wrap=lambda model: FaultyModel(model, image=swap_channels)
    ),
    "normalisation": Case("preprocessed tensor", "by channel", drop_normalization),
    "chat template": Case("prompt tokens", "chat_template", remove_assistant_turn),
    "system prompt": Case("prompt tokens", "chat_template", add_system_text),
    "dtype": Case("vision tower", "float32 -> bfloat16", args=(("dtype", "bfloat16"),)),
    "vision weights": Case(
        "vision tower",
        "layers.2 differ",
        partial(change_weights, "vision_tower.vision_model.encoder.layers.2.", partial(rounded, 7)),
    ),
    "language weights": Case(
        "language model",
        "layers.1 differ",
        partial(change_weights, "language_model.model.layers.1.", partial(rounded, 7)),
    ),
}
HARMLESS = {
    "weights in two files": Case(None, edit=shard),
    "images saved anew without loss": Case(None, images=(("compress_level", 1),)),
    "another attention kernel": Case(None, args=(("attn_implementation", "eager"),)),
}
