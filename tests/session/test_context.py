"""A context that the prompts would leave out ends the run before the model loads."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_qbench.errors import UsageError
from pytest_qbench.items import Dataset, Item
from pytest_qbench.session.request import RunRequest


def request(prompts: Any, context: str | None) -> RunRequest:
    settings: Any = SimpleNamespace(prompts=prompts, answer="generate", model=None, model_args=())
    found = RunRequest(settings, tasks={"assessment": None})
    item = Item("d/1", "assessment", "d", None, "g", (), target=1.0, context=context)
    found.__dict__["datasets"] = [Dataset("d", "assessment", None, (item,), "d.json")]
    return found


def test_prompts_without_a_context_are_refused_for_items_that_have_one(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("assessment: Rate it.\n")
    request(tmp_path / "own.yaml", None)._check_context()
    request("paper", "At night.")._check_context()
    with pytest.raises(
        UsageError, match=r"own.yaml: assessment has no \{context\}, but 1 items have one \(first: d/1\)"
    ):
        request(tmp_path / "own.yaml", "At night.")._check_context()
