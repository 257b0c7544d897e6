"""Which columns of a quality database hold the image and the MOS."""

from __future__ import annotations

import re
from typing import NamedTuple

from pytest_qbench.data.readers.row import Row, shown

#: Column names in use, most certain first, without case and punctuation.
_IMAGE = ("imgpath", "imagepath", "image", "imagename", "imgname", "img", "filename", "file", "name", "path", "distimg")
_MOS = ("gtscore", "mos", "mosscore", "score", "mosquality", "qualitymos")


class Columns(NamedTuple):
    """The fields to read from each record of a file."""

    image: str
    target: str


def columns(row: Row, dataset: str, image: str | None, target: str | None) -> Columns:
    """Return the columns of a file from its first record; `image` and `target` are what datasets.yaml says."""
    # A DMOS often means "lower is better"; KADID's does not, and only there is that known.
    mos = (*_MOS, "dmos") if dataset == "kadid" else _MOS
    where = "img_path" if row.images and image is None else _named(row, image, "image_column", _IMAGE)
    return Columns(where, _named(row, target, "target_column", mos))


def _named(row: Row, name: str | None, option: str, usual: tuple[str, ...]) -> str:
    present = ", ".join(row.fields) or "none"
    if name is not None:
        if name not in row.fields:
            raise row.error(f"no column {shown(name)} (columns: {present})", f"correct {option} in datasets.yaml")
        return name
    plain: dict[str, str] = {}
    for key in row.fields:
        plain.setdefault(re.sub(r"[^a-z0-9]", "", key.lower()), key)
    found = next((plain[word] for word in usual if word in plain), None)
    if found is None:
        what = "image's name" if option == "image_column" else "MOS"
        raise row.error(f"no column with the {what} (columns: {present})", f"name it as {option}: in datasets.yaml")
    return found


def target(row: Row, column: str, higher_is_better: bool) -> float:
    """Return the MOS of a record such that greater is better."""
    number = row.number_at(column)
    if number is None:
        raise row.error(f"no {column}", "add the score or remove the entry")
    return number if higher_is_better else -number
