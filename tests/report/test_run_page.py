"""The page in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.cli import main
from tests.report.hostile import ALERT, IMAGE, LOST, PICTURES, QUESTIONS

Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Open a file. At the end, a log message, an exception, a network request or a dialog is an error."""
    problems: list[str] = []
    contexts = []

    def open_(path: Path, **context: Any) -> Any:
        made = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **context})
        contexts.append(made)
        page = made.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else problems.append(request.url))  # fmt: skip
        page.goto(path.as_uri())
        page.wait_for_selector("body[data-ready]", timeout=60_000)
        return page

    yield open_
    for each in contexts:
        each.close()
    assert problems == []


def test_the_verdict_comes_first_and_everything_is_text(run: Path, open_page: Open) -> None:
    page = open_page(run / "p.html")
    assert page.locator("h1").inner_text().startswith("REGRESSED: ")
    assert page.locator("main b").count() == 0
    first = page.locator("#changed-perception .card").first
    assert IMAGE in first.inner_text()
    assert f"Is it sharp 0? | `{ALERT}" in first.inner_text()
    assert "No <b>bold</b>" in first.inner_text()
    picture = page.locator(first.locator("use").get_attribute("href")).locator("image").get_attribute("href")
    assert picture.startswith("data:image/webp;base64,")
    page.locator("#search").fill("alert(1)</SCRIPT>")
    assert page.locator("#found").inner_text() == f"{QUESTIONS} of {QUESTIONS + PICTURES} items"
    page.locator("#by-result").select_option("unparsed")
    page.locator("#item-rows .row").click()
    page.wait_for_selector("dialog[open]")
    assert ALERT in page.locator("dialog .text").all_inner_texts()


def test_flips_are_listed_filtered_and_linked(run: Path, open_page: Open) -> None:
    page = open_page(run / "p.html")
    page.locator("#by-task").select_option(label="perception")
    page.locator("#by-result").select_option("lost")
    assert page.locator("#found").inner_text().startswith(f"{LOST + 1} of ")
    page.locator("#flips .card p a").first.click()
    page.wait_for_selector("dialog[open]")
    assert page.url.endswith(".png") or "#item=" in page.url
    again = open_page(Path(page.url.partition("#")[0].removeprefix("file://")))
    assert again.locator("dialog[open]").count() == 0


def test_sorting_by_the_rank_of_the_mos(run: Path, open_page: Open) -> None:
    page = open_page(run / "p.html", color_scheme="dark")
    page.locator("#by-task").select_option(label="assessment")
    head = page.locator("#item-head button", has_text="right")
    head.click()
    assert page.locator("#item-rows .row").first.inner_text().startswith("koniq/p0.png")
    head.click()
    assert page.locator("#item-rows .row").first.inner_text().startswith(f"koniq/p{PICTURES - 1}.png")
    assert page.locator("#heat td", has_text="items").count() >= 12
    assert page.locator("#gates svg.bar").count() >= 2


def test_a_click_on_an_outlier_opens_its_item(run: Path, open_page: Open) -> None:
    page = open_page(run / "p.html")
    page.locator("#ranks .card a", has_text="p5.png").first.click()
    assert "koniq/p5.png" in page.locator("dialog[open]").inner_text()


def test_a_phone_needs_no_sideways_scrolling(run: Path, open_page: Open) -> None:
    page = open_page(run / "p.html", viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_run_folder_gives_the_same_page(run: Path) -> None:
    assert main(["report", str(run / "run"), f"--html={run / 'again.html'}", f"--md={run / 'again.md'}"]) == 0
    assert (run / "again.html").read_bytes() == (run / "p.html").read_bytes()
    assert (run / "again.md").read_bytes() == (run / "s.md").read_bytes()


def test_history(run: Path, open_page: Open, capsys: pytest.CaptureFixture[str]) -> None:
    import csv

    arguments = [f"--history={run}", f"--html={run / 'h.html'}", f"--csv={run / 'h.csv'}"]
    assert main(["report", *arguments]) == 0
    out = capsys.readouterr().out
    assert "became the baseline" in out
    assert "left out: " in out  # the folders without a run
    with (run / "h.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    summaries = {name: json.loads((run / name / "summary.json").read_text()) for name in ("before", "run")}
    for name, summary in summaries.items():
        assert len([row for row in rows if row["run"] == name]) == len(summary["metrics"])
    found = [row for row in rows if row["metric"] == "perception.accuracy" and not row["slice"]]
    assert [float(row["value"]) for row in found] == [1.0, pytest.approx((QUESTIONS - LOST - 1) / QUESTIONS)]
    told = (run / "h.html").read_text(encoding="utf-8")
    assert told.index("Runs</h2>") < told.index("Gated metrics</h2>") < told.index("All metrics</h2>")
    assert told.count("<polyline") >= 2
