"""Small copies of the images that a page shows: `thumbnails.json` of a run folder.

Only items that flipped and outliers have one: the images themselves stay with the data.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pytest_qbench.errors import ItemError
from pytest_qbench.gates.evaluate import GateResult
from pytest_qbench.items import ImageSource
from pytest_qbench.metrics.metrics import task_of
from pytest_qbench.metrics.results import Results
from pytest_qbench.report.outliers import outliers

THUMBNAILS = "thumbnails.json"
SIDE = 256  # pixels of the longer side
MOST = 240  # images: about 3 MB of a page


def pictured(gates: Iterable[GateResult], results: Results) -> Iterator[ImageSource]:
    """The images that a reader looks for first: items lost, items gained, outliers."""
    gates = list(gates)
    keys = [(task_of(g.name), f.item) for g in gates for f in g.lost]
    keys += [(task_of(g.name), f.item) for g in gates for f in g.gained]
    keys += [(r.task, r.item) for found in outliers(results.records).values() for r, _ in found]
    for key in keys:
        yield from results.expected[key].images


def write_thumbnails(folder: Path, images: Iterable[ImageSource]) -> None:
    """Write the first `MOST` distinct images that can be read; raises `OSError` where the file cannot be written."""
    found: dict[str, str] = {}
    for image in {image.name: image for image in images}.values():
        if len(found) == MOST:
            break
        if (url := _data_url(image)) is not None:
            found[image.name] = url
    if found:
        (folder / THUMBNAILS).write_text(json.dumps(found, ensure_ascii=False, indent=0), encoding="utf-8")


def read_thumbnails(folder: Path) -> dict[str, str]:
    """Data URLs by the name of the image; those of another shape are left out."""
    try:
        found: Any = json.loads((folder / THUMBNAILS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {name: url for name, url in found.items() if url.startswith("data:image/webp;base64,")}


def _data_url(image: ImageSource) -> str | None:
    """The image as WebP, or None where there is nothing to show: recorded outputs come without images."""
    from PIL import Image

    try:
        if image.missing():
            return None
        with Image.open(io.BytesIO(image.read())) as opened:
            opened.draft("RGB", (SIDE, SIDE))  # a JPEG is decoded at a fraction of its size
            small = opened.convert("RGB")
            small.thumbnail((SIDE, SIDE))
            buffer = io.BytesIO()
            small.save(buffer, "WEBP", quality=80)
    except (ItemError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None  # the item's own record names an image that cannot be read
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
