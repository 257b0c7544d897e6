"""Thumbnails for the page of a run, stored in `thumbnails.json` of its folder.

Only flipped items and outliers have one. The images themselves stay with the data.
"""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pytest_qbench.errors import ItemError, UsageError
from pytest_qbench.gates.evaluate import GateResult
from pytest_qbench.items import ImageSource
from pytest_qbench.metrics.results import Results
from pytest_qbench.metrics.specs import task_of
from pytest_qbench.models.pixels import to_rgb
from pytest_qbench.report.outliers import outliers
from pytest_qbench.untrusted.files import LARGE, write_text
from pytest_qbench.untrusted.images import decoding_errors, open_image
from pytest_qbench.untrusted.parsing import read_json

THUMBNAILS = "thumbnails.json"
_DATA_URL = r"data:image/webp;base64,[A-Za-z0-9+/=]*"
SIDE = 200  # length of the longer side in pixels
MOST = 600_000  # total length of the data URLs, so that the page of a small run stays below 1.5 MB


def images_to_show(gates: Iterable[GateResult], results: Results) -> Iterator[ImageSource]:
    """Yield the images of lost items, gained items and outliers, the most important ones first."""
    gates = list(gates)
    lists = [[(task_of(g.name), f.item) for f in side] for g in gates for side in (g.lost, g.gained)]
    lists += [[(r.task, r.item) for r, _ in found] for found in outliers(results.records).values()]
    for key in (key for row in zip_longest(*lists) for key in row if key is not None):  # takes turns between the lists
        yield from results.expected[key].images


def write_thumbnails(folder: Path, images: Iterable[ImageSource]) -> None:
    """Write thumbnails of the first distinct images that can be read, up to `MOST` characters. Raises `OSError`."""
    found: dict[str, str] = {}
    size = 0
    for image in {image.name: image for image in images}.values():
        if (url := _data_url(image)) is not None:
            size += len(url)
            if size > MOST:
                break
            found[image.name] = url
    if found:
        write_text(folder / THUMBNAILS, json.dumps(found, ensure_ascii=False, indent=0))


def read_thumbnails(folder: Path) -> dict[str, str]:
    """Return data URLs by the name of the image. Malformed entries are left out."""
    path = folder / THUMBNAILS
    if not path.exists():
        return {}
    found: Any = read_json(path, LARGE, remedy="remove it; the page then has no thumbnails")
    if not isinstance(found, dict):
        raise UsageError(f"{path}: is not a JSON object; remove it; the page then has no thumbnails")
    return {
        name: url for name, url in found.items() if isinstance(url, str) and re.fullmatch(_DATA_URL, url) is not None
    }


def _data_url(image: ImageSource) -> str | None:
    """Return the image as WebP, or None if it is missing or damaged. Recorded outputs come without images."""
    failures: tuple[type[Exception], ...] = (ItemError, *decoding_errors())
    try:
        if image.missing():
            return None
        with open_image(image.read()) as opened:
            opened.draft("RGB", (SIDE, SIDE))  # a JPEG is decoded at a fraction of its size
            small = to_rgb(opened)
            small.thumbnail((SIDE, SIDE))
            buffer = io.BytesIO()
            small.save(buffer, "WEBP", quality=70)
    except failures:
        return None  # the record of the item has the error
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
