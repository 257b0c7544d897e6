"""Lazy images of a batch, which are decoded when a model reads them."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, overload

from pytest_qbench.endpoints.messages import data_url, file_url
from pytest_qbench.errors import ItemError
from pytest_qbench.models.image_files import media_type, with_model_pixels
from pytest_qbench.models.pixels import to_rgb
from pytest_qbench.untrusted.images import decoding_errors, open_image

if TYPE_CHECKING:
    from PIL.Image import Image

    from pytest_qbench.items import ImageSource

# Imports in functions: Pillow loads with the first image; recorded outputs need none.

GREY = (128, 128, 128)


class LazyImage:
    """An image that a model will see. In a blind run it decodes to grey of the same size.

    `shared`: whether several prompts show it. The model owns `lock`, `preprocessed` (tensors of its image processor)
    and `features` (output of its vision tower). They live as long as a prompt holds the image.
    """

    __slots__ = ("_blind", "_source", "features", "lock", "preprocessed", "shared")

    def __init__(self, source: ImageSource, *, blind: bool = False, shared: bool = False) -> None:
        self._source, self._blind = source, blind
        self.shared = shared
        self.lock = threading.Lock()
        self.preprocessed: Any = None
        self.features: Any = None

    def decode(self) -> Image:
        """Decode the image and return it in RGB. Raises `ItemError` with the name of the file."""
        content = self._source.read()
        with self._item_errors():
            return self._decoded(open_image(content))

    def url(self, accepted: Collection[str] = (), max_pixels: int | None = None) -> str:
        """Return the image in a data URL, with the pixels that `decode` returns.

        A file of an `accepted` media type that shows these pixels keeps its bytes. Any other image becomes a PNG, of at
        most `max_pixels` pixels. Raises `ItemError` with the name of the file.
        """
        content = self._source.read()
        with self._item_errors():
            header = open_image(content)
            kind = media_type(content)
            fits = max_pixels is None or header.width * header.height <= max_pixels
            if kind in accepted and fits and not self._blind:
                own = with_model_pixels(content, header)
                if own is not None:
                    return file_url(str(kind), own)
            return data_url(self._decoded(header), max_pixels)

    def _decoded(self, image: Image) -> Image:
        from PIL import Image as Images

        image.load()
        image = to_rgb(image)
        return Images.new("RGB", image.size, GREY) if self._blind else image

    @contextmanager
    def _item_errors(self) -> Iterator[None]:
        """Convert errors of the decoder to `ItemError`."""
        try:
            yield
        except decoding_errors() as e:
            line = (str(e).splitlines() or [type(e).__name__])[0]
            raise ItemError(f"{self._source.name}: not a readable image: {line}") from e


class LazyImages(Sequence["Image"]):
    """The images of a prompt. Each access decodes; `lazy_images` are the images before decoding."""

    __slots__ = ("lazy_images",)

    def __init__(self, lazy_images: Sequence[LazyImage]) -> None:
        self.lazy_images = tuple(lazy_images)

    def __len__(self) -> int:
        return len(self.lazy_images)

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Image]: ...
    def __getitem__(self, index: int | slice) -> Image | Sequence[Image]:
        if isinstance(index, slice):
            return LazyImages(self.lazy_images[index])
        return self.lazy_images[index].decode()

    def __iter__(self) -> Iterator[Image]:
        return (image.decode() for image in self.lazy_images)
