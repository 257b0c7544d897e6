"""Packaged prompt sets against texts written out by hand; a user's file; errors of such a file."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.errors import UsageError
from pytest_qbench.items import Item
from pytest_qbench.prompt_sets.read import _set, packaged_names, packaged_set, read_prompt_set
from pytest_qbench.prompts import Prompt, PromptSet
from pytest_qbench.runs.items_file import NamedImage
from pytest_qbench.untrusted.parsing import parse_yaml

LETTER = "Answer with the option's letter from the given choices directly."
DESCRIBE = "Describe the quality, aesthetics and other low-level appearance of the image in details."
COMPARE = "Compare and jointly analyze the quality, aesthetics and other low-level appearance of the images in details."
RATE = ("<1>Rate the quality of the image.", "The quality of the image is")
BOTH = "The first image: <1>\nThe second image: <2>"
QUESTIONS = (
    ("Is it {sharp}?", "Yes", "No"),
    ("How is the light?", "Low", "Medium", "High"),
    ("What?", "Noise", "Blur"),
)


def item(task: Any, *asked: str, images: int = 1, context: str | None = None) -> Item:
    pictures = tuple(NamedImage(f"{i}.png") for i in range(images))
    question, *options = asked or (None,)
    return Item("d/1", task, "d", None, "g", pictures, question, tuple(o for o in options if o), context=context)


def shown(prompt: Prompt, images: int = 1) -> str:
    """The turn as a reader sees it, with <1> for the first image."""
    return "".join(f"<{part + 1}>" if isinstance(part, int) else part for part in prompt.parts(images))


# By set: how the text of a question is put together from question and lettered options, as the source does it.
ASKED = {
    "default": lambda q, o: f"<1>{q}\n" + "".join(f"{line}\n" for line in o) + LETTER,
    "hub": lambda q, o: f"<1>{q}\n" + "".join(f"{line}\n" for line in o) + LETTER,
    "lmms-eval": lambda q, o: f"<1>{q}\n" + "\n".join(o) + f"\n{LETTER}\n",
    "paper": lambda q, o: f"{q}\n<1>\nChoose between one of the following options:\n" + "\n".join(o),
    "vlmevalkit": lambda q, o: (
        f"<1>Question: {q}\nOptions:\n" + "".join(f"{line}\n" for line in o)
        + "Please select the correct answer from the options above. \n"
    ),
    "q-instruct": lambda q, o: f"<1>{q}\n{LETTER}\n" + "".join(f"{line}\n" for line in o),
    "q-align": lambda q, o: f"The input image:<1>{q}\n" + "".join(f"{line}\n" for line in o) + f"{LETTER}\n",
    "zh": lambda q, o: f"<1>{q}\n在下列选项中选择一个:\n" + "".join(f"{line}\n" for line in o),
}  # fmt: skip
RATED = {
    "paper": ("Rate the quality of the image.<1>", "The quality of the image is"),
    "q-instruct": ("<1>Rate the quality of the image.", None),
    "q-align": ("How would you rate the quality of this image?\n<1>", "The quality of the image is"),
}
DESCRIBED = {"paper": f"{DESCRIBE}\n<1>"}
PAIRS = {
    "default": f"<1><2>Which?\nA. x\nB. y\n{LETTER}",
    "paper": f"Which?\n{BOTH}\nChoose between one of the following options:\nA. x\nB. y",
    "lmms-eval": f"<1><2>Which?\nA. x\nB. y\n{LETTER}\n",
    "q-align": f"The input image:<1><2>Which?\nA. x\nB. y\n{LETTER}\n",
}


def test_the_sets_have_the_names_of_the_documentation() -> None:
    assert set(packaged_names()) == ASKED.keys()


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("asked", QUESTIONS)
def test_questions_are_asked_as_in_the_source(name: str, asked: tuple[str, ...]) -> None:
    prompt = packaged_set(name).prompt(item("perception", *asked), (), "generate")
    lines = [f"{letter}. {option}" for letter, option in zip("ABCD", asked[1:], strict=False)]
    assert shown(prompt) == ASKED[name](asked[0], lines)
    assert (prompt.prefix, prompt.system) == (None, None)


@pytest.mark.parametrize("name", ASKED)
def test_quality_and_descriptions_are_asked_as_in_the_source(name: str) -> None:
    own = packaged_set(name)
    rated = own.prompt(item("assessment"), (), "generate")
    assert (shown(rated), rated.prefix) == RATED.get(name, RATE)
    assert shown(own.prompt(item("description"), (), "generate")) == DESCRIBED.get(name, f"<1>{DESCRIBE}")
    assert shown(own.prompt(item("description", images=2), (), "generate"), 2) == f"{COMPARE}\n{BOTH}"
    levels = ("excellent", "good", "fair", "poor", "bad") if name == "q-align" else ("good", "poor")
    assert own.words == levels


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_are_asked_as_in_the_source(name: str) -> None:
    pair = item("perception", "Which?", "x", "y", images=2)
    assert shown(packaged_set(name).prompt(pair, (), "generate"), 2) == PAIRS[name]


def test_likelihoods_are_asked_without_options_and_with_the_short_answer_instruction() -> None:
    for name in packaged_names():
        prompt = packaged_set(name).prompt(item("perception", "What?", "x", "y"), (), "likelihood")
        assert shown(prompt) == "<1>What?\nAnswer the question using a single word or phrase."


def test_perplexity_announces_options_and_shows_none() -> None:
    text = "What?\nChoose between one of the options as follows:\n"
    for name in packaged_names():
        prompt = packaged_set(name).prompt(item("perception", "What?", "x", "y"), (), "perplexity")
        assert shown(prompt) == (f"{text}<1>" if name == "paper" else f"<1>{text}")


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("task", ["perception", "description", "assessment"])
@pytest.mark.parametrize("images", [1, 2])
def test_a_context_adds_its_line_alone(name: str, task: str, images: int) -> None:
    asked = ("What?", "x", "y") if task == "perception" else ()
    own = packaged_set(name)
    for mode in ("generate", "likelihood", "perplexity"):
        without = own.prompt(item(task, *asked, images=images), (), mode)  # type: ignore[arg-type]
        with_one = own.prompt(item(task, *asked, images=images, context="At {night}."), (), mode)  # type: ignore[arg-type]
        hint = "Hint: " if name == "vlmevalkit" and task == "perception" and mode == "generate" else ""
        assert with_one.text.replace(f"{hint}At {{night}}.\n", "", 1) == without.text != with_one.text


def test_a_model_that_sees_no_image_reads_the_text_alone() -> None:
    prompt = packaged_set("paper").prompt(item("assessment"), (), "generate")
    assert prompt.parts(0) == ["Rate the quality of the image."]


def test_images_beyond_the_places_stand_at_the_end_of_them() -> None:
    assert shown(Prompt("k", "ab", places=(1,)), 2) == "a<1><2>b"


FILE = """
base: paper
system: You judge photographs.
perception: "{context}\\n{question} {image}\\n{options}"
assessment: {text: "How good is it?", prefix: "It is", system: Be brief.}
words: [fine, bad]
"""


def written(folder: Path, text: str) -> PromptSet:
    (folder / "own.yaml").write_text(text, encoding="utf-8")
    return read_prompt_set(folder / "own.yaml")


def test_a_file_replaces_tasks_of_its_base(tmp_path: Path) -> None:
    own = written(tmp_path, FILE)
    prompt = own.prompt(item("perception", "Q?", "x", "y", context="Night."), (), "generate")
    assert (shown(prompt), prompt.system) == ("Night.\nQ? <1>\nA. x\nB. y", "You judge photographs.")
    rated = own.prompt(item("assessment"), (), "generate")
    assert (shown(rated), rated.prefix, rated.system) == ("<1>How good is it?", "It is", "Be brief.")
    described = own.prompt(item("description"), (), "generate")
    assert (shown(described), described.system) == (f"{DESCRIBE}\n<1>", "You judge photographs.")
    assert (own.name, own.words) == ("own.yaml", ("fine", "bad"))


@pytest.mark.parametrize(
    "text, told",
    [
        ("- a\n", "no mapping of tasks to templates"),
        ("percepton: x\n", "unknown key 'percepton'; use perception, likelihood,"),
        ("perception: 'What?'\n", "perception: text lacks {options}, {question}"),
        ("perception: {pair: x}\n", "perception: text is missing"),
        ("perception: {text: '{question}{options}', pair: '{question}'}\n", "perception: pair lacks {options}"),
        ("perception: {text: '{question}{options}', temlate: x}\n", "perception: unknown key 'temlate'; use text,"),
        ("perception: 7\n", "perception is 7; write a text, or a mapping with text, pair"),
        ("perception: [a]\n", "perception is ['a']; write a text"),
        ("perception: {text: 7}\n", "perception: text is 7, not a text"),
        ("assessment: ''\n", "assessment: text is '', not a text"),
        ("assessment: '{question}'\n", "assessment: text has {question}, which nothing fills; use {context}, {image}"),
        ("assessment: '{image1} {image2}'\n", "assessment: text has {image1}, which nothing fills"),
        ("assessment: '{image} {image}'\n", "assessment: text has {image} more than once"),
        ("description: {text: x, pair: '{image2} {image1}'}\n", "use {image} for all images, or {image1} before"),
        ("description: {text: x, pair: '{image1}'}\n", "pair has {image1}; use {image} for all images"),
        ("description: {text: x, prefix: Well}\n", "description: prefix is for assessment alone"),
        ("words: good\n", "words is 'good'; write a list such as [good, poor]"),
        ("words: [good]\n", "write two or more different words"),
        ("words: [good, good]\n", "write two or more different words"),
        ("words: [good, 1]\n", "words is ['good', 1]; write a list"),
        ("system: [a]\n", "system is ['a'], not a text"),
        ("base: own\n", "base 'own' is no packaged set; use one of default, paper"),
        ("perception: x\nperception: y\n", "appears twice"),
        ("", "is empty"),
        ("a: [", "correct the YAML"),
    ],
)
def test_a_file_with_a_mistake_is_refused_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        written(tmp_path, text)
    assert told in str(refused.value)
    assert str(refused.value).startswith("--qbench-prompts=")
    assert "\n" not in str(refused.value)


def test_a_name_that_is_none_is_refused_with_the_names() -> None:
    with pytest.raises(UsageError, match="--qbench-prompts=papers: no such prompt set; use default, paper, hub,"):
        read_prompt_set("papers")


def test_no_two_sets_are_described_alike_but_default_and_hub() -> None:
    for one, other in itertools.combinations(packaged_names(), 2):
        same = packaged_set(one).describe("generate") == packaged_set(other).describe("generate")
        assert same is ({one, other} == {"default", "hub"})


def test_the_file_of_the_documentation_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "prompts.md").read_text(encoding="utf-8")
    (text,) = re.findall(r'^```yaml title="own.yaml"\n(.*?)^```', page, re.M | re.S)
    own = _set("own.yaml", parse_yaml(text), "own.yaml")
    prompt = own.prompt(item("perception", "Q?", "x", "y", images=2), (), "generate")
    assert shown(prompt, 2) == "Q?\nFirst: <1> Second: <2>\nA. x\nB. y\n"
    assert all(f"`{name}`" in page for name in packaged_names())
