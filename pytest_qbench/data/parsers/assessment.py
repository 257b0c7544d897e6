"""Find the columns of a quality database that hold image, MOS and reference image."""

from __future__ import annotations

from typing import NamedTuple

from pytest_qbench.data.columns import IMAGE, MOS, PERHAPS_REFERENCE, REFERENCE, is_image_name
from pytest_qbench.data.columns import plain as plain_name
from pytest_qbench.data.readers.row import Row
from pytest_qbench.untrusted.shape import short_repr


class Columns(NamedTuple):
    """The fields to read from each record of a file; `reference` is None where no field names a reference image."""

    image: str
    target: str
    reference: str | None = None


def columns(row: Row, dataset: str, image: str | None, target: str | None) -> Columns:
    """Return the columns of a file from its first record; `image` and `target` are the names in datasets.yaml."""
    # A lower DMOS is often better. KADID's grows with quality; for other databases the direction is unknown.
    mos = (*MOS, "dmos") if dataset == "kadid" else MOS
    where = "img_path" if row.images and image is None else _named(row, image, "image_column", IMAGE)
    return Columns(where, _named(row, target, "target_column", mos), _reference(row))


def _reference(row: Row) -> str | None:
    plain = _plain_names(row)
    if found := next((plain[word] for word in REFERENCE if word in plain), None):
        return found
    perhaps = (plain[word] for word in PERHAPS_REFERENCE if word in plain)
    return next((name for name in perhaps if is_image_name(str(row.value(name) or ""))), None)


def _plain_names(row: Row) -> dict[str, str]:
    """Return the field names by only their letters and digits; of equal names the first one."""
    plain: dict[str, str] = {}
    for key in row.fields:
        plain.setdefault(plain_name(str(key)), key)
    return plain


def _named(row: Row, name: str | None, option: str, usual: tuple[str, ...]) -> str:
    present = ", ".join(row.fields) or "none"
    if name is not None:
        if name not in row.fields:
            raise row.error(f"no column {short_repr(name)} (columns: {present})", f"correct {option} in datasets.yaml")
        return name
    plain = _plain_names(row)
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
