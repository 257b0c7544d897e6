"""`Explanation`, why two runs or models differ, as a value: the content of `why.json` in a run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_qbench.errors import UsageError
from pytest_qbench.records import SCHEMA
from pytest_qbench.untrusted.files import write_text
from pytest_qbench.untrusted.parsing import read_json
from pytest_qbench.untrusted.shape import Maybe, Shape, check_shape

WHY = "why.json"
BYTES, PIXELS, TENSOR = "file bytes", "decoded pixels", "preprocessed tensor"
IMAGE_TOKENS, PROMPT = "image tokens", "prompt tokens"
VISION, PROJECTOR, LANGUAGE, HEAD = "vision tower", "projector", "language model", "head"
DECODING, EXTRACTION, JUDGE = "decoding", "extraction", "judge"
STAGES = (
    BYTES, PIXELS, TENSOR, IMAGE_TOKENS, PROMPT, VISION, PROJECTOR, LANGUAGE, HEAD, DECODING, EXTRACTION, JUDGE,
)  # fmt: skip
"""The stages of an item, in order."""

SAME, NOISE, DIFFERS, HARMLESS, FOLLOWS, UNSEEN = (
    "same", "within noise", "differs", "differs without effect", "differs after an earlier stage", "not seen",
)  # fmt: skip
STATES = (SAME, NOISE, DIFFERS, HARMLESS, FOLLOWS, UNSEEN)
_IMAGES = "data:image/png;base64,"


@dataclass(frozen=True, slots=True)
class Stage:
    """The comparison of one stage.

    `difference` and `noise` are relative (see `why.compare`), None where they have no meaning. `differing` of
    `compared` items differ beyond noise. `where` names the first part that departs; `detail` says more, and for a stage
    that was not seen the reason.
    """

    name: str
    state: str
    compared: int = 0
    differing: int = 0
    difference: float | None = None
    noise: float | None = None
    where: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Layer:
    """The comparison of one part of the models, in the order of the forward pass."""

    name: str
    stage: str
    difference: float
    noise: float
    departs: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a difference as a data URL of a PNG file."""

    caption: str
    url: str


@dataclass(frozen=True, slots=True)
class Example:
    """The replies of both sides to one item, as text."""

    item: str
    asked: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class SliceLoss:
    """The change of a slice of one task's items against the other items of the task.

    `inside` and `outside` are mean changes: of right answers, of judged sums, or of the agreement of ranks with the
    MOS. `rate` is the adjusted p-value for the false discovery rate. `found`: whether the slice carries a drop.
    `aliases` are further names of nearly the same items; `score` orders slices.
    """

    task: str
    name: str
    aliases: tuple[str, ...]
    n: int
    inside: float
    outside: float
    lost: int
    gained: int
    p_value: float
    rate: float
    score: float
    found: bool = False


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why B differs from A.

    `first` is the first stage that departs beyond noise, None if none does. `also` are stages that depart on their own.
    `causes` are sentences about what usually causes it, `conditions` the settings that differ, `unseen` what could not
    be compared. `slices` are the tested slices of all items, the most certain first; `images_measured` says whether
    those by measured properties of the images are among them.
    """

    a: str
    b: str
    verdict: str
    first: str | None = None
    also: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    layers: tuple[Layer, ...] = ()
    causes: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    examples: tuple[Example, ...] = ()
    items: tuple[str, ...] = ()
    slices: tuple[SliceLoss, ...] = ()
    images_measured: bool = False

    def stage(self, name: str) -> Stage:
        """Return the comparison of one stage. Raises `KeyError`."""
        return {stage.name: stage for stage in self.stages}[name]

    def to_json(self) -> dict[str, Any]:
        """Return the content of `why.json`."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Explanation:
        """Return the explanation of a file's content. Raises `ValueError` for a wrong shape."""
        check_shape(data, _SHAPE)
        stages = tuple(Stage(**entry) for entry in data["stages"])
        pictures = tuple(Picture(**entry) for entry in data["pictures"])
        if wrong := next((s for s in stages if s.name not in STAGES or s.state not in STATES), None):
            raise ValueError(f"stage {wrong.name!r} {wrong.state!r} is unknown")
        if any(not picture.url.startswith(_IMAGES) for picture in pictures):
            raise ValueError("a picture is no PNG file")
        slices = tuple(SliceLoss(**{**entry, "aliases": tuple(entry["aliases"])}) for entry in data["slices"])
        also, causes, conditions, unseen, items = (
            tuple(data[name]) for name in ("also", "causes", "conditions", "unseen", "items")
        )
        return cls(
            data["a"], data["b"], data["verdict"], data["first"], also, stages,
            tuple(Layer(**entry) for entry in data["layers"]), causes, conditions, unseen, pictures,
            tuple(Example(**entry) for entry in data["examples"]), items, slices, data["images_measured"],
        )  # fmt: skip


_NUMBER = Maybe(float)
_SHAPE: Shape = {
    "a": str, "b": str, "verdict": str, "first": (str, None), "also": [str], "causes": [str], "conditions": [str],
    "unseen": [str], "items": [str], "pictures": [{"caption": str, "url": str}],
    "examples": [{"item": str, "asked": str, "a": str, "b": str}],
    "layers": [{"name": str, "stage": str, "difference": float, "noise": float, "departs": bool}],
    "images_measured": bool,
    "slices": [{
        "task": str, "name": str, "aliases": [str], "n": int, "inside": float, "outside": float, "lost": int,
        "gained": int, "p_value": float, "rate": float, "score": float, "found": bool,
    }],
    "stages": [{
        "name": str, "state": str, "compared": int, "differing": int, "difference": _NUMBER, "noise": _NUMBER,
        "where": str, "detail": str,
    }],
}  # fmt: skip


def write_explanation(folder: Path, found: Explanation) -> None:
    """Write `why.json` in a run folder. Raises `OSError`."""
    write_text(folder / WHY, json.dumps(found.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read_explanation(folder: Path) -> Explanation | None:
    """Return the explanation in a run folder, None if it has none. Raises `UsageError` for a damaged file."""
    path = folder / WHY
    if not path.exists():
        return None
    found: Any = read_json(path, remedy="run again with --qbench-why")
    try:
        return Explanation.from_json(found)
    except (ValueError, TypeError) as e:
        raise UsageError(f"{path}: no explanation of this version: {e}; run again with --qbench-why") from e
