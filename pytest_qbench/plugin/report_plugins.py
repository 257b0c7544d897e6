"""Show what became of an item in the reports of other plugins, for which every measured item is a passed test."""

from __future__ import annotations

import sys

import pytest

from pytest_qbench.escaping import printable
from pytest_qbench.plugin.reports import OUTCOMES

_TAG = "qbench::{}"


def name_result(report: pytest.TestReport, cells: list[str]) -> None:
    """Write an item's outcome or a gate's verdict in the place of "Passed", in a row of pytest-html's table."""
    outcome = getattr(report, "qbench_outcome", None)
    if outcome in OUTCOMES and cells:
        cells[0] = f'<td class="col-result">{printable(OUTCOMES[outcome][0].capitalize())}</td>'


def tag(item: pytest.Item, report: pytest.TestReport) -> None:
    """Give the test a tag with its outcome where pytest-json-ctrf or allure-pytest reports it."""
    outcome = getattr(report, "qbench_outcome", None)
    if outcome is None:
        return
    metadata = getattr(item, "_ctrf_metadata", None)
    if isinstance(metadata, dict):
        metadata.setdefault("tags", []).append(_TAG.format(outcome))
        report._ctrf_metadata = metadata  # type: ignore[attr-defined]
    if allure := sys.modules.get("allure_commons"):
        allure.plugin_manager.hook.add_label(label_type="tag", labels=(_TAG.format(outcome),))
