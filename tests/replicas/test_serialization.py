"""What is sent to a replica can be pickled, and is read there as here."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_qbench.errors import ItemError
from pytest_qbench.items import FileImage, Item
from pytest_qbench.replicas.serialization import carried


@dataclass
class Open:
    """An image inside a file that this process has open."""

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


def test_images_in_tables_travel_as_bytes_with_what_is_wrong_with_them() -> None:
    (sent,) = pickle.loads(pickle.dumps(carried([item(Open("a", b"png"), Open("b", None))], sees=True)))
    first, second = sent.images
    assert (first.name, first.read(), first.missing()) == ("a", b"png", False)
    assert second.missing()
    with pytest.raises(ItemError, match="^b: the file holds no picture in this row$"):
        second.read()


def test_image_files_travel_as_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (sent,) = carried([item(FileImage(Path(), "images", "x.png"))], sees=True)
    assert sent.images == (FileImage(tmp_path, "images", "x.png"),)


def test_a_model_without_eyes_is_sent_no_images() -> None:
    (sent,) = carried([item(Open("a", b"png"))], sees=False)
    assert sent.images == ()
