"""What a run asked, as a condition of a comparison: the templates, and how the project changed the prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_qbench.prompt_sets.read import packaged_set
from pytest_qbench.prompts import DEFAULT_PROMPTS, AnswerMode, PromptSet, digest

FIRST_PROMPTS = "9602522012de4525"
"""What fingerprints that were recorded before there were sets say of the default prompts."""


def describe_prompts(
    prompt_set: PromptSet, answer: AnswerMode, altered: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Return the name of the set and, by task, text and hash of what was asked.

    `altered` has the forms of prompts that the project changed (`engine.alterations`): the hash then covers them, and
    the text is one of them.
    """
    described: dict[str, Any] = {"set": prompt_set.name}
    for task, own in prompt_set.describe(answer).items():
        if forms := (altered or {}).get(task):
            own = {"text": forms["example"], "hash": digest([own["hash"], *forms["hashes"]])}
        described[task] = own
    return described


def asked_prompts(task: str, fingerprint: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the hash and the text of what a run or a baseline asked in a task.

    Earlier fingerprints have one hash for all tasks. That of the default prompts stands for the default set, with its
    prompts unchanged; another one equals itself alone.
    """
    found = fingerprint.get("prompts")
    if found == FIRST_PROMPTS:
        answer: AnswerMode = fingerprint.get("answer") or "generate"
        found = packaged_set(DEFAULT_PROMPTS).describe(answer)
    if isinstance(found, Mapping):
        own = found.get(task) or {}
        return own.get("hash"), str(own.get("text"))
    return found, f"prompts {found}, whose text was not recorded"
