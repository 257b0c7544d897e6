from __future__ import annotations

import math
import subprocess
import sys

import pytest

from pytest_qbench.errors import ModelError
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.models.random import SENTENCE, RandomModel
from pytest_qbench.prompts import DESCRIBE, LETTER_INSTRUCTION, Prompt


def make_prompts(n: int, letters: str = "ABC") -> list[Prompt]:
    lines = "\n".join(f"{letter}. option" for letter in letters)
    return [Prompt(f"item/{i}", f"Which?\n{lines}\n{LETTER_INSTRUCTION}") for i in range(n)]


def test_answers_do_not_depend_on_batch_order_or_process() -> None:
    model, prompts = RandomModel(3), make_prompts(20)
    options = [["Yes", "No", "Yes"]] * 20
    assert model.generate(prompts, 8) == [model.generate([prompt], 8)[0] for prompt in prompts]
    assert model.option_loglikelihoods(prompts[::-1], options) == model.option_loglikelihoods(prompts, options)[::-1]
    code = (
        "from pytest_qbench.models.random import RandomModel as R; from tests.models.test_random import make_prompts;"
        "print(R(3).generate(make_prompts(20), 8), R(3).next_token_logprobs(make_prompts(2), ('good', 'poor')))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        run.stdout.strip()
        == f"{model.generate(prompts, 8)} {model.next_token_logprobs(make_prompts(2), ('good', 'poor'))}"
    )


def test_different_seeds_give_different_answers() -> None:
    assert RandomModel(0).generate(make_prompts(30), 8) != RandomModel(1).generate(make_prompts(30), 8)


@pytest.mark.parametrize("letters", ["AB", "ABC", "ABCD"])
def test_letters_are_uniform(letters: str) -> None:
    n = 6000
    replies = RandomModel(0).generate(make_prompts(n, letters), 8)
    expected = n / len(letters)
    chi2 = sum((replies.count(letter) - expected) ** 2 / expected for letter in letters)
    assert set(replies) == set(letters)
    assert chi2 < 16.3  # the 0.1 % point with 3 degrees of freedom


def test_the_likeliest_option_is_uniform() -> None:
    rows = RandomModel(0).option_loglikelihoods(make_prompts(6000), [["a", "b", "c"]] * 6000)
    best = [row.index(max(row)) for row in rows]
    assert all(abs(best.count(i) - 2000) < 4 * math.sqrt(6000 * 2 / 9) for i in range(3))
    assert all(math.isclose(math.fsum(map(math.exp, row)), 1) for row in rows)


def test_equal_options_have_different_log_likelihoods() -> None:
    first, second = RandomModel(0).option_loglikelihoods(make_prompts(1), [["Yes", "Yes"]])[0]
    assert first != second


def test_other_prompts_get_a_sentence() -> None:
    model = RandomModel(0)
    assert model.generate([Prompt("a", DESCRIBE), Prompt("b", f"A. x\n{DESCRIBE}")], 8) == [SENTENCE] * 2
    assert model.generate([Prompt("a", LETTER_INSTRUCTION)], 8) == [SENTENCE]


def test_the_spec_loads_the_model() -> None:
    model = load_model(parse_spec("random:5"), {"share_gpu": "true"})
    assert (model.name, model.needs_images, model.describe()["seed"]) == ("random-5", False, 5)
    model.close()
    with pytest.raises(ModelError, match="takes no model arguments"):
        load_model(parse_spec("random:5"), {"dtype": "auto"})
