"""Items for a replica can be pickled, and read in another process."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_qbench.errors import ItemError
from pytest_qbench.items import FileImage, Item
from pytest_qbench.replicas.serialization import portable_items


@dataclass
class Open:
    """An image inside an open file of this process."""

    name: str
    content: bytes | None

    def __reduce__(self) -> str:
        raise TypeError("cannot pickle an open file")

    def read(self) -> bytes:
        if self.content is None:
            raise ItemError(f"{self.name}: the file holds no picture in this row")
        return self.content

    def missing(self) -> bool:
        return self.content is None


def item(*images: object) -> Item:
    return Item("d/1", "assessment", "d", None, "d/1", images, target=1.0)  # type: ignore[arg-type]


def test_images_in_tables_become_bytes_or_their_error() -> None:
    (sent,) = pickle.loads(pickle.dumps(portable_items([item(Open("a", b"png"), Open("b", None))], vision=True)))
    first, second = sent.images
    assert (first.name, first.read(), first.missing()) == ("a", b"png", False)
    assert second.missing()
    with pytest.raises(ItemError, match="^b: the file holds no picture in this row$"):
        second.read()


def test_image_files_become_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (sent,) = portable_items([item(FileImage(Path(), "images", "x.png"))], vision=True)
    assert sent.images == (FileImage(tmp_path, "images", "x.png"),)


def test_a_text_only_model_gets_no_images() -> None:
    (sent,) = portable_items([item(Open("a", b"png"))], vision=False)
    assert sent.images == ()
