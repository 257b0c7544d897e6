"""Find missing and damaged images before a run. Most are checked by their ends: a broken download is cut short."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterable

from pytest_qbench.data.image_paths import distinct_images, missing_images, whereabouts
from pytest_qbench.errors import DataError, ItemError
from pytest_qbench.items import Dataset, FileImage, ImageSource
from pytest_qbench.untrusted.files import error_text, open_regular
from pytest_qbench.untrusted.images import decoding_errors, open_image

_HEAD, _TAIL = 16, 64


def check_images(datasets: Iterable[Dataset]) -> None:
    """Raise a `DataError` that names every dataset with missing images or, if none is missing, with damaged ones.

    The first and last bytes show whether a JPEG, PNG, WebP, BMP or GIF is complete; any other file is decoded.
    """
    datasets = list(datasets)
    missing_images(datasets)
    problems = []
    for dataset in datasets:
        images = distinct_images(dataset)
        broken = {image: problem for image in images if (problem := _find_damage(image))}
        if broken:
            place = f"{whereabouts(list(broken))[:-1]}: {next(iter(broken.values()))})"
            problems.append(f"{dataset.name}: {len(broken)} of {len(images)} images cannot be decoded {place}")
    if problems:
        raise DataError(f"{'; '.join(problems)}; download or export them again")


def image_faults(dataset: Dataset) -> list[str]:
    """Return a line for each image of a dataset that is missing or cannot be decoded; every image is decoded."""
    faults = []
    for image in distinct_images(dataset):
        if problem := "no such file" if image.missing() else _find_decoding_error(image):
            faults.append(f"{dataset.name}: {image.name}: {problem}")
    return faults


def _find_damage(image: ImageSource) -> str | None:
    """Return why an image cannot be decoded, None where it seems complete."""
    if isinstance(image, FileImage):
        try:
            with os.fdopen(open_regular(image.path), "rb") as file:
                head = file.read(_HEAD)
                size = file.seek(0, io.SEEK_END)
                file.seek(max(0, size - _TAIL))
                tail = file.read()
        except OSError as e:
            return f"cannot be read: {error_text(e)}"
        return None if _is_complete(head, tail, size) else _find_decoding_error(image)
    try:
        content = image.read()
    except ItemError as e:
        return str(e).removeprefix(f"{image.name}: ")
    return None if _is_complete(content[:_HEAD], content[-_TAIL:], len(content)) else _find_decoding_error(image)


def _is_complete(head: bytes, tail: bytes, size: int) -> bool:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return tail[-8:-4] == b"IEND"
    if head.startswith(b"\xff\xd8\xff"):
        return tail.rstrip(b"\0").endswith(b"\xff\xd9")
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return int.from_bytes(head[4:8], "little") + 8 <= size
    if head.startswith(b"BM"):
        return int.from_bytes(head[2:6], "little") <= size
    return head.startswith((b"GIF87a", b"GIF89a")) and tail.endswith(b";")


def _find_decoding_error(image: ImageSource) -> str | None:
    from PIL import UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning about a large image is not a damage
            with open_image(image.read()) as picture:
                picture.load()
    except ItemError as e:
        return str(e).removeprefix(f"{image.name}: ")
    except UnidentifiedImageError:
        return "no image"
    except decoding_errors() as e:
        return " ".join(str(e).split()) or type(e).__name__
    return None
