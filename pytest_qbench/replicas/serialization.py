"""Items as they travel to a replica: paths for image files, bytes for images inside tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pytest_qbench.errors import ItemError
from pytest_qbench.items import FileImage, ImageSource, Item


@dataclass(frozen=True, slots=True)
class CarriedImage:
    """An encoded image, or why it cannot be read."""

    name: str
    content: bytes = field(repr=False)
    problem: str | None = None

    def read(self) -> bytes:
        """Return the encoded image; raises `ItemError` as where it came from."""
        if self.problem is not None:
            raise ItemError(self.problem)
        return self.content

    def missing(self) -> bool:
        """Tell whether there is nothing to read."""
        return self.problem is not None


def carried(items: Sequence[Item], *, sees: bool) -> tuple[Item, ...]:
    """Return the same items, fit to be sent; `sees` tells whether their images are needed."""
    return tuple(replace(item, images=tuple(map(_carried, item.images)) if sees else ()) for item in items)


def _carried(image: ImageSource) -> ImageSource:
    if isinstance(image, FileImage):
        return replace(image, folder=image.folder.absolute())  # a node's own working directory is another
    try:
        return CarriedImage(image.name, image.read())
    except ItemError as e:
        return CarriedImage(image.name, b"", str(e))
