"""Parse JSON and YAML strictly: no repeated keys, no deep nesting, no NaN or infinity.

The parsers raise `ValueError` with a message of one line. `read_json` and `read_yaml` also name the file in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

from pytest_qbench.errors import UsageError
from pytest_qbench.untrusted.files import SMALL, read_text

DEPTH = 64
"""Maximum nesting depth of lists and mappings."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_DIGITS = bytes.maketrans(b"123456789E", b"000000000e")
_NODES = 1_000_000
"""Maximum number of values in a YAML file after its aliases are expanded. Aliases of aliases grow exponentially."""
_YAML_LEAKS = (KeyError, IndexError, AttributeError, TypeError, OverflowError, RecursionError)
"""Errors besides `ValueError` that PyYAML raises for a scalar that does not fit its tag, such as ``!!bool 7``."""


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text. Raises `ValueError` if it is not strict JSON.

    The checks that visit every value are left out where a search of the text shows that it needs none.
    """
    data = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    try:
        value = _decoder(may_overflow=_may_overflow(data)).decode(text if isinstance(text, str) else text.decode())
    except UnicodeDecodeError as e:
        raise ValueError(f"byte {e.start + 1} is not UTF-8") from e
    except RecursionError:
        raise ValueError(f"nested deeper than {DEPTH} levels") from None
    if data.count(b"[") + data.count(b"{") > DEPTH:
        check_depth(value)
    if b"\\u" in data and _SURROGATE.search(data):
        _check_unicode(value)
    return value


def _may_overflow(data: bytes) -> bool:
    """Return whether a JSON text may hold a number above 1e308: one with 3 digits of exponent, or with 209 digits."""
    digits = data.translate(_DIGITS)
    return b"0e000" in digits or b"0e+000" in digits or b"0" * 209 in digits


def read_json(
    path: Path,
    limit: int = SMALL,
    *,
    label: str | None = None,
    error: type[UsageError] = UsageError,
    remedy: str = "restore the file",
) -> Any:
    """Return the value of a JSON file. Raises `error`, whose message names the file, the fault and the `remedy`."""
    text = read_text(path, limit, label=label, error=error, remedy=remedy)
    try:
        return parse_json(text)
    except ValueError as e:
        raise error(f"{label or path}: is not valid JSON: {e}; {remedy}") from e


def parse_yaml(text: str) -> Any:
    """Return the value of a YAML text. Raises `ValueError` if it is damaged or hostile."""
    import yaml

    try:
        value = yaml.load(text, _loader())
    except (yaml.YAMLError, ValueError, *_YAML_LEAKS) as e:
        if isinstance(e, RecursionError):
            raise ValueError(f"nested deeper than {DEPTH} levels") from None
        raise ValueError(" ".join(str(e).split()) or type(e).__name__) from e
    check_depth(value, _NODES)
    return value


def read_yaml(
    path: Path,
    limit: int = SMALL,
    *,
    label: str | None = None,
    error: type[UsageError] = UsageError,
    remedy: str = "correct the YAML",
) -> Any:
    """Return the value of a YAML file. Raises `error`, whose message names the file, the fault and the `remedy`."""
    text = read_text(path, limit, label=label, error=error, remedy=remedy)
    if not text.strip():
        raise error(f"{label or path}: is empty; {remedy}")
    try:
        return parse_yaml(text)
    except ValueError as e:
        raise error(f"{label or path}: {e}; {remedy}") from e


def check_depth(value: object, most: int | None = None) -> None:
    """Raise `ValueError` if a value has more than `DEPTH` levels or, with aliases expanded, more than `most` parts."""
    level, seen = [value], 0
    for _ in range(DEPTH + 1):
        below: list[object] = []
        for one in level:
            if isinstance(one, dict):
                below += one.values()
            elif isinstance(one, list):
                below += one
            if most is not None and seen + len(below) > most:
                raise ValueError(f"holds more than {most} values")
        if not below:
            return
        level, seen = below, seen + len(below)
    raise ValueError(f"nested deeper than {DEPTH} levels")


def unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of a JSON object as a mapping. Raises `ValueError` for a repeated key."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)[:80]!r} appears twice")
    return found


def _check_unicode(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as e:
        raise ValueError("holds half of a surrogate pair, which is not valid Unicode") from e


@cache
def _decoder(*, may_overflow: bool) -> json.JSONDecoder:
    parse_float = _finite if may_overflow else None  # None is four times as fast
    return json.JSONDecoder(object_pairs_hook=unique_pairs, parse_constant=_refuse_constant, parse_float=parse_float)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text[:40]} is no finite number")
    return number


@cache
def _loader() -> Any:
    """Return PyYAML's safe loader, extended to reject repeated keys."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Hashable, Any]:
        own = [loader.construct_object(key) for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        if repeated := [key for key in own if own.count(key) > 1]:
            line = node.start_mark.line + 1
            raise ValueError(f"line {line}: key {str(repeated[0])[:80]!r} appears twice")
        loader.flatten_mapping(node)
        return loader.construct_mapping(node, deep=True)

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    return Loader
