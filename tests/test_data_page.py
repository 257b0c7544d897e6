"""`docs/data.md` names every key and every column that the readers take, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_qbench.data import columns, manifest, published
from pytest_qbench.data.parsers import description, perception

PAGE = (Path(__file__).parents[1] / "docs" / "data.md").read_text(encoding="utf-8")


def cell(what: str) -> list[str]:
    """Return the words in backticks of the row whose first cell is `what`."""
    (line,) = re.findall(rf"^\| {re.escape(what)} \| (.*) \|$", PAGE, re.M)
    return re.findall(r"`([^`]+)`", line)


@pytest.mark.parametrize(
    ("what", "taken"),
    [
        ("image of a score", columns.IMAGE),
        ("reference image", columns.REFERENCE),
        ("reference image, where its cells name image files", columns.PERHAPS_REFERENCE),
        ("golden texts", description.GOLDEN),
    ],
)
def test_the_columns_of_the_page_are_those_of_the_code(what: str, taken: tuple[str, ...]) -> None:
    assert tuple(cell(what)) == taken


def test_scores_options_and_slices() -> None:
    assert tuple(cell("score"))[: len(columns.MOS)] == columns.MOS
    options = cell("options")
    assert tuple(options[:3]) == perception._LISTS
    hub, letters = perception._HUB_COLUMNS, perception._LETTER_COLUMNS
    assert options[3:] == [hub[0], hub[-1], letters[0], letters[-1]]
    slices = cell("slices of a question")
    assert {*published.TYPES, *published.CONCERNS} <= set(slices)


def test_every_key_of_the_manifest_has_a_row() -> None:
    table = PAGE.partition("## datasets.yaml")[2].partition("\nCSV tables")[0]
    rows = [re.findall(r"`([a-z_]+)`", line.split("|")[1]) for line in table.splitlines() if line.startswith("| `")]
    assert [key for row in rows for key in row] == list(manifest._KEYS)
