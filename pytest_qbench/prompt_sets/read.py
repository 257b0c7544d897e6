"""Read a prompt set: one of the packaged ones by name, or a user's file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pytest_qbench.errors import UsageError
from pytest_qbench.prompts import DEFAULT_PROMPTS, PromptSet, Template
from pytest_qbench.untrusted.parsing import read_yaml

OPTION = "--qbench-prompts"
PACKAGED = Path(__file__).with_name("sets.yaml")
# The placeholders that each template must have. `_check` knows the optional ones.
_REQUIRED: Mapping[str, frozenset[str]] = {
    "perception": frozenset({"question", "options"}),
    "likelihood": frozenset({"question"}),
    "perplexity": frozenset({"question"}),
    "description": frozenset(),
    "assessment": frozenset(),
}
_IMAGES = frozenset({"image", "image1", "image2"})
_PARTS = ("text", "pair", "prefix", "system")
_KEYS = (*_REQUIRED, "system", "words", "base")


def read_prompt_set(named: Path | str) -> PromptSet:
    """Return the packaged set of a name, or the set of a file.

    Raises `UsageError` in one line, which names the set or file, the key and the remedy.
    """
    where = f"{OPTION}={named}"
    if isinstance(named, str):
        if named in _packaged():
            return packaged_set(named)
        raise UsageError(f"{where}: no such prompt set; use {', '.join(_packaged())} or the path of a YAML file")
    found = read_yaml(named, label=where)
    if not isinstance(found, dict):
        raise UsageError(f"{where}: no mapping of tasks to templates; use the keys {', '.join(_KEYS)}")
    return _set(named.name, found, where)


def is_file(text: str) -> bool:
    """Return whether `text` is the path of a file, not a name of packaged prompts. A name has neither dot nor slash."""
    return re.search(r"[./]", text) is not None


def name_or_path(text: str) -> Path | str:
    """Return the name of packaged prompts, or the path of a file relative to the working directory."""
    return Path(text) if is_file(text) else text


@cache
def packaged_set(name: str) -> PromptSet:
    """Return a packaged set by its name; raises `KeyError` for another."""
    return _set(name, _packaged()[name], f"{PACKAGED.name}: {name}")


def packaged_names() -> tuple[str, ...]:
    """Return the names of the packaged sets."""
    return tuple(_packaged())


@cache
def _packaged() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read_yaml(PACKAGED)
    return found


def _set(name: str, found: Mapping[Any, Any], where: str) -> PromptSet:
    for key in found:
        if key not in _KEYS:
            raise UsageError(f"{where}: unknown key {str(key)[:80]!r}; use {', '.join(_KEYS)}")
    base_name = found.get("base", DEFAULT_PROMPTS)
    if not isinstance(base_name, str) or base_name not in _packaged():
        raise UsageError(f"{where}: base {base_name!r} is no packaged set; use one of {', '.join(_packaged())}")
    base = None if name == base_name == DEFAULT_PROMPTS else packaged_set(base_name)
    system = _text(found, "system", where)
    templates: dict[str, Template] = {}
    for task in _REQUIRED:
        if task in found:
            templates[task] = _template(task, found[task], system, where)
        elif base is not None:
            own = getattr(base, task)
            templates[task] = own if system is None else Template(own.text, own.pair, own.prefix, system)
    words = _words(found["words"], where) if "words" in found else base.words if base is not None else ()
    return PromptSet(name, **templates, words=words)


def _template(task: str, value: object, system: str | None, where: str) -> Template:
    """Return the template of a task: a text alone, or a mapping of its parts."""
    where = f"{where}: {task}"
    parts: Mapping[Any, Any] = {"text": value} if isinstance(value, str) else value if isinstance(value, dict) else {}
    if not parts:
        raise UsageError(f"{where} is {value!r:.80}; write a text, or a mapping with {', '.join(_PARTS)}")
    for key in parts:
        if key not in _PARTS:
            raise UsageError(f"{where}: unknown key {str(key)[:80]!r}; use {', '.join(_PARTS)}")
    text, pair, prefix, own = (_text(parts, key, where) for key in _PARTS)
    if text is None:
        raise UsageError(f"{where}: text is missing")
    _check(task, "text", text, where)
    if pair is not None:
        _check(task, "pair", pair, where)
    if prefix is not None and task != "assessment":
        raise UsageError(f"{where}: prefix is for assessment alone; a reply to {task} begins by itself")
    return Template(text, pair, prefix, own if own is not None else system)


def _check(task: str, part: str, text: str, where: str) -> None:
    """Raise `UsageError` for a template that lacks a placeholder or has one that nothing fills."""
    named = re.findall(r"\{(\w+)\}", text)
    allowed = _REQUIRED[task] | {"context"} | (_IMAGES if part == "pair" else {"image"})
    if missing := sorted(_REQUIRED[task] - set(named)):
        raise UsageError(f"{where}: {part} lacks {', '.join(f'{{{each}}}' for each in missing)}")
    if unknown := [each for each in named if each not in allowed]:
        known = ", ".join(f"{{{each}}}" for each in sorted(allowed))
        raise UsageError(f"{where}: {part} has {{{unknown[0]}}}, which nothing fills; use {known}")
    if repeated := [each for each in named if named.count(each) > 1]:
        raise UsageError(f"{where}: {part} has {{{repeated[0]}}} more than once")
    if (images := [each for each in named if each in _IMAGES]) not in ([], ["image"], ["image1", "image2"]):
        shown = ", ".join(f"{{{each}}}" for each in images)
        raise UsageError(f"{where}: {part} has {shown}; use {{image}} for all images, or {{image1}} before {{image2}}")


def _words(value: object, where: str) -> tuple[str, ...]:
    """Return the words of the quality score, from good to poor."""
    if not isinstance(value, list) or not all(isinstance(word, str) and word.strip() for word in value):
        raise UsageError(f"{where}: words is {value!r:.80}; write a list such as [good, poor], from good to poor")
    words = tuple(word.strip() for word in value)
    if len(words) < 2 or len(set(words)) < len(words):
        raise UsageError(f"{where}: words is {value!r:.80}; write two or more different words, from good to poor")
    return words


def _text(parts: Mapping[Any, Any], key: str, where: str) -> str | None:
    value = parts.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where}: {key} is {value!r:.80}, not a text")
    return value
