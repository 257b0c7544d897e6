"""Language models as judges: prompts, samples, verdicts and faulty servers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.endpoints.event_loop import Endpoints
from pytest_qbench.errors import ItemError, UsageError
from pytest_qbench.items import DIMENSIONS
from pytest_qbench.judges.base import Judge, SupportsChoice, SupportsUnreadable
from pytest_qbench.judges.load import check_judge, make_judge
from pytest_qbench.judges.prompts import PACKAGED, digest, fill, read_prompts
from pytest_qbench.judges.rubric import RubricJudge
from pytest_qbench.judges.transformers import LocalGradingModel
from tests.builders import question
from tests.endpoints.server import Reply, Server, completion, serving, text_of

TEXTS, GOLDEN = ["It is blurry.", "It is sharp."], [("Blurry.",), ("Blurry.", "Out of focus.")]


@contextmanager
def judging(answer: Callable[[dict[str, Any], int], Any], *args: str, **how: Any) -> Iterator[tuple[Judge, Server]]:
    with serving(answer) as server:
        endpoints = Endpoints(timeout=5, **how)
        try:
            yield make_judge(f"openai:j@{server.url}", args, None, endpoints), server
        finally:
            endpoints.close()


def scores(body: dict[str, Any], attempt: int) -> Any:
    return completion(*[f"Score: {i % 3}" for i in range(body.get("n", 1))])


def ignores_n(body: dict[str, Any], attempt: int) -> Any:
    return completion("Score: 1")


def test_one_request_for_each_dimension_gives_all_rounds() -> None:
    with judging(scores) as (judge, server):
        assert judge.judge(TEXTS, GOLDEN, 5) == [{d: [0, 1, 2, 0, 1] for d in DIMENSIONS}] * 2
    assert len(server.bodies) == 6
    asked = [text_of(body) for body in server.bodies]
    assert sum("Out of focus." in text for text in asked) == 2  # relevance needs no reference
    assert all(text.endswith("Score: N\n") and ("It is blurry." in text) != ("It is sharp." in text) for text in asked)
    assert {body["n"] for body in server.bodies} == {5}


def test_a_score_in_the_judges_reasoning_does_not_count() -> None:
    with judging(lambda body, attempt: completion("<think>Score: 0</think>\nScore: 2")) as (judge, _):
        assert judge.judge(TEXTS[:1], GOLDEN[:1], 1) == [{d: [2] for d in DIMENSIONS}]


def test_a_judge_keeps_the_reason_for_each_unreadable_verdict() -> None:
    def answer(body: dict[str, Any], attempt: int) -> Any:
        if "sharp" in text_of(body).partition("Description to judge")[2]:
            return completion("Score: 2/2")
        cut = completion("")
        cut["choices"][0] |= {"finish_reason": "length"}
        cut["choices"][0]["message"] = {"role": "assistant", "content": None, "reasoning_content": "Let me see"}
        return cut

    with judging(answer) as (judge, _):
        assert judge.judge(TEXTS, GOLDEN, 1) == [{d: [None] for d in DIMENSIONS}] * 2
        assert isinstance(judge, SupportsUnreadable)
        cut, other = judge.unreadable
    assert cut == (
        "the judge's reply cannot be read: it ran out of tokens after ''; "
        "give it more tokens with --qbench-judge-arg=max_new_tokens=N"
    )
    assert other == "the judge's reply cannot be read: 'Score: 2/2' is not \"Score: 0|1|2\"; take another judge"


def test_a_server_that_ignores_n_gets_one_request_for_each_round() -> None:
    with judging(ignores_n) as (judge, server):
        assert judge.judge(TEXTS, GOLDEN, 5) == [dict.fromkeys(DIMENSIONS, [1] * 5)] * 2
    assert len(server.bodies) == 6 * 5
    assert sum("n" in body for body in server.bodies) == 1  # the first reply shows that the server ignores it


def test_a_server_that_rejects_n_gets_one_request_for_each_round() -> None:
    def answer(body: dict[str, Any], attempt: int) -> Any:
        return Reply({"error": "n must be 1"}, 400) if "n" in body else completion("2")

    with judging(answer) as (judge, server):
        assert judge.judge(TEXTS[:1], GOLDEN[:1], 3) == [dict.fromkeys(DIMENSIONS, [2] * 3)]
    assert len(server.bodies) == 1 + 9


def test_surplus_choices_give_no_additional_rounds() -> None:
    with judging(lambda body, attempt: completion(*["Score: 2"] * 9)) as (judge, _):
        assert judge.judge(TEXTS[:1], GOLDEN[:1], 3) == [dict.fromkeys(DIMENSIONS, [2] * 3)]


@pytest.mark.parametrize("answer", [scores, ignores_n])
def test_a_second_run_sends_no_request(tmp_path: Path, answer: Any) -> None:
    with serving(answer) as server:
        found = []
        for _ in range(2):
            endpoints = Endpoints(cache=tmp_path)
            judge = make_judge(f"openai:j@{server.url}", (), None, endpoints)
            found.append(judge.judge(TEXTS * 20, GOLDEN * 20, 5))
            endpoints.close()
            sent = len(server.bodies)
            server.bodies.clear()
    assert sent == 0
    assert found[0] == found[1]


def test_unreadable_verdicts_are_none_and_a_failed_request_affects_its_text_only() -> None:
    def answer(body: dict[str, Any], attempt: int) -> Any:
        if "It is sharp." in text_of(body):
            return Reply({"error": {"message": "Score: 2"}}, 403)
        return completion("Score: 2", "I think it is good", "1")

    with judging(answer) as (judge, _):
        first, second = judge.judge(TEXTS, GOLDEN, 3)
    assert first == {d: [2, None, 1] for d in DIMENSIONS}
    assert isinstance(second, ItemError)


def test_expected_scores_take_one_request_for_each_dimension() -> None:
    top = [{"token": t, "logprob": math.log(p)} for t, p in (("2", 0.6), ("1", 0.2), (" 1", 0.1), ("The", 0.1))]
    logprobs = {"content": [{**top[0], "top_logprobs": top}]}
    with judging(lambda body, attempt: completion("2", logprobs=logprobs), "mode=expected") as (judge, server):
        (found,) = judge.judge(TEXTS[:1], GOLDEN[:1], 5)
        assert judge.describe()["mode"] == "expected"
    assert not isinstance(found, ItemError)
    assert found["relevance"] == [pytest.approx((0.6 * 2 + 0.3 * 1) / 0.9)]
    assert len(server.bodies) == 3
    assert all(body["logprobs"] and text_of(body).endswith("nothing else.\n") for body in server.bodies)


def test_a_server_that_ignores_logprobs_is_an_error() -> None:
    with judging(lambda body, attempt: completion("2"), "mode=expected") as (judge, _):
        (found,) = judge.judge(TEXTS[:1], GOLDEN[:1], 5)
    assert "silently ignores logprobs" in str(found)


def test_votes_on_unparsed_replies() -> None:
    with judging(lambda body, attempt: completion("Choice: B", "X", "b", "?", "Choice: C")) as (judge, server):
        assert isinstance(judge, SupportsChoice)
        assert judge.decide([question(0)], ["Hardly."], 5) == [[1, None, 1, None, None]]
    assert "A. Yes\nB. No" in text_of(server.bodies[0])
    assert "Hardly." in text_of(server.bodies[0])


class Local:
    """A local model with given answer probabilities."""

    name = "local"
    needs_images = True

    def __init__(self, *weights: float) -> None:
        self.weights, self.batches = weights, [0]

    def describe(self) -> dict[str, Any]:
        return {"target": "local", "weights": "w", "device": "cpu"}

    def next_token_logprobs(self, prompts: Sequence[Any], words: Sequence[str]) -> list[list[float]]:
        self.batches.append(len(prompts))
        if any("poison" in prompt.text for prompt in prompts):
            raise ItemError("melted")
        assert {prompt.prefix for prompt in prompts} == {"Score:"}
        assert words == ("0", "1", "2")
        return [[math.log(w) for w in self.weights]] * len(prompts)


def test_rounds_of_a_local_judge_are_sampled_from_its_probabilities_and_repeatable() -> None:
    texts = [f"text {i}" for i in range(400)]
    judge = RubricJudge(LocalGradingModel(Local(0.2, 0.3, 0.5)), read_prompts(None))  # type: ignore[arg-type]
    verdicts = judge.judge(texts, [("g",)] * 400, 5)
    assert verdicts == judge.judge(texts, [("g",)] * 400, 5)
    drawn = [v for each in verdicts if not isinstance(each, ItemError) for d in DIMENSIONS for v in each[d]]
    for value, share in enumerate((0.2, 0.3, 0.5)):
        assert drawn.count(value) / 6000 == pytest.approx(share, abs=0.03)  # five standard errors
    expected = RubricJudge(LocalGradingModel(Local(0.2, 0.3, 0.5)), read_prompts(None), "expected")  # type: ignore[arg-type]
    (found,) = expected.judge(texts[:1], [("g",)], 5)
    assert found == {d: [pytest.approx(1.3)] for d in DIMENSIONS}


def test_a_text_that_fails_in_a_local_judge_affects_no_other() -> None:
    judge = RubricJudge(LocalGradingModel(Local(0.1, 0.1, 0.8)), read_prompts(None))  # type: ignore[arg-type]
    found = judge.judge(["good", "poison", "good"], [("g",)] * 3, 2)
    assert [isinstance(each, ItemError) for each in found] == [False, True, False]


# prompts


def test_a_description_cannot_insert_other_fields() -> None:
    assert fill("{golden} | {description} | {other}", {"golden": "{description}", "description": "{golden}"}) == (
        "{description} | {golden} | {other}"
    )


def test_the_users_prompts_replace_packaged_ones_and_change_the_hash(tmp_path: Path) -> None:
    own = tmp_path / "p.yaml"
    own.write_text("relevance: 'Judge {description}'\n")
    texts = read_prompts(own)
    assert texts["relevance"] == "Judge {description}"
    assert texts["completeness"] == read_prompts(None)["completeness"]
    assert digest(texts) != digest(read_prompts(PACKAGED))


@pytest.mark.parametrize(
    "content, why",
    [
        ("", "is empty"), ("- a", "no prompts"), ("relevant: x", "no prompt is called 'relevant'"),
        ("relevance: 3", "is not a text"), ("relevance: judge it", "lacks {description}"),
        ("completeness: '{description}'", "lacks {golden}"), ("a: [", "correct the YAML"), (None, "no such file"),
    ],
)  # fmt: skip
def test_an_unusable_file_of_prompts_is_a_usage_error(tmp_path: Path, content: str | None, why: str) -> None:
    own = tmp_path / "p.yaml"
    if content is not None:
        own.write_text(content)
    with pytest.raises(UsageError) as caught:
        check_judge("openai:m@http://h/v1", (), own)
    assert why in str(caught.value)
    assert "--qbench-judge-prompts=" in str(caught.value)


@pytest.mark.parametrize(
    "spec, args, why",
    [
        ("oracle", (), "lexicon"), ("lexicon:x", (), "no such judge"), ("openai:m", (), "BASE_URL"),
        ("hf:", (), "hub id"), ("hf:./nowhere", (), "no model folder"), ("lexicon", ("mode=expected",), "no arguments"),
        ("openai:m@http://h/v1", ("mode=maybe",), "rounds or expected"), ("openai:m@http://h/v1", ("dtype=float32",), "takes mode"),
        ("openai:m@http://h/v1", ("extra_body={]}",), "JSON object"), ("openai:m@http://h/v1", ("temperature",), "KEY=VALUE"),
    ],
)  # fmt: skip
def test_an_unusable_judge_is_a_usage_error(spec: str, args: tuple[str, ...], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        check_judge(spec, args)


def test_lexicon_rejects_prompts_and_unparsed_replies(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="without prompts"):
        check_judge("lexicon", (), PACKAGED)
    with pytest.raises(UsageError, match="cannot read replies"):
        check_judge("lexicon", reads_unparsed=True)
