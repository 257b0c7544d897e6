"""Keep one copy of equal texts of parsed JSON. The records and items of two runs of the same data repeat most texts."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any


def share_texts(fields: dict[str, Any], names: Iterable[str]) -> None:
    """Replace each of the named fields that is a text, or a list of texts, by the copy that all equal texts share."""
    for name in names:
        value = fields.get(name)
        if type(value) is str:
            fields[name] = sys.intern(value)
        elif type(value) is list:
            fields[name] = [sys.intern(one) if type(one) is str else one for one in value]


def share_mapping(fields: dict[str, Any], name: str) -> None:
    """Replace a field that maps texts to texts by the mapping that all equal ones share, in the same order.

    Of another mapping only the keys are shared.
    """
    value = fields.get(name)
    if type(value) is not dict:
        return
    if all(type(one) is str for one in value.values()):
        fields[name] = _mapping(tuple(value.items()))
    else:
        fields[name] = {sys.intern(key): one for key, one in value.items()}


@lru_cache(maxsize=10_000)
def _mapping(entries: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return {sys.intern(key): sys.intern(value) for key, value in entries}
