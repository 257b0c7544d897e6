"""The page in a real browser: 85,000 items, foreign texts, a phone, dark mode."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pytest_qbench.cli import main
from pytest_qbench.report.thumbnails import THUMBNAILS
from tests.report.browser import opened
from tests.report.builders import QUOTED, SCRIPT, large, make_item, make_record, run_folder

N = 85_000
LIMIT = 4 * 2**20  # maximum size of a page in bytes
ANSWERS = 200  # maximum time of a search in ms


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("big")
    run_folder(folder / "run", *large(N))
    page = folder / "page.html"
    assert main(["report", str(folder / "run"), "--html", str(page)]) == 0
    return page


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a page whose texts contain markup. Its first item has a thumbnail."""
    folder = tmp_path_factory.mktemp("hostile")
    items = [make_item(i, "perception", "mini", f"images/{i} {QUOTED}") for i in range(400)]
    items += [make_item(i, "assessment", f"db {SCRIPT}") for i in range(400, 460)]
    records = [make_record(item, 0, SCRIPT) for item in items]
    before = [make_record(item, 1, f"</script>{SCRIPT}") for item in items]
    buffer = io.BytesIO()
    Image.new("RGB", (24, 16), (200, 30, 30)).save(buffer, "WEBP")
    url = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
    lost = next(i for i, (new, old) in enumerate(zip(records, before, strict=True)) if old.status == "correct" != new.status)  # fmt: skip
    run = run_folder(
        folder / "run", items, records, before, notes=[f"a note {SCRIPT}"],
        left_out=[{"dataset": "mini", "entry": QUOTED, "reason": SCRIPT}],
    )  # fmt: skip
    (run / THUMBNAILS).write_text(json.dumps({items[lost].images[0].name: url, "evil": "javascript:alert(1)"}))
    page = folder / "page.html"
    assert main(["report", str(run), "--html", str(page)]) == 0
    return page


def searched(tab: Any, words: str) -> tuple[float, str]:
    """Type into the search. Return the milliseconds until the page shows the result, and the result."""
    took, told = tab.evaluate(
        """(words) => {
            const box = document.getElementById("search");
            box.value = words;
            const start = performance.now();
            box.dispatchEvent(new Event("input"));
            document.body.offsetHeight; // laid out
            return [performance.now() - start, document.getElementById("found").textContent];
        }""",
        words,
    )
    return took, told


def cells(tab: Any, column: int) -> list[str]:
    return [row.locator("span").nth(column).inner_text() for row in tab.locator("#item-rows .row").all()[:8]]


@pytest.mark.campaign
def test_85000_items_in_a_browser(big: Path, tmp_path: Path) -> None:
    assert big.stat().st_size <= LIMIT
    with opened(big, tmp_path / "profile", viewport={"width": 1200, "height": 900}) as tab:
        assert tab.locator("#verdict").inner_text().startswith("REGRESSED: accuracy on mini: 3.0 points lost")
        assert tab.locator("#found").inner_text() == f"{N} of {N} items"
        assert tab.locator("#item-rows .row").count() < 100  # rows out of view do not exist

        took = []
        for words, wanted in (("image 420?", 1), ("KONIQ/", N // 10), ("no such words", 0), ("i think noise", None)):
            ms, told = searched(tab, words)
            took.append(ms)
            if wanted is not None:
                assert told == f"{wanted} of {N} items"
        assert max(took) <= ANSWERS
        searched(tab, "")

        tab.locator("#by-dataset").select_option(label="spaq")
        assert tab.locator("#found").inner_text() == f"{N // 10} of {N} items"
        tab.locator("#item-head button").nth(4).click()  # the rank now, ascending, then descending
        up = [float(cell.removesuffix(" %")) for cell in cells(tab, 4)]
        tab.locator("#item-head button").nth(4).click()
        down = [float(cell.removesuffix(" %")) for cell in cells(tab, 4)]
        assert up == sorted(up)
        assert down == sorted(down, reverse=True)
        assert down[0] > up[-1]
        tab.locator("#by-dataset").select_option("")

        tab.locator("#by-task").select_option(label="perception")
        tab.locator("#by-result").select_option("lost")
        lost = sum(new.status != "correct" == old.status for new, old in zip(*large(N)[1:], strict=True))
        assert tab.locator("#found").inner_text() == f"{lost} of {N} items"
        tab.locator("#item-rows").evaluate("(box) => { box.scrollTop = box.scrollHeight; }")
        tab.locator("#item-rows .row").last.click()
        assert "I think" in tab.locator("dialog#item").inner_text()

        tab.keyboard.press("Escape")
        tab.locator("#ranks .tablist button", has_text="kadid").click()
        assert tab.locator("#ranks svg.square:visible").count() == 1
        assert tab.locator("#heat table.heat").count() == 1
        assert tab.locator("#judge td", has_text="rounds differ").count() == 3


def test_foreign_texts_stay_text(hostile: Path, tmp_path: Path) -> None:
    with opened(hostile, tmp_path / "profile") as tab:
        first = tab.locator("#changed-perception .card.lost").first
        assert first.locator("svg.thumb").get_attribute("aria-label").endswith(QUOTED)
        first.locator("svg.thumb").click()
        dialog = tab.locator("dialog#item")
        assert SCRIPT in dialog.locator(".text").all_inner_texts()
        assert f"</script>{SCRIPT}" in dialog.locator(".text").all_inner_texts()
        assert QUOTED in dialog.inner_text()
        assert dialog.locator("use").get_attribute("href") == "#picture0"
        assert f"a note {SCRIPT}" in tab.locator("#notes").inner_text()
        tab.keyboard.press("Escape")
        assert SCRIPT in tab.locator("#ranks").inner_text()
        assert tab.evaluate("document.querySelectorAll('script:not([src])').length") == 2  # the page's own scripts
        assert tab.locator("image").count() == 1  # one of the two thumbnails is not an image


def test_a_link_to_an_item_opens_it_and_an_outlier_is_a_click_away(hostile: Path, tmp_path: Path) -> None:
    with opened(hostile, tmp_path / "profile") as tab:
        link = tab.locator("#flips .card p a").first
        name = link.inner_text()
        link.click()
        assert tab.locator("dialog#item h3").first.inner_text() == name
        tab.reload()
        tab.wait_for_selector("dialog#item[open]")
        assert tab.locator("dialog#item h3").first.inner_text() == name
        tab.keyboard.press("Escape")
        tab.locator("#ranks svg .odd").first.click()
        tab.wait_for_selector("dialog#item[open]")
        assert "MOS" in tab.locator("dialog#item").inner_text()


def test_the_page_is_readable_without_javascript(hostile: Path, tmp_path: Path) -> None:
    with opened(hostile, tmp_path / "profile", ready="h1", java_script_enabled=False) as tab:
        told = tab.locator("body").inner_text()
        assert "REGRESSED: accuracy on mini: 3.0 points lost" in told
        for part in ("Gates", "What changed", "Accuracy by type and concern", "Metrics", "Conditions"):
            assert part in told
        assert "-3.0 pt" in tab.locator("#gates").inner_text()
        assert tab.locator("#gates svg.bar").is_visible()
        assert tab.locator("#changed-perception .card").first.is_visible()
        assert tab.locator("#ranks svg.square").is_visible()
        assert tab.locator("#item-list").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_in_light_and_dark_mode(hostile: Path, tmp_path: Path, scheme: str) -> None:
    look = {"viewport": {"width": 390, "height": 844}, "color_scheme": scheme}
    with opened(hostile, tmp_path / "profile", **look) as tab:
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        paper, ink = tab.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        assert (sum(map(int, paper[4:-1].split(","))) < 384) == (scheme == "dark")
        assert (sum(map(int, ink[4:-1].split(","))) < 384) == (scheme == "light")
        assert tab.locator("#verdict").bounding_box()["y"] < 200  # the verdict comes first
        gate = tab.locator("#gates tbody tr").first  # a card: its cells stand below each other, all in view
        boxes = [cell.bounding_box() for cell in gate.locator("td:not(:empty)").all()]
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
        assert len({round(box["y"]) for box in boxes}) == len(boxes)


def test_print_shows_every_tab_and_no_list(hostile: Path, tmp_path: Path) -> None:
    with opened(hostile, tmp_path / "profile", viewport={"width": 800, "height": 900}) as tab:
        tab.emulate_media(media="print")
        assert tab.locator("#items").is_hidden()
        assert all(panel.is_visible() for panel in tab.locator(".panel").all())
        assert tab.locator("#gates svg.bar").bounding_box()["x"] < 800
        assert tab.evaluate("document.documentElement.scrollWidth") <= 800


def test_the_history_is_drawn(tmp_path: Path) -> None:
    for day, name in enumerate(("one", "two"), 1):
        items = [make_item(i, "perception", f"mini {SCRIPT}") for i in range(40)]
        run_folder(
            tmp_path / "runs" / name, items, [make_record(item, day) for item in items],
            began=f"2026-01-{day:02}T00:00:00+00:00", model={"name": SCRIPT}, verdict=f"PASS: {SCRIPT}",
            baseline={"name": "old", "path": "b", "recorded": f"2025-12-{day:02}"},
        )  # fmt: skip
    page = tmp_path / "h.html"
    assert main(["report", f"--history={tmp_path / 'runs'}", f"--html={page}"]) == 0
    with opened(page, tmp_path / "profile", ready="h1") as tab:
        assert tab.locator("h1").inner_text() == f"Newest run: PASS: {SCRIPT}"
        rows = tab.locator("#runs tbody tr")
        assert [row.split()[1] for row in rows.all_inner_texts()] == ["two", "one"]
        assert tab.locator("#runs").bounding_box()["y"] < tab.locator("#gated").bounding_box()["y"]
        assert tab.locator("#gated .chart").count() == 1
        assert tab.locator("#gated polyline").count() == 1  # two checkpoints, one line
        assert tab.locator("#gated circle").count() == 2
        assert tab.evaluate("document.querySelectorAll('script').length") == 0
