"""The event that started a workflow: the number of its pull request and the commit that it is about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_qbench.untrusted.parsing import read_json


@dataclass(frozen=True, slots=True)
class Event:
    """`number` is None outside pull requests. `commit` is the head of the pull request, not its merge commit."""

    number: int | None
    commit: str | None


def read_event(environment: Mapping[str, str]) -> Event:
    """Return the event of the workflow. Raises `UsageError` if its file cannot be read."""
    named = environment.get("GITHUB_EVENT_PATH")
    found: Any = read_json(Path(named), remedy="run in a workflow of GitHub") if named else {}
    request = found.get("pull_request") if isinstance(found, dict) else None
    head = request.get("head") if isinstance(request, dict) else None
    number = request.get("number") if isinstance(request, dict) else None
    commit = head.get("sha") if isinstance(head, dict) else environment.get("GITHUB_SHA")
    return Event(
        number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else None,
        commit if isinstance(commit, str) and re.fullmatch("[0-9a-f]{40,64}", commit) else None,
    )
