"""The entry `prompts` of a fingerprint: the templates, and how the project changed the prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pytest_qbench.items import TASKS
from pytest_qbench.prompt_sets.read import packaged_set
from pytest_qbench.prompts import DEFAULT_PROMPTS, AnswerMode, PromptSet, digest
from pytest_qbench.untrusted.shape import Shape

LEGACY_DEFAULT_HASH = "9602522012de4525"
"""The hash of the default prompts in fingerprints that are older than prompt sets."""
PROMPTS: Shape = {"set": str, **{task: {"text": str, "hash": str} for task in TASKS}}
"""The shape of the entry of a fingerprint."""


def describe_prompts(
    prompt_set: PromptSet, answer: AnswerMode, altered: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the name of the set and, by task, text and hash of what was asked.

    `altered` has the forms of prompts that the project changed (`engine.prompt_changes`). The hash then covers them,
    the text is an example, and `stated` is the hash before the change.
    """
    described: dict[str, Any] = {"set": prompt_set.name}
    for task, stated in prompt_set.describe(answer).items():
        own: dict[str, Any] = dict(stated)
        if forms := (altered or {}).get(task):
            own = {"text": forms["example"], "hash": digest([own["hash"], *forms["hashes"]]), "stated": own["hash"]}
        described[task] = own
    return described


def effective_prompts(task: str, entry: str | Mapping[str, Any] | None, answer: str | None) -> tuple[str | None, str]:
    """Return the hash and the text of the prompts that a task was asked with, from its fingerprint's entry.

    Older fingerprints have one hash for all tasks. The old hash of the default prompts is read as the current default
    set. Any other old hash matches only itself.
    """
    if entry == LEGACY_DEFAULT_HASH:
        entry = packaged_set(DEFAULT_PROMPTS).describe(cast("AnswerMode", answer or "generate"))
    if isinstance(entry, Mapping):
        return entry[task]["hash"], entry[task]["text"]
    return entry, f"prompts {entry}, whose text was not recorded"


def configured_hash(task: str, entry: str | Mapping[str, Any] | None) -> str | None:
    """Return the hash of the prompts that the settings of a run state for a task, before a project's change."""
    if isinstance(entry, Mapping):
        own = entry[task]
        return str(own.get("stated", own["hash"]))
    return entry


def are_changed_by_project(entry: str | Mapping[str, Any] | None) -> bool:
    """Return whether a project changed the prompts that a fingerprint's entry describes."""
    return isinstance(entry, Mapping) and any("stated" in own for own in entry.values() if isinstance(own, Mapping))
