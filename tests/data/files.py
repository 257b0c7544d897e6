"""Write and read small benchmark files of the published shapes."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.data.load import open_datasets
from pytest_qbench.errors import DataError
from pytest_qbench.items import Dataset

QUESTION = {
    "type": 2,
    "concern": 3,
    "question": "How is the lighting of this building?",
    "img_path": "00653.jpg",
    "candidates": ["High", "Low", "Medium"],
    "correct_ans": "Low",
}
YES_NO = {
    "type": 0,
    "concern": 0,
    "question": "Is the flower in focus?",
    "img_path": "757.JPG",
    "candidates": ["Yes", "No"],
    "correct_ans": "Yes",
}


def write(path: Path, content: object) -> Path:
    """Write text or bytes unchanged, any other content as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def png(colour: str | tuple[int, int, int] = "red", size: int = 8) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(buffer, "PNG")
    return buffer.getvalue()


def read(root: Path, names: Sequence[str] | None = None, split: str = "dev") -> list[Dataset]:
    return open_datasets(str(root), rootdir=root, names=names, split=split)


def read_one(root: Path, names: Sequence[str] | None = None, split: str = "dev") -> Dataset:
    (dataset,) = read(root, names, split)
    return dataset


def refusal(root: Path, names: Sequence[str] | None = None, split: str = "dev") -> str:
    """Return the one line of the error for a folder that cannot be read."""
    with pytest.raises(DataError) as caught:
        read(root, names, split)
    message = str(caught.value)
    assert "\n" not in message
    return message


def mos(root: Path, records: Any, name: str = "koniq.json") -> Path:
    write(root / "iqa" / name, records)
    return root
