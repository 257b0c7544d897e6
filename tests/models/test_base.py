"""Checks of the model protocol."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_qbench.errors import ModelError
from pytest_qbench.models.base import check_method_names


@pytest.mark.parametrize(("old", "new"), [("option_likelihoods", "option_loglikelihoods"), ("vary", "switch_dtype")])
def test_a_method_with_its_earlier_name_is_an_error(old: str, new: str) -> None:
    class Earlier:
        def __getattr__(self, name: str) -> Any:
            if name == new:
                raise AttributeError(name)
            return None

    with pytest.raises(ModelError, match=f"^Earlier.{old} is now called {new}: rename the model's method$"):
        check_method_names(Earlier())  # type: ignore[arg-type]
