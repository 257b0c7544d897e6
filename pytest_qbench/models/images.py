"""The images of a batch, decoded when a model asks for them."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from pytest_qbench.errors import ItemError

if TYPE_CHECKING:
    from PIL.Image import Image

    from pytest_qbench.items import ImageSource

GREY = (128, 128, 128)


class Picture:
    """One image to be shown to a model; grey of the same size where the run is blind.

    `shared` says that several prompts show it. `lock`, `made` and `features` belong to the model: what it made of the
    picture ahead of its forward pass, and what its vision tower saw. They live as long as prompts hold the picture.
    """

    __slots__ = ("_blind", "_source", "features", "lock", "made", "shared")

    def __init__(self, source: ImageSource, *, blind: bool = False, shared: bool = False) -> None:
        self._source, self._blind = source, blind
        self.shared = shared
        self.lock = threading.Lock()
        self.made: Any = None
        self.features: Any = None

    def decode(self) -> Image:
        """Return the pixels, RGB, decoded anew by each call; raises `ItemError` naming the file."""
        from PIL import Image, UnidentifiedImageError

        try:
            image: Image.Image = Image.open(io.BytesIO(self._source.read()))
            image.load()
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
            line = (str(e).splitlines() or [type(e).__name__])[0]
            raise ItemError(f"{self._source.name}: not a readable image: {line}") from e
        if self._blind:
            return Image.new("RGB", image.size, GREY)
        return image if image.mode == "RGB" else image.convert("RGB")


class Pictures(Sequence["Image"]):
    """The images of a prompt. Looking at one decodes it; `pictures` are what stands behind."""

    __slots__ = ("pictures",)

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self.pictures = tuple(pictures)

    def __len__(self) -> int:
        return len(self.pictures)

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Image]: ...
    def __getitem__(self, index: int | slice) -> Image | Sequence[Image]:
        if isinstance(index, slice):
            return Pictures(self.pictures[index])
        return self.pictures[index].decode()

    def __iter__(self) -> Iterator[Image]:
        return (picture.decode() for picture in self.pictures)
