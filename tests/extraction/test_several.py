"""Replies to questions with several right answers: the exact set, in every usual form, and never a guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.extraction.several import extract_several

OPTIONS = ("Motion blur", "Noise", "Overexposure", "None of them", "Low contrast")
LETTERS = "ABCDE"


@given(
    st.sets(st.sampled_from(range(5)), min_size=1),
    st.sampled_from([", ", ",", " ", "", " and ", "; ", "/", "\n", "、"]),
    st.sampled_from(["{}", "{}.", "({})", "Answer: {}", "The correct answers are {}.", "**{}**", "<answer>{}</answer>"]),
    st.sampled_from(["letters", "texts", "both"]),
)  # fmt: skip
def test_every_form_of_a_set_is_read(chosen: set[int], sign: str, frame: str, form: str) -> None:
    if form == "letters":
        parts = [LETTERS[i] for i in sorted(chosen)]
    else:
        sign = sign if sign.strip(" ") and sign != "/" else "\n"
        parts = [OPTIONS[i] if form == "texts" else f"{LETTERS[i]}. {OPTIONS[i]}" for i in sorted(chosen)]
    found = extract_several(frame.format(sign.join(parts)), OPTIONS)
    assert found.choices == tuple(OPTIONS[i] for i in sorted(chosen)), found.rule


@pytest.mark.parametrize(
    ("reply", "chosen"),
    [
        ("c, a", "AC"),
        ("A, B and C", "ABC"),
        ("B. Noise\nE. Low contrast", "BE"),
        ("- Noise\n- Low contrast", "BE"),
        ("答案是A和C", "AC"),
        ("There is noise and low contrast.", "BE"),
        ("The image shows noise. It has low contrast.", "BE"),
        (r"\boxed{A, C}", "AC"),
    ],
)
def test_sets_in_other_forms(reply: str, chosen: str) -> None:
    assert extract_several(reply, OPTIONS).choices == tuple(OPTIONS[LETTERS.index(letter)] for letter in chosen)


@pytest.mark.parametrize(
    "reply",
    ["", "F", "A, F", "bad", "BAD", "I cannot tell.", "A. Noise", "The image is fine.", "Not noise.", "x" * 40_000,
     "It is C. Noise and B. Motion blur."],
)  # fmt: skip
def test_whatever_is_no_set_of_options_is_unparsed(reply: str) -> None:
    found = extract_several(reply, OPTIONS)
    assert found.choices is None, found.rule
    assert found.rule
