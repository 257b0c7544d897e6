"""Compare parsed JSON with the shape that a reader needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Shape = Any
"""A type, None, a tuple of shapes of which one must fit, ``[shape]``, `MappingOf`, or a mapping of keys to shapes.

The value of such a key may be a `Maybe`.
"""


@dataclass(frozen=True, slots=True)
class MappingOf:
    """Any text keys, values of one shape."""

    value: Shape


@dataclass(frozen=True, slots=True)
class Maybe:
    """A key that may be missing or null, else has a value of one shape."""

    value: Shape


def check_shape(value: object, shape: Shape, place: str = "") -> None:
    """Raise `ValueError` naming the first part of `value` that has another shape.

    `float` stands for any number, `int` for a whole one; a boolean is neither. A mapping may have further keys.
    """
    if isinstance(shape, tuple):
        _check_one_of(value, shape, place)
    elif isinstance(shape, list):
        _check_type(value, list, place)
        assert isinstance(value, list)
        for number, part in enumerate(value, 1):
            check_shape(part, shape[0], f"{place} {number}".strip())
    elif isinstance(shape, MappingOf | dict):
        _check_type(value, dict, place)
        assert isinstance(value, dict)
        parts = shape if isinstance(shape, dict) else dict.fromkeys(value, shape.value)
        for key, part in parts.items():
            name = f"{place}.{key}".strip(".")
            if isinstance(part, Maybe):
                if value.get(key) is None:
                    continue
                part = part.value
            if key not in value:
                raise ValueError(f"{name} is missing")
            check_shape(value[key], part, name)
    else:
        _check_type(value, shape, place)


def shown(value: object) -> str:
    """Return a short form of any value for a message."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _check_one_of(value: object, shapes: tuple[Shape, ...], place: str) -> None:
    if value is None and None in shapes:
        return
    problems = []
    for shape in shapes:
        try:
            check_shape(value, shape, place)
        except ValueError as e:
            problems.append(e)
        else:
            return
    raise problems[0]


def _check_type(value: object, kind: type | None, place: str) -> None:
    if kind is None:
        fits = value is None
    elif kind is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    elif kind is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    else:
        fits = isinstance(value, kind)
    if not fits:
        raise ValueError(f"{place or 'the value'} is {shown(value)}")
