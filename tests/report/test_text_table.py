"""Shortened texts: they fit, and two that differ look different."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.report.text_table import shortened_pair

TEXT = st.text(alphabet="ab ", max_size=30)


@given(TEXT, TEXT, TEXT, st.integers(8, 20))
def test_two_texts_fit_and_differ_as_before(same: str, before: str, after: str, length: int) -> None:
    first, second = shortened_pair(same + before, same + after, length)
    assert max(len(first), len(second)) <= length
    assert (first == second) == (before == after)
    for part, whole in ((first, same + before), (second, same + after)):
        assert part.strip("…") in whole
        assert len(part) >= min(len(whole), length - 2)


@pytest.mark.parametrize(
    "before, after, expected",
    [
        ("yes", "no", ("yes", "no")),
        ("a quite long text", "another", ("a quite lon…", "another")),
        ("The quality of this image is good.", "The quality of this image is poor.", ("…e is good.", "…e is poor.")),
    ],
)
def test_the_first_difference_is_shown(before: str, after: str, expected: tuple[str, str]) -> None:
    assert shortened_pair(before, after, 12) == expected
