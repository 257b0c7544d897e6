"""The fake API, and the environment of a workflow for a pull request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.github.server import REPOSITORY, TOKEN, GitHub, serve

HEAD = "a" * 40


@pytest.fixture
def github() -> Iterator[GitHub]:
    with serve() as found:
        yield found


@pytest.fixture
def environment(github: GitHub, tmp_path: Path) -> dict[str, str]:
    """Variables that GitHub sets for a workflow on pull request 7."""
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7, "head": {"sha": HEAD}}}))
    for name in ("output", "summary.md"):
        (tmp_path / name).touch()
    (tmp_path / "temp").mkdir()
    return {
        "GITHUB_API_URL": github.address, "GITHUB_REPOSITORY": REPOSITORY, "GITHUB_TOKEN": TOKEN,
        "GITHUB_EVENT_PATH": str(event), "GITHUB_SHA": "b" * 40, "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_SERVER_URL": "https://github.example", "GITHUB_RUN_ID": "42", "RUNNER_TEMP": str(tmp_path / "temp"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }  # fmt: skip
