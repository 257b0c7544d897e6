"""Decide whether somebody wrote why a gate, a limit or a baseline became weaker."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_qbench.policy.git import INDEX, WORKTREE, Repository
from pytest_qbench.policy.weaknesses import PATTERNS, Weakness, read_state, weaknesses

TRAILER = re.compile(r"^Qbench-reason:[ \t]*(\S.*)$", re.IGNORECASE | re.MULTILINE)
LEAST_WORDS = 2


@dataclass(frozen=True, slots=True)
class Explained:
    """A weakness with the reasons that cover it. `missing` says where a reason is missing, None where all are there."""

    weakness: Weakness
    reasons: tuple[str, ...]
    missing: str | None


def explain(repository: Repository, base: str, message: str | None) -> list[Explained]:
    """Return what became weaker since the commit `base`, each with its reasons.

    Every commit that made the same thing weaker needs a reason of its own. With `message`, the state of now is that of
    the next commit, whose message it is; without, it is that of the files.
    """
    now = WORKTREE if message is None else INDEX
    current = read_state(repository, now)
    found = weaknesses(read_state(repository, base), current)
    if not found:
        return []
    steps = [
        (commit[:9], weaknesses(read_state(repository, repository.parent(commit)), read_state(repository, commit)),
         reason_in(repository.message(commit)))
        for commit in repository.commits(base, PATTERNS)
    ]  # fmt: skip
    pending = weaknesses(read_state(repository, "HEAD"), current)
    steps.append(("the files here" if message is None else "this commit", pending, reason_in(message or "")))
    return [_explain(weakness, steps) for weakness in found]


def reason_in(message: str) -> str | None:
    """Return the reason of a commit's message: the line ``Qbench-reason: ...``, of at least two words."""
    for match in TRAILER.finditer(message):
        if len(match[1].split()) >= LEAST_WORDS:
            return match[1].strip()
    return None


def _explain(weakness: Weakness, steps: list[tuple[str, list[Weakness], str | None]]) -> Explained:
    reasons: list[str] = []
    missing: list[str] = []
    for name, made, reason in steps:
        for one in (each for each in made if each.key == weakness.key):
            if known := one.reason or reason:
                reasons.append(known)
            else:
                missing.append(name)
    if not reasons and not missing:
        missing.append("a merge")
    return Explained(weakness, tuple(dict.fromkeys(reasons)), ", ".join(dict.fromkeys(missing)) or None)
