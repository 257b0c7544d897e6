"""What one side shows of one item, stage by stage, as plain arrays; and how much of it is numerical noise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pytest_qbench.items import Item
from pytest_qbench.records import Record

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Tokens:
    """The tokens of a prompt, images included. `image` are the ids that stand for parts of an image.

    `texts` are the tokens as texts, empty where the side does not tell them. An endpoint may tell `count` and
    `image_count` alone.
    """

    ids: tuple[int, ...] | None
    image: frozenset[int] = frozenset()
    texts: tuple[str, ...] = ()
    count: int | None = None
    image_count: int | None = None

    @property
    def words(self) -> tuple[int, ...]:
        """The ids of the tokens that are no parts of an image."""
        return tuple(i for i in self.ids or () if i not in self.image)

    @property
    def runs(self) -> tuple[tuple[int, int], ...]:
        """The position and length of each run of image tokens."""
        found: list[tuple[int, int]] = []
        for position, token in enumerate(self.ids or ()):
            if token in self.image:
                start, length = found[-1] if found else (position, 0)
                if start + length == position:
                    found[-1:] = [(start, length + 1)]
                else:
                    found.append((position, 1))
        return tuple(found)


@dataclass(frozen=True)
class Trace:
    """One item on one side. None and empty mappings stand for stages that the side does not show.

    - `content` is the hash of the bytes of the item's images.
    - `pixels` are the images as the model gets them, (height, width, 3); large ones are thinned to a regular grid.
      `sizes` are their whole sizes, (width, height).
    - `tensors` are the outputs of the image processor by name, large ones thinned.
    - `parts` are the outputs of the model's parts by name, (tokens, values) in the order of the first forward pass.
      Each token's values are projected on a few random directions, which keeps distances.
    - `record` is the record of the reply.
    """

    item: Item
    record: Record
    content: str | None = None
    pixels: tuple[NDArray[np.uint8], ...] | None = None
    sizes: tuple[tuple[int, int], ...] = ()
    tensors: Mapping[str, Floats] | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    tokens: Tokens | None = None
    parts: Mapping[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True)
class Noise:
    """Differences of one side from itself: asked twice, and at another batch size.

    `parts` are relative differences by part, `logprobs` the largest difference of a log-probability, `texts` the number
    of items whose text changed. `measured` counts the items, 0 where no noise could be measured.
    """

    parts: Mapping[str, float] = field(default_factory=dict)
    logprobs: float = 0.0
    scores: float = 0.0
    texts: int = 0
    measured: int = 0


@dataclass(frozen=True)
class Traces:
    """What one side shows of all items. `by_item` has the traces by task and item id.

    `stages` maps each part to its stage, in the order of the forward pass; `weights` has a digest and the dtype of the
    weights of each part. `conditions` are the side's settings as flat texts. `unseen` says what the side does not show.
    """

    name: str
    by_item: Mapping[tuple[str, str], Trace]
    stages: Mapping[str, str] = field(default_factory=dict)
    weights: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    conditions: Mapping[str, str] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)
    noise: Noise = field(default_factory=Noise)
    is_live: bool = True
