"""The check of a commit. A job can only succeed or fail; a check can also be neutral."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_qbench.escaping import one_line
from pytest_qbench.github.api import Api
from pytest_qbench.github.conclusion import Conclusion
from pytest_qbench.report.markdown import markdown
from pytest_qbench.report.markdown_text import code

LONGEST = 65_535  # characters of a summary
_TITLE = 255


def create_check(api: Api, name: str, commit: str, found: Conclusion) -> None:
    """Create a completed check run for a commit, with the report as its summary."""
    summary = code(found.headline) if found.run is None else markdown(found.run, LONGEST)
    title = one_line(found.headline)
    content: Mapping[str, Any] = {
        "name": name, "head_sha": commit, "status": "completed", "conclusion": found.word,
        "output": {"title": title if len(title) <= _TITLE else f"{title[: _TITLE - 1]}…", "summary": summary},
    }  # fmt: skip
    api.request("POST", "check-runs", content)
