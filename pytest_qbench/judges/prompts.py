"""The judge's prompts: ours, or the user's file in their place."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from pytest_qbench.errors import UsageError

OURS = Path(__file__).with_name("prompts.yaml")
# What each text must hold to make sense.
FIELDS: Mapping[str, frozenset[str]] = {
    "completeness": frozenset({"golden", "description"}),
    "preciseness": frozenset({"golden", "description"}),
    "relevance": frozenset({"description"}),
    "score": frozenset(),
    "digit": frozenset(),
    "choice": frozenset({"options", "reply"}),
}
_KNOWN = ("golden", "description", "question", "options", "reply")


def read_texts(path: Path | None) -> dict[str, str]:
    """Return the prompts by name, those of `path` in the place of ours; raises `UsageError` naming file and key."""
    ours = _read(OURS)
    if path is None:
        return ours
    return {**ours, **_read(path)}


def digest(texts: Mapping[str, str]) -> str:
    """Hash of all prompts, 16 hex digits: verdicts under other prompts do not compare."""
    return hashlib.sha256(json.dumps(texts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def fill(text: str, fields: Mapping[str, str]) -> str:
    """Put `fields` into a prompt, each once over: braces inside a description stay what they are."""
    return re.sub(r"\{(\w+)\}", lambda found: fields.get(found[1], found[0]), text)


def _read(path: Path) -> dict[str, str]:
    import yaml

    where = f"--qbench-judge-prompts={path}"
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        raise UsageError(f"{where}: cannot be read: {str(e).splitlines()[0]}") from e
    if not isinstance(found, dict) or not found:
        raise UsageError(f"{where}: no prompts in it; write some of the keys {', '.join(FIELDS)}")
    for name, text in found.items():
        if name not in FIELDS:
            raise UsageError(f"{where}: no prompt is called {name!r}; there are {', '.join(FIELDS)}")
        if not isinstance(text, str) or not text.strip():
            raise UsageError(f"{where}: {name} is no text")
        named = set(re.findall(r"\{(\w+)\}", text)) & set(_KNOWN)
        if missing := FIELDS[name] - named:
            raise UsageError(f"{where}: {name} lacks {', '.join(f'{{{field}}}' for field in sorted(missing))}")
    return found
