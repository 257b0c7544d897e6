"""The smoke judge against verdicts derived from the rubric by hand."""

from __future__ import annotations

import itertools
import json
from functools import cache
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import pytest_qbench
from pytest_qbench.items import DIMENSIONS
from pytest_qbench.judges.base import Judge
from pytest_qbench.judges.lexicon import Claim, LexiconJudge, claims, verdict
from pytest_qbench.models.random import SENTENCE

PROPERTY = settings(deadline=None)  # a busy machine may be slow
MINI = Path(pytest_qbench.__file__).parent / "mini" / "description.json"

MOTION = (
    "The image is seriously blurry because of motion. There is no noise or artifact. The brightness is normal. "
    "The colors are natural. Overall, the quality of this image is poor."
)
VIVID = (
    "The image is sharp and the details are clear. The left part of the image is moderately noisy. The brightness is normal. "
    "The image has extremely oversaturated colors. Overall, the quality of this image is average."
)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("The image is seriously blurry because of motion", {("sharpness", -1, 3), ("cause of blur", -1, None)}),
        ("slightly out of focus", {("sharpness", -1, 1), ("cause of blur", 1, 1)}),
        ("It isn't blurry.", {("sharpness", 1, None)}),
        ("It is in focus and the details are rich", {("sharpness", 1, None)}),
        ("a loss of detail", {("sharpness", -1, None)}),
        ("There is no noise, blur or artifact.", {("noise", 1, None), ("sharpness", 1, None), ("artifacts", 1, None)}),
        ("free of noise and artifacts", {("noise", 1, None), ("artifacts", 1, None)}),
        ("The image is noise-free", {("noise", 1, None)}),
        ("The noise is not visible", {("noise", 1, None)}),
        ("extreme compression artifacts", {("artifacts", -1, 4)}),
        ("The image is too dark", {("brightness", -1, None)}),
        ("It is well-lit, not dark", {("brightness", 0, None)}),
        ("severely over-exposed", {("brightness", 2, 3)}),
        ("The brightness is normal", {("brightness", 0, None)}),
        ("very low contrast", {("contrast", -1, 3)}),
        ("The picture lacks contrast", {("contrast", -1, None)}),
        ("The contrast is not low", {("contrast", 1, None)}),
        ("moderately faded colours", {("color", -1, 2)}),
        ("a grayscale photo", {("color", -2, None)}),
        ("vivid colors", {("color", 1, None)}),
        ("The image is oversaturated", {("color", 2, None)}),
        ("The colors are natural but the quality is poor", {("color", 0, None), ("quality", -1, None)}),
        ("The image is not blurry and the colors are natural", {("sharpness", 1, None), ("color", 0, None)}),
        ("A good dog under a clear sky", set()),
        ("", set()),
    ],
)
def test_claims_match_a_human_reading(text: str, expected: set[tuple[str, int, int | None]]) -> None:
    assert {(c.aspect, c.value, c.degree) for c in claims(text)} == expected


@pytest.mark.parametrize(
    "text, side",
    [("The left part of the image is noisy", "left"), ("The lower half is noisy", "bottom"), ("noisy at the top", "top"),
     ("noisy on the right", "right"), ("The right degree of noise", None), ("The image is noisy", None)],
)  # fmt: skip
def test_claims_have_their_part_of_the_image(text: str, side: str | None) -> None:
    assert [c.side for c in claims(text)] == [side]


def test_a_claim_about_one_part_is_for_that_part_only() -> None:
    assert claims("The left part of the image is noisy and the colors are natural.") == [
        Claim("noise", -1, None, "left"),
        Claim("color", 0),
    ]


@pytest.mark.parametrize(
    "description, golden, expected",
    [
        (MOTION, MOTION, (2, 2, 2)),
        (VIVID, VIVID, (2, 2, 2)),
        # other words, same meaning
        ("The photo is very blurred due to camera shake, without noise or artifacts. The lighting is good, the colors look "
         "natural. Poor quality.", MOTION, (2, 2, 2)),
        # everything wrong
        ("The image is sharp, but noisy and too dark, with faded colors. The quality is good.", MOTION, (0, 0, 2)),
        # one of seven attributes, nothing wrong
        ("The image is blurry.", MOTION, (1, 2, 2)),
        # one right, one wrong; one right, two wrong
        ("The image is blurry and has faded colors.", MOTION, (1, 1, 2)),
        ("The image is blurry. It is dark. It has faded colors.", MOTION, (1, 0, 2)),
        # a defect that the golden text does not mention
        ("The image is blurry. It has low contrast.", MOTION, (1, 1, 2)),
        # an attribute that is no defect and is not in the golden text
        ("The image is blurry. The contrast is good.", MOTION, (1, 2, 2)),
        # no low-level attribute
        ("A dog runs along the beach with a ball in its mouth.", MOTION, (0, 0, 0)),
        # half about other things
        ("A dog runs along the beach with a ball. The image is blurry because of motion.", MOTION, (1, 2, 1)),
        # negation flips the verdict
        ("The image is not blurry.", MOTION, (0, 0, 2)),
        ("The image is not sharp.", MOTION, (1, 2, 2)),
        ("", MOTION, (0, 0, 0)),
        (" \n", MOTION, (0, 0, 0)),
        # a part of the image, its opposite, the rest
        ("The left part is noisy.", "The left part of the image is noisy.", (2, 2, 2)),
        ("The right part is noisy.", "The left part of the image is noisy.", (0, 0, 2)),
        ("The image is noisy.", "The left part of the image is noisy.", (1, 2, 2)),
        ("The left part is noisy, but the right part is free of noise.", "The left part of the image is noisy.", (2, 2, 2)),
        # degrees
        ("The image is moderately noisy.", "The image is seriously noisy.", (2, 2, 2)),
        ("The image is slightly noisy.", "The image is extremely noisy.", (1, 2, 2)),
        ("The image is noisy.", "The image is extremely noisy.", (2, 2, 2)),
        # near values
        ("The quality is average.", "The quality is poor.", (1, 2, 2)),
        ("The quality is good.", "The quality is poor.", (0, 0, 2)),
        ("Vivid colors.", "The colors are natural.", (1, 2, 2)),
        ("Faded colors.", "The colors are natural.", (0, 0, 2)),
        ("The image is bright.", "The brightness is normal.", (1, 2, 2)),
        # an overall quality alone describes nothing, where there is more to say
        ("The image is of average quality.", "The image is blurry. Overall, the quality is average.", (1, 0, 2)),
        ("The image is of average quality.", "The image is sharp. There is no noise. The quality is good.", (1, 1, 2)),
        ("The image is sharp and of average quality.", "The image is sharp. The quality is average.", (2, 2, 2)),
        # what agrees says nothing about the defects
        ("The brightness is normal. The colors are natural.", MOTION, (1, 0, 2)),
        ("The brightness is normal. The colors are natural.", "The image is sharp. The brightness is normal.", (1, 2, 2)),
        ("The left part is noisy.", VIVID, (1, 2, 2)),
        ("The right part is noisy. The brightness is normal.", VIVID, (1, 0, 2)),
        # a golden text without any claim has no completeness
        ("The image is blurry.", "A dog.", (None, None, 2)),
    ],
)  # fmt: skip
def test_verdicts_follow_the_rubric(description: str, golden: str, expected: tuple[int | None, ...]) -> None:
    assert verdict(description, golden) == expected


def goldens() -> list[str]:
    return sorted({text for entry in json.loads(MINI.read_text(encoding="utf-8")) for text in entry["golden"]})


def test_golden_texts_compared_with_themselves_with_others_and_with_an_empty_text() -> None:
    said = {text: {(c.aspect, c.value) for c in claims(text)} for text in goldens()}
    for text in said:
        assert verdict(text, text) == (2, 2, 2), text
        assert verdict("", text) == (0, 0, 0)
    for text, other in itertools.permutations(list(said)[::2], 2):
        if said[text] != said[other]:
            assert sum(v or 0 for v in verdict(other, text)) < 6, (other, text)


# What a model may say of every image: one level of everything, or what is true of most.
CONSTANTS = (
    SENTENCE,
    "The quality of the image is average.",
    "Overall, the quality of this image is good.",
    "The image is clear.",
    "The image is blurry.",
    "There is no noise or artifact.",
    "The brightness is normal.",
    "The brightness is normal. The quality is average.",
    "The image has good contrast, natural colors and normal brightness.",
    "This image is of good quality, with clear details and vivid colors.",
    "There is no noise. The brightness is normal. The colors are natural. The quality is average.",
    "The image is sharp and the details are clear. There is no noise or artifact. The brightness is normal. The colors are natural. "
    "Overall, the quality of this image is average.",
    "The image is blurry, noisy, dark, overexposed, with low contrast and faded colors and artifacts.",
)


def mean_sum(pairs: list[tuple[str, str]]) -> float:
    return fmean(sum(v or 0 for v in verdict(description, golden)) for description, golden in pairs)


@cache
def golden_of_mini() -> tuple[tuple[str, ...], float]:
    """Return the golden texts of all items, and the mean sum of each against all others."""
    golden = tuple(entry["golden"][0] for entry in json.loads(MINI.read_text(encoding="utf-8")))
    return golden, mean_sum(list(itertools.permutations(golden, 2)))


@pytest.mark.parametrize("constant", CONSTANTS)
def test_one_sentence_for_all_images_gets_at_most_what_shuffled_golden_texts_get(constant: str) -> None:
    golden, shuffled = golden_of_mini()
    assert mean_sum([(constant, text) for text in golden]) <= shuffled


def test_every_round_has_the_same_verdict() -> None:
    judge: Judge = LexiconJudge()
    verdicts = judge.judge([MOTION, "", "The image is blurry."], [[MOTION], [MOTION], [MOTION]], rounds=3)
    assert verdicts == [
        {key: [2, 2, 2] for key in DIMENSIONS},
        {key: [0, 0, 0] for key in DIMENSIONS},
        {"completeness": [1] * 3, "preciseness": [2] * 3, "relevance": [2] * 3},
    ]
    assert judge.judge([], [], rounds=3) == []


def test_the_best_of_several_golden_texts_counts() -> None:
    (verdicts,) = LexiconJudge().judge([MOTION], [[VIVID, MOTION]], rounds=1)
    assert verdicts == {key: [2] for key in DIMENSIONS}
    assert LexiconJudge().judge([MOTION], [[]], rounds=1) == [
        {"completeness": [None], "preciseness": [None], "relevance": [2]}
    ]


def test_each_description_needs_a_list_of_golden_texts() -> None:
    with pytest.raises(ValueError, match="zip"):
        LexiconJudge().judge([MOTION], [], rounds=1)


def test_the_judge_is_identified_by_its_word_list(monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_qbench.judges import lexicon

    before = LexiconJudge().describe()
    assert (before["name"], before["version"]) == ("lexicon", 3)
    assert json.loads(json.dumps(before)) == before == LexiconJudge().describe()
    monkeypatch.setitem(lexicon.NOUNS, "contrast", "contrast gamma")
    assert LexiconJudge().describe()["lexicon"] != before["lexicon"]


WORDS = st.sampled_from(
    [
        "the", "image", "is", "not", "no", "blurry", "sharp", "noise", "noisy", "dark", "bright", "colors", "faded", "natural", "quality",
        "poor", "good", "low", "contrast", "slightly", "extremely", "left", "part", "and", "but", ",", ".", "dog", "free", "of", "artifacts",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(WORDS, max_size=25).map(" ".join))


@PROPERTY
@given(TEXTS)
def test_any_text_with_claims_agrees_with_itself(text: str) -> None:
    assume(claims(text))
    assert verdict(text, text) == (2, 2, 2)


@PROPERTY
@given(TEXTS, TEXTS)
def test_verdicts_are_values_of_the_rubric(description: str, golden: str) -> None:
    found = verdict(description, golden)
    assert all(v in (0, 1, 2, None) for v in found)
    assert (None in found) == (not claims(golden) and bool(description.strip()))
    assert verdict(description, golden) == found
