"""Check parsed JSON against an expected shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Shape = Any
"""A type, None, a tuple of alternative shapes, ``[shape]`` for a list, `MappingOf`, or a mapping of keys to shapes.

In a mapping of keys to shapes, a value may be a `Maybe`.
"""


@dataclass(frozen=True, slots=True)
class MappingOf:
    """The shape of a mapping with any text keys, whose values all have one shape."""

    value: Shape


@dataclass(frozen=True, slots=True)
class Maybe:
    """The shape of a value that may be missing or null."""

    value: Shape


def check_shape(value: object, shape: Shape, place: str = "") -> None:
    """Raise `ValueError`, naming the first part of `value` whose shape differs from `shape`.

    `float` accepts any number, `int` only integers; neither accepts booleans. A mapping may have further keys.
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


def short_repr(value: object) -> str:
    """Return the `repr` of a value for a message, at most 80 characters long."""
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
        raise ValueError(f"{place or 'the value'} is {short_repr(value)}")
