"""Read the judge's prompts: the packaged ones, or the user's own from a file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from pytest_qbench.errors import UsageError
from pytest_qbench.untrusted.parsing import read_yaml

PACKAGED = Path(__file__).with_name("prompts.yaml")
# Fields that each prompt must contain.
FIELDS: Mapping[str, frozenset[str]] = {
    "completeness": frozenset({"golden", "description"}),
    "preciseness": frozenset({"golden", "description"}),
    "relevance": frozenset({"description"}),
    "score": frozenset(),
    "digit": frozenset(),
    "choice": frozenset({"options", "reply"}),
}
_KNOWN = ("golden", "description", "question", "options", "reply")


def read_prompts(path: Path | None) -> dict[str, str]:
    """Return the prompts by name. Those in `path` replace packaged ones. Raises `UsageError` with file and key."""
    packaged = _read(PACKAGED)
    if path is None:
        return packaged
    return {**packaged, **_read(path)}


def digest(texts: Mapping[str, str]) -> str:
    """Return a hash of all prompts, 16 hex digits. Verdicts are comparable only under equal prompts."""
    return hashlib.sha256(json.dumps(texts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def fill(text: str, fields: Mapping[str, str]) -> str:
    """Return a prompt with its fields filled in, in one pass, so that braces inside a description stay unchanged."""
    return re.sub(r"\{(\w+)\}", lambda found: fields.get(found[1], found[0]), text)


def _read(path: Path) -> dict[str, str]:
    where = f"--qbench-judge-prompts={path}"
    found = read_yaml(path, label=where)
    if not isinstance(found, dict) or not found:
        raise UsageError(f"{where}: no prompts; use some of the keys {', '.join(FIELDS)}")
    for name, text in found.items():
        if name not in FIELDS:
            raise UsageError(f"{where}: no prompt is called {name!r}; use {', '.join(FIELDS)}")
        if not isinstance(text, str) or not text.strip():
            raise UsageError(f"{where}: {name} is not a text")
        named = set(re.findall(r"\{(\w+)\}", text)) & set(_KNOWN)
        if missing := FIELDS[name] - named:
            raise UsageError(f"{where}: {name} lacks {', '.join(f'{{{field}}}' for field in sorted(missing))}")
    return found
