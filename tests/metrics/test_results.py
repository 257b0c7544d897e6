"""Results of a run: counts by status, missing items, and metrics by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_qbench.metrics.results import ItemCounts, share
from pytest_qbench.records import CUT, Record
from tests.builders import answered, picture, question, results, scored

ITEMS = [*(question(i) for i in range(6)), picture(0, 1.0), replace(picture(1, 2.0), id="other/1", dataset="other")]
RECORDS = [
    answered(ITEMS[0], "Yes"), answered(ITEMS[1], "No"), answered(ITEMS[2], None),
    replace(answered(ITEMS[3], None), finish=CUT), Record.of(ITEMS[4], "error", error="x"), scored(ITEMS[6], 0.5),
]  # fmt: skip


def test_items_are_counted_by_status() -> None:
    found = results(ITEMS, RECORDS).counts()
    assert found == ItemCounts(total=8, scored=3, unparsed=2, errors=1, cut=1)
    assert found.missing == 2
    assert ItemCounts.from_json(found.to_json()) == found


def test_missing_items_and_datasets_are_listed_by_task() -> None:
    run = results(ITEMS, RECORDS)
    assert run.missing("perception") == ["mini/5"]
    assert run.missing("assessment") == run.missing("assessment", "other") == ["other/1"]
    assert run.missing("assessment", "mini_a") == []
    assert run.datasets("assessment") == ["mini_a", "other"]
    assert [r.item for r in run.of("assessment.srcc")] == ["mini_a/0"]
    assert run.of("perception.accuracy", "other") == []


def test_shares_are_of_all_answers() -> None:
    assert (share(RECORDS, "unparsed"), share(RECORDS, "cut"), share(RECORDS, "error")) == (2 / 6, 1 / 6, 1 / 6)
    assert share([], "unparsed") == 0


def test_metrics_and_diagnostics_are_found_by_name() -> None:
    run = results(ITEMS, RECORDS)
    assert run.metric("perception.accuracy", "mini").value == pytest.approx(1 / 4)
    assert run.metric("perception.accuracy", "mini", "type=yes_or_no").n == 4
    assert run.metric("perception.chance", "mini").value == 0.5
    with pytest.raises(KeyError, match=r"no metric 'perception\.accuracy' of dataset 'other', slice None"):
        run.metric("perception.accuracy", "other")


@pytest.mark.parametrize("halves", [False, True])
def test_the_scoring_of_the_run_decides_about_halves(halves: bool) -> None:
    entry = {"words": ["good", "poor"], "temperature": 1.0, **({"halves": "mean"} if halves else {})}
    assert results(ITEMS, RECORDS, scoring=entry).averages_halves is halves
