"""Debian's Chromium through Playwright. The tests download nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def chromium() -> str:
    """Return the path of the browser. Without a browser, a test fails in CI and is skipped elsewhere."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    reason = "no Chromium on PATH: install it, on Debian and Ubuntu with `apt-get install chromium`"
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def opened(page: Path, profile: Path, ready: str = "body[data-ready=yes]", **look: Any) -> Iterator[Any]:
    """Open a page in a new profile. At the end, a console message or an exception in the page is an error."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile), executable_path=chromium(), args=list(FLAGS), **look
        )
        told: list[str] = []
        try:
            tab = context.new_page()
            tab.on("console", lambda message: told.append(f"{message.type}: {message.text}"))
            tab.on("pageerror", lambda error: told.append(str(error)))
            tab.on("dialog", lambda dialog: (told.append(f"dialog {dialog.message}"), dialog.dismiss()))
            tab.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else told.append(r.url))
            tab.goto(page.as_uri())
            tab.wait_for_selector(ready, timeout=60_000)
            yield tab
            assert told == []
        finally:
            context.close()
