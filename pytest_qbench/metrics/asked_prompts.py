"""What a run asked, as a condition of a comparison: the templates, and how the project changed the prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pytest_qbench.items import TASKS
from pytest_qbench.prompt_sets.read import packaged_set
from pytest_qbench.prompts import DEFAULT_PROMPTS, AnswerMode, PromptSet, digest
from pytest_qbench.untrusted.shape import Shape

FIRST_PROMPTS = "9602522012de4525"
"""What fingerprints that were recorded before there were sets say of the default prompts."""
PROMPTS: Shape = {"set": str, **{task: {"text": str, "hash": str} for task in TASKS}}
"""The shape of the entry of a fingerprint."""


def describe_prompts(
    prompt_set: PromptSet, answer: AnswerMode, altered: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the name of the set and, by task, text and hash of what was asked.

    `altered` has the forms of prompts that the project changed (`engine.alterations`): the hash then covers them, and
    the text is one of them.
    """
    described: dict[str, Any] = {"set": prompt_set.name}
    for task, stated in prompt_set.describe(answer).items():
        own: dict[str, Any] = dict(stated)
        if forms := (altered or {}).get(task):
            own = {"text": forms["example"], "hash": digest([own["hash"], *forms["hashes"]]), "stated": own["hash"]}
        described[task] = own
    return described


def asked_prompts(task: str, found: str | Mapping[str, Any] | None, answer: str | None) -> tuple[str | None, str]:
    """Return the hash and the text of what a run or a baseline asked in a task; `found` is its fingerprint's entry.

    Earlier fingerprints have one hash for all tasks. That of the default prompts stands for the default set, with its
    prompts unchanged; another one equals itself alone.
    """
    if found == FIRST_PROMPTS:
        found = packaged_set(DEFAULT_PROMPTS).describe(cast("AnswerMode", answer or "generate"))
    if isinstance(found, Mapping):
        return found[task]["hash"], found[task]["text"]
    return found, f"prompts {found}, whose text was not recorded"


def stated_prompts(task: str, found: str | Mapping[str, Any] | None) -> str | None:
    """Return the hash of what the settings of a run ask in a task, however the project changed it."""
    if isinstance(found, Mapping):
        own = found[task]
        return str(own.get("stated", own["hash"]))
    return found


def are_altered(found: str | Mapping[str, Any] | None) -> bool:
    """Tell whether a project changed the prompts that a fingerprint's entry describes."""
    return isinstance(found, Mapping) and any("stated" in own for own in found.values() if isinstance(own, Mapping))
