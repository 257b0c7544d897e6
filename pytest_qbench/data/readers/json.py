"""Read the JSON of published files: one array, one object per line, or objects in a row without commas."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pytest_qbench.errors import DataError
from pytest_qbench.untrusted import files
from pytest_qbench.untrusted.parsing import check_depth, unique_pairs

_BETWEEN = re.compile(r"[\s,]*")


def read_objects(path: Path, label: str | None = None) -> list[dict[str, Any]]:
    """Return the objects of a JSON or JSONL file in their order.

    Arrays and objects may follow one another with or without commas, as in Q-Bench's output files. `label` names the
    file in errors. Raises `DataError` for a file that is missing, empty, truncated, not UTF-8 or no list of objects.
    """
    label = label or str(path)
    text = read_text(path, label)
    values = _values(text, label)
    objects: list[dict[str, Any]] = []
    for value in values:
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, dict):
                kind = "null" if one is None else type(one).__name__
                raise DataError(
                    f"{label}: record {len(objects) + 1} is not an object but a {kind}; expected a list of objects"
                )
            objects.append(one)
    if not objects:
        raise DataError(f"{label}: holds no records; download or export it again")
    return objects


def read_text(path: Path, label: str) -> str:
    """Return a file's text (UTF-8, with or without a byte order mark); raises `DataError` where there is none."""
    text = files.read_text(path, files.LARGE, label=label, error=DataError, remedy="check it or download it again")
    if not text.strip():
        raise DataError(f"{label}: is empty; download or export it again")
    return text


def _values(text: str, label: str) -> list[Any]:
    """Return the JSON values that follow one another in `text`."""
    decoder = json.JSONDecoder(object_pairs_hook=unique_pairs)
    values: list[Any] = []
    position, end = _skip(text, 0), len(text)
    while position < end:
        try:
            value, position = decoder.raw_decode(text, position)
            check_depth(value)
        except json.JSONDecodeError as e:
            place = f"line {e.lineno} column {e.colno}"
            after = f" after {len(values)} whole records" if values else ""
            raise DataError(
                f"{label}: broken or truncated JSON at {place}{after} ({e.msg}); download or export it again"
            ) from e
        except RecursionError as e:
            raise DataError(f"{label}: JSON nested too deeply; expected a list of objects") from e
        except ValueError as e:  # an integer of more than 4,300 digits, a repeated key
            raise DataError(f"{label}: record {len(values) + 1}: {e}; expected a list of objects") from e
        values.append(value)
        position = _skip(text, position)
    return values


def _skip(text: str, position: int) -> int:
    between = _BETWEEN.match(text, position)
    return between.end() if between else position
