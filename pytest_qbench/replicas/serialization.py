"""Prepare items for transfer to a replica: paths for image files, bytes for images inside tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pytest_qbench.errors import ItemError
from pytest_qbench.items import FileImage, ImageSource, Item


@dataclass(frozen=True, slots=True)
class EmbeddedImage:
    """An encoded image, or the error of reading it."""

    name: str
    content: bytes = field(repr=False)
    error: str | None = None

    def read(self) -> bytes:
        """Return the encoded image. Raises `ItemError` with the error of the original source."""
        if self.error is not None:
            raise ItemError(self.error)
        return self.content

    def missing(self) -> bool:
        """Whether the image could not be read."""
        return self.error is not None


def portable_items(items: Sequence[Item], *, vision: bool) -> tuple[Item, ...]:
    """Return the items in a form that Ray can send to a replica. `vision`: whether to include the images."""
    return tuple(replace(item, images=tuple(map(_portable, item.images)) if vision else ()) for item in items)


def _portable(image: ImageSource) -> ImageSource:
    if isinstance(image, FileImage):
        return replace(image, folder=image.folder.absolute())  # a node has another working directory
    try:
        return EmbeddedImage(image.name, image.read())
    except ItemError as e:
        return EmbeddedImage(image.name, b"", str(e))
