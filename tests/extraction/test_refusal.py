"""Check that refusals are distinguished from answers that also name something the model cannot do or see."""

from __future__ import annotations

import pytest

from pytest_qbench.extraction.extract import extract_answer

OPTIONS = ("Motion blur", "Noise", "Overexposure")
REFUSALS = [
    "I'm unable to see the picture, but such scenes usually have noise.",
    "I cannot view the attached photo. If I had to guess: B.",
    "As an AI language model, I can't look at images. Noise is common at night.",
    "I'm sorry, but I can't help with that. B",
    "No image was provided. Typical problems: noise.",
    "The image did not load, so it may be noise.",
    "Please upload the image so that I can tell whether there is noise.",
    "I don't have the ability to process pictures; noise would be my guess.",
    "Without seeing the image I would say noise.",
    "I can't determine which distortion it is. Noise?",
    "抱歉，我无法查看图片，可能是B。",
    "作为人工智能，我不能看图，答案可能是B。",
]
ANSWERS = [
    "I cannot see any motion blur, so the answer is B.",
    "I can't see the image clearly: it is full of noise.",
    "You could not view this picture without being annoyed. It is full of noise.",
    "Sorry for the short answer: B",
    "Unfortunately, the image has noise.",
    "No picture is perfect, and this one has noise.",
    "The image is not overexposed. The problem is noise.",
    "It does not have motion blur. B",
]


@pytest.mark.parametrize("reply", REFUSALS)
def test_a_refusal_is_no_answer_whatever_it_mentions(reply: str) -> None:
    found = extract_answer(reply, OPTIONS)
    assert found.choice is None
    assert found.rule == "refusal"


@pytest.mark.parametrize("reply", ANSWERS)
def test_an_answer_is_no_refusal(reply: str) -> None:
    assert extract_answer(reply, OPTIONS).choice == "Noise", extract_answer(reply, OPTIONS)


def test_an_option_worded_like_a_refusal_is_an_answer() -> None:
    options = ("No image was provided", "It is blurry")
    assert extract_answer(options[0], options).choice == options[0]
