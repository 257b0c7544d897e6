"""The comment on a pull request: written once, then kept up to date. Replies of models stand in it as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pytest_qbench.escaping import one_line
from pytest_qbench.github.api import Api
from pytest_qbench.github.conclusion import Conclusion
from pytest_qbench.report.markdown import markdown
from pytest_qbench.report.markdown_text import code

LONGEST = 65_536  # characters of a comment on GitHub
_SIGNS = {"success": "✅", "failure": "❌", "neutral": "❔"}


def body(found: Conclusion, name: str, commit: str | None, environment: Mapping[str, str]) -> str:
    """Return the text of the comment. It begins with a marker, by which the next run finds it."""
    head = f"{marker(name)}\n{_SIGNS[found.word]} **{one_line(name)}**: {found.word}\n\n"
    foot = f"\n{_origin(commit, environment)}\n"
    if found.run is None:
        return f"{head}{code(found.headline)}\n{foot}"
    return head + markdown(found.run, LONGEST - len(head) - len(foot)) + foot


def marker(name: str) -> str:
    """Return the first line of the comment, which GitHub does not show. Each name has a comment of its own."""
    return f"<!-- pytest-qbench: {re.sub('[^A-Za-z0-9 ._-]', '_', name)} -->"


def _origin(commit: str | None, environment: Mapping[str, str]) -> str:
    """Return the line that names the commit and links the run of the workflow."""
    server, repository = environment.get("GITHUB_SERVER_URL", ""), environment.get("GITHUB_REPOSITORY", "")
    number = environment.get("GITHUB_RUN_ID", "")
    link = f"{server}/{repository}/actions/runs/{number}"
    shown = re.fullmatch(r"https?://[\w.:-]+/[\w.-]+/[\w.-]+/actions/runs/\d+", link)
    return f"commit {code(commit[:12] if commit else 'unknown')}" + (
        f", [page, records and log]({link})" if shown else ""
    )


def keep_comment(api: Api, number: int, author: str, text: str) -> str:
    """Write the comment on pull request `number`, or bring `author`'s earlier one up to date. Return what was done.

    Only comments of `author` count, because anybody may write the marker. Two jobs that ran at the same time may have
    left two comments: the oldest stays.
    """
    first = text.partition("\n")[0]
    ours = [
        entry["id"]
        for entry in api.pages(f"issues/{number}/comments")
        if _is_of(entry, author) and str(entry.get("body") or "").startswith(first) and isinstance(entry.get("id"), int)
    ]
    if not ours:
        api.request("POST", f"issues/{number}/comments", {"body": text})
        return "written"
    api.request("PATCH", f"issues/comments/{min(ours)}", {"body": text})
    for other in sorted(ours)[1:]:
        api.request("DELETE", f"issues/comments/{other}")
    return "updated"


def _is_of(entry: Mapping[str, Any], author: str) -> bool:
    user = entry.get("user")
    return isinstance(user, dict) and user.get("login") == author
