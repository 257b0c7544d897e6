"""A model behind an endpoint: its requests, its results, and the errors for a server that lacks a feature."""

from __future__ import annotations

import base64
import hashlib
import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pytest_qbench.endpoints.event_loop import Endpoints
from pytest_qbench.errors import ItemError, ModelError, UsageError
from pytest_qbench.items import FileImage
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.models.images import LazyImage, LazyImages
from pytest_qbench.models.openai import OpenAIModel
from pytest_qbench.prompts import RATE_PREFIX, Prompt
from pytest_qbench.records import CUT, Response
from tests.endpoints.server import Reply, Server, completion, images_of, serving, text_of

WORDS = ("good", "poor")


def photo(seed: int, size: tuple[int, int] = (16, 12)) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(noise)


def decoded_images(body: dict[str, Any]) -> list[Image.Image]:
    return [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) for url in images_of(body)]


class Vllm:
    """Answers like vLLM. Each word is one token, whose id depends on its text. It ignores the parameters in `drops`."""

    def __init__(self, *drops: str, usage: bool = True, images: bool = True, closes: bool = True) -> None:
        self.drops, self.usage, self.images, self.closing = drops, usage, images, [2] if closes else []

    def __call__(self, request: dict[str, Any], attempt: int) -> Any:
        body = {key: value for key, value in request.items() if key not in self.drops}
        if body.get("continue_final_message") and body.get("add_generation_prompt"):
            return Reply({"error": {"message": "Cannot set both"}}, 400)
        turns = body["messages"]
        ids = [1, *(7 for _ in images_of(body) if self.images), *self.ids(text_of({"messages": turns[:1]})), 9]
        if len(turns) > 1:
            ids += self.ids(turns[1]["content"])
            if not body.get("continue_final_message"):
                ids += self.closing  # the template closes the turn and opens the next one
                ids += [9] if body.get("add_generation_prompt", True) else []
        reply = completion("A fine reply.")
        if self.usage:
            reply["usage"] = {"prompt_tokens": len(ids), "completion_tokens": 1}
        else:
            del reply["usage"]
        if body.get("return_token_ids"):
            reply["prompt_token_ids"] = ids
        if "prompt_logprobs" in body:
            texts = {i: word for word in text_of(body).split() for i in self.ids(word)}
            reply["prompt_logprobs"] = [
                None,
                *({str(i): {"logprob": self.logprob(i), "decoded_token": texts.get(i, "?")}} for i in ids[1:]),
            ]
        if body.get("logprobs"):
            named = [{"token": f"token_id:{i}", "logprob": self.logprob(i)} for i in body.get("logprob_token_ids", ())]
            reply["choices"][0]["logprobs"] = {"content": [{"token": "x", "logprob": -0.1, "top_logprobs": named}]}
        return reply

    @staticmethod
    def ids(text: str) -> list[int]:
        return [10 + sum(map(ord, word)) for word in text.split()]

    @staticmethod
    def logprob(token: int) -> float:
        return -token / 100


@contextmanager
def served(answer: Callable[[dict[str, Any], int], Any], **args: str) -> Iterator[tuple[OpenAIModel, Server]]:
    with serving(answer) as server:
        endpoints = Endpoints(timeout=2, concurrency=8)
        model = load_model(parse_spec(f"openai:org/m@{server.url}"), args, endpoints=endpoints)
        assert isinstance(model, OpenAIModel)
        try:
            yield model, server
        finally:
            model.close()
            endpoints.close()


def prompts(n: int, prefix: str | None = None) -> list[Prompt]:
    return [Prompt(f"item/{i}", f"Question {i}?", (photo(i),), prefix) for i in range(n)]


def test_a_reply_that_ends_at_the_token_limit_is_marked_as_cut() -> None:
    def answer(body: dict[str, Any], attempt: int) -> Any:
        cut = completion(" The image is ")
        cut["choices"][0]["finish_reason"] = "length" if "1?" in text_of(body) else "stop"
        return cut

    with served(answer) as (model, _):
        assert model.generate(prompts(2), 3) == ["The image is", Response("The image is", finish=CUT)]


def test_each_reply_takes_one_request_with_the_exact_pixels() -> None:
    with served(lambda body, attempt: completion(f" {text_of(body)} ")) as (model, server):
        assert model.generate(prompts(20), 32) == [f"Question {i}?" for i in range(20)]
    assert len(server.bodies) == 20
    for body in server.bodies:
        assert (body["model"], body["temperature"], body["max_tokens"]) == ("org/m", 0, 32)
        (image,) = decoded_images(body)
        number = int(text_of(body).split()[1].rstrip("?"))
        assert np.array_equal(np.asarray(image), np.asarray(photo(number)))


def test_system_text_and_images_stand_where_the_prompt_has_them() -> None:
    asked = Prompt("k", "First: , second: .", (photo(0), photo(1)), system="Be brief.", places=(7, 17))
    with served(lambda body, attempt: completion("x")) as (model, server):
        model.generate([asked], 4)
    system, user = server.bodies[0]["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert [part.get("text") for part in user["content"]] == ["First: ", None, ", second: ", None, "."]
    assert [np.array_equal(image, photo(i)) for i, image in enumerate(decoded_images({"messages": [user]}))] == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    "refused, args, images",
    [
        ((), {}, "files"),
        (("image/webp",), {}, "files, but webp as png"),
        (("image/jpeg", "image/webp"), {}, "files, but jpeg and webp as png"),
        ((), {"images": "png"}, "png"),
    ],
)
def test_the_probe_finds_the_formats_that_the_server_reads(
    tmp_path: Path, refused: tuple[str, ...], args: dict[str, str], images: str
) -> None:
    def answer(body: dict[str, Any], attempt: int) -> Any:
        if any(url.startswith(f"data:{kind}") for url in images_of(body) for kind in refused):
            return Reply({"error": {"message": "Failed to load image"}}, 400)
        return completion("x", usage={"prompt_tokens": 5 + 9 * len(images_of(body))})

    photo(1).save(tmp_path / "one.webp", lossless=True)
    shown = Prompt("k", "Q?", LazyImages([LazyImage(FileImage(tmp_path, "images", "one.webp"))]))
    with served(answer, **args) as (model, server):
        model.probe(["description"], "generate", WORDS)
        assert model.generate([shown], 4) == ["x"]
        assert model.describe()["images"] == images
    (url,) = images_of(server.bodies[-1])
    assert url.startswith(f"data:image/{'webp' if images == 'files' else 'png'};")
    assert np.array_equal(decoded_images(server.bodies[-1])[0].convert("RGB"), photo(1))


@pytest.mark.parametrize("pixels, size", [(None, (16, 12)), ("192", (16, 12)), ("48", (8, 6))])
def test_images_are_scaled_down_only_with_max_pixels(pixels: str | None, size: tuple[int, int]) -> None:
    args = {"max_pixels": pixels} if pixels else {}
    with served(lambda body, attempt: completion("x"), **args) as (model, server):
        model.generate(prompts(1), 4)
    assert decoded_images(server.bodies[0])[0].size == size


def test_a_failed_prompt_affects_no_other_and_its_error_message_is_no_reply() -> None:
    def answer(body: dict[str, Any], attempt: int) -> Any:
        return Reply({"error": {"message": "A. Yes"}}, 400) if "Question 3?" in text_of(body) else completion("B")

    with served(answer) as (model, server):
        found = model.generate(prompts(6), 4)
    assert [isinstance(each, ItemError) for each in found] == [False, False, False, True, False, False]
    assert len(server.bodies) == 6


def test_extra_body_adds_and_removes_parameters() -> None:
    with served(
        lambda body, attempt: completion("x"), extra_body='{"max_tokens": null, "max_completion_tokens": 9}'
    ) as (
        model,
        server,
    ):
        model.generate(prompts(1), 4)
    assert "max_tokens" not in server.bodies[0]
    assert server.bodies[0]["max_completion_tokens"] == 9


def test_words_after_the_prefix_take_one_request_for_each_image() -> None:
    with served(Vllm()) as (model, server):
        model.probe(["assessment"], "generate", WORDS)
        server.bodies.clear()
        rows = model.next_token_logprobs(prompts(5, RATE_PREFIX), WORDS)
    expected = [Vllm.logprob(Vllm.ids(word)[0]) for word in WORDS]
    assert rows == [expected] * 5
    assert len(server.bodies) == 5
    for body in server.bodies:
        assert body["messages"][-1] == {"role": "assistant", "content": RATE_PREFIX}
        assert (body["continue_final_message"], body["add_generation_prompt"], body["max_tokens"]) == (True, False, 1)


def test_the_score_of_a_word_sums_over_its_tokens() -> None:
    words = ("very good", "poor")
    with served(Vllm()) as (model, _):
        rows = model.next_token_logprobs(prompts(2, RATE_PREFIX), words)
    expected = [math.fsum(Vllm.logprob(i) for i in Vllm.ids(word)) for word in words]
    assert rows == [pytest.approx(expected)] * 2


def test_the_likelihood_of_an_option_sums_over_its_tokens_as_the_reply() -> None:
    options = [("Yes", "No"), ("Very blurry", "Not blurry at all", "Fine")]
    with served(Vllm()) as (model, server):
        model.probe(["perception"], "likelihood", WORDS)
        server.bodies.clear()
        rows = model.option_loglikelihoods(prompts(2), options)
    expected = [[math.fsum(Vllm.logprob(i) for i in Vllm.ids(option)) for option in own] for own in options]
    assert rows == [pytest.approx(row) for row in expected]
    asked = [body for body in server.bodies if images_of(body)]
    # One request for Yes and No; for the others one for each inner node: "", "Very", "Not", "Not blurry", "Not blurry at".
    assert len(asked) == 1 + 5
    assert not any("prompt_logprobs" in body for body in asked)
    begun = sorted(str(body["messages"][1]["content"]) for body in asked if len(body["messages"]) > 1)
    assert begun == ["Not", "Not blurry", "Not blurry at", "Very"]


class Cached(Vllm):
    """A server with a prefix cache of blocks, which counts the tokens that it computes. An image has 576 tokens."""

    def __init__(self, *drops: str) -> None:
        super().__init__(*drops)
        self.blocks, self.computed = set[tuple[int, ...]](), 0

    def __call__(self, request: dict[str, Any], attempt: int) -> Any:
        reply = super().__call__({**request, "return_token_ids": True, "prompt_logprobs": 0}, attempt)
        ids = list(reply["prompt_token_ids"])
        for url in images_of(request):
            ids[1:2] = [int.from_bytes(hashlib.sha256(url.encode()).digest()[:6], "big")] * 576
        starts = [tuple(ids[:end]) for end in range(16, len(ids), 16)]
        known = 0 if "prompt_logprobs" in request else sum(start in self.blocks for start in starts)  # as vLLM
        self.blocks.update(starts)
        self.computed += len(ids) - 16 * known
        for name, value in (("return_token_ids", "prompt_token_ids"), ("prompt_logprobs", "prompt_logprobs")):
            if name not in request or name in self.drops:
                del reply[value]
        return reply


@pytest.mark.parametrize("drops, most", [((), 1.15), (("logprob_token_ids",), 4.0)])
def test_a_question_takes_one_prefill_where_the_server_names_tokens(drops: tuple[str, ...], most: float) -> None:
    options = [("Yes", "No"), ("Good", "Fair", "Poor"), ("Very blurry", "Not blurry at all", "Fine", "Not dark")] * 4
    with served(server_side := Cached(*drops)) as (model, _):
        model.probe(["perception"], "likelihood", WORDS)
        model.option_loglikelihoods(prompts(0), [])
        server_side.computed = 0
        rows = model.option_loglikelihoods(prompts(12), options)
        prefills = server_side.computed / (12 * (576 + 5))
    expected = [[math.fsum(Vllm.logprob(i) for i in Vllm.ids(option)) for option in own] for own in options]
    assert rows == [pytest.approx(row) for row in expected]
    assert prefills <= most
    assert (prefills > 2) == bool(drops)


def test_an_option_whose_tokens_do_not_begin_alone_is_asked_for_as_a_whole() -> None:
    """The server reads "Not blurry" as other tokens than the first two of "Not blurry at all"."""

    class Merging(Vllm):
        @staticmethod
        def ids(text: str) -> list[int]:
            return Vllm.ids(re.sub(r"Not blurry$", "Not_blurry", text))

    option = "Not blurry at all"
    with served(Merging()) as (model, server):
        model.probe(["perception"], "likelihood", WORDS)
        server.bodies.clear()
        for _ in range(2):
            (row,) = model.option_loglikelihoods(prompts(1), [(option, "Yes")])
            assert row == pytest.approx(
                [math.fsum(map(Vllm.logprob, Vllm.ids(option))), Vllm.logprob(Vllm.ids("Yes")[0])]
            )
    assert sum("prompt_logprobs" in body and bool(images_of(body)) for body in server.bodies) == 2


@pytest.mark.parametrize(
    "server, tasks, answer, why",
    [
        (Vllm("logprobs"), ["assessment"], "generate", "silently ignores logprobs"),
        (Vllm("logprob_token_ids"), ["assessment"], "generate", "silently ignores logprob_token_ids"),
        (Vllm("continue_final_message"), ["assessment"], "generate", "silently ignores continue_final_message"),
        (Vllm("return_token_ids"), ["assessment"], "generate", "silently ignores return_token_ids"),
        (Vllm("prompt_logprobs"), ["perception"], "likelihood", "silently ignores prompt_logprobs"),
        (Vllm("continue_final_message"), ["perception"], "likelihood", "silently ignores continue_final_message"),
        (Vllm("continue_final_message", "add_generation_prompt"), ["perception"], "likelihood", "silently ignores continue_final"),
        (Vllm("continue_final_message", closes=False), ["assessment"], "generate", "silently ignores continue_final_message"),
        (Vllm(images=False), ["description"], "generate", "silently ignores images"),
        (lambda b, a: Reply({"error": {"message": "no such model"}}, 404), ["perception"], "generate", "no such model"),
        (lambda b, a: Reply({"error": {"message": "bad key"}}, 401), ["description"], "generate", "HTTP 401: bad key"),
    ],
)  # fmt: skip
def test_the_probe_names_the_missing_feature(server: Any, tasks: list[str], answer: Any, why: str) -> None:
    with served(server) as (model, _), pytest.raises(ModelError) as caught:
        model.probe(tasks, answer, WORDS)
    assert why in str(caught.value)
    assert str(caught.value).startswith("openai:org/m@http://127.0.0.1:")
    if tasks == ["assessment"]:
        assert "--qbench-model-arg=assessment=ask" in str(caught.value)


@pytest.mark.parametrize(
    "server, tasks, answer",
    [
        (Vllm("logprobs", "logprob_token_ids", "return_token_ids"), ["perception", "description"], "generate"),
        (Vllm("logprobs", "logprob_token_ids"), ["perception"], "likelihood"),
        (Vllm("prompt_logprobs"), ["assessment"], "generate"),
        (Vllm(usage=False), ["assessment", "perception"], "likelihood"),
        (Vllm(closes=False), ["assessment", "perception"], "likelihood"),
    ],
)
def test_the_probe_requires_only_features_that_the_tasks_need(server: Any, tasks: list[str], answer: Any) -> None:
    with served(server) as (model, _):
        model.probe(tasks, answer, WORDS)
        assert str(model.describe()["sees_images"]).startswith("yes" if server.usage else "not checked")


def closed(top: dict[str, float]) -> Callable[[dict[str, Any], int], Any]:
    """Return the answers of a closed endpoint, which rejects continuations and returns the likeliest tokens."""

    def answer(body: dict[str, Any], attempt: int) -> Any:
        if "continue_final_message" in body:
            return Reply({"error": {"message": "Unknown parameter: continue_final_message"}}, 400)
        entries = [{"token": token, "logprob": math.log(p)} for token, p in top.items()]
        logprobs = {"content": [{**entries[0], "top_logprobs": entries}]} if body.get("logprobs") else None
        return completion("good", logprobs=logprobs, usage={"prompt_tokens": 5 + 9 * len(images_of(body))})

    return answer


def test_assessment_ask_prompts_a_closed_endpoint_for_one_word() -> None:
    with (
        served(closed({"good": 0.5, " Good": 0.1, "poor": 0.2, "The": 0.1})) as (model, _),
        pytest.raises(ModelError) as e,
    ):
        model.probe(["assessment"], "generate", WORDS)
    assert "Unknown parameter" in str(e.value)
    with served(closed({"good": 0.5, " Good": 0.1, "poor": 0.2, "The": 0.1}), assessment="ask") as (model, server):
        model.probe(["assessment"], "generate", WORDS)
        (row,) = model.next_token_logprobs(prompts(1, RATE_PREFIX), WORDS)
    assert row == pytest.approx([math.log(0.6), math.log(0.2)])
    assert text_of(server.bodies[-1]) == "Question 0? Answer with one word: good or poor."
    assert model.conditions == {"asked": "Answer with one word: {} or {}."}


def test_a_word_outside_the_likeliest_tokens_has_no_score() -> None:
    with served(closed({"good": 0.9, "fine": 0.1}), assessment="ask") as (model, _):
        (row,) = model.next_token_logprobs(prompts(1, RATE_PREFIX), WORDS)
    assert isinstance(row, ItemError)
    assert "'poor' is not among the 2 likeliest first tokens" in str(row)


def test_replies_are_cached_only_with_a_revision(tmp_path: Any) -> None:
    with serving(lambda body, attempt: completion("x")) as server:
        for args, expected in (({}, 4), ({"revision": "v1"}, 2), ({"revision": "v2"}, 2)):
            for _ in range(2):
                endpoints = Endpoints(cache=tmp_path)
                load_model(parse_spec(f"openai:m@{server.url}"), args, endpoints=endpoints).generate(prompts(2), 4)
                endpoints.close()
            assert len(server.bodies) == expected
            server.bodies.clear()


@pytest.mark.parametrize(
    "spec, args, why",
    [
        ("openai:m", {}, "BASE_URL"), ("openai:m@http://h/v1", {"dtype": "float32"}, "does not apply to an endpoint"),
        ("tiny", {"price": "1/2"}, "does not apply to a local model"),
    ],
)  # fmt: skip
def test_wrong_specs_and_arguments_are_usage_errors(spec: str, args: dict[str, str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        load_model(parse_spec(spec), args)


def test_results_keep_the_order_of_the_prompts() -> None:
    def answer(body: dict[str, Any], attempt: int) -> Reply:
        number = int(text_of(body).split()[1].rstrip("?"))
        return Reply(completion(str(number)), delay=0.02 * (number % 5))

    with served(answer) as (model, _):
        sent: Sequence[Prompt] = prompts(30)
        assert model.generate(sent, 4) == [str(i) for i in range(30)]


def test_further_words_of_one_token_come_with_the_same_request() -> None:
    class Spelling(Vllm):
        """Spell "fair" with two tokens, merge "low" with the text before it, and count the ids of a request."""

        most = 99

        def __call__(self, request: dict[str, Any], attempt: int) -> Any:
            if len(request.get("logprob_token_ids", ())) > self.most:
                return Reply({"error": {"message": "too many"}}, 400)
            return super().__call__(request, attempt)

        @staticmethod
        def ids(text: str) -> list[int]:
            text = text.replace("fair", "fa ir").replace("is low", "islow")
            return [10 + sum(map(ord, word)) for word in text.split()]

    def found(most: int, **more: Sequence[str]) -> tuple[list[Any], int]:
        with served(server_side := Spelling()) as (model, server):
            server_side.most = most
            model.probe(["assessment"], "generate", WORDS)
            model.next_token_logprobs(prompts(1, RATE_PREFIX), WORDS, **more)
            server.bodies.clear()
            return model.next_token_logprobs(prompts(3, RATE_PREFIX), WORDS, **more), len(server.bodies)

    def value(*words: str) -> float:
        return math.fsum(Vllm.logprob(Vllm.ids(word)[0]) for word in words)

    free = ("high", "low", "fair", "bad")
    rows, requests = found(99, free=free)
    expected = [value("good"), value("poor"), value("high"), math.nan, math.nan, value("bad")]
    assert rows == [pytest.approx(expected, nan_ok=True)] * 3
    assert requests == 3
    rows, requests = found(99, free=free, named=("sharp", "fair"))  # a word with two tokens takes a request of its own
    assert rows[0][2:4] == pytest.approx([value("sharp"), value("fa", "ir")])
    assert requests == 6
    rows, requests = found(2, free=free)  # a server that names no more than two tokens still gives the score
    assert rows == [pytest.approx([value("good"), value("poor"), *[math.nan] * 4], nan_ok=True)] * 3
    assert requests == 3


def test_a_word_among_the_likeliest_is_recorded_and_another_is_not() -> None:
    def answer(body: dict[str, Any], attempt: int) -> Any:
        assert body["max_tokens"] != 1 or "one word: good or poor." in text_of(body) or not body.get("logprobs")
        reply = completion("good")
        top = [{"token": t, "logprob": v} for t, v in ((" Good", -0.5), ("Fine", -2.0), (" fine", -2.0))]
        reply["choices"][0]["logprobs"] = {"content": [{"token": "poor", "logprob": -1.0, "top_logprobs": top}]}
        return reply

    with served(answer, assessment="ask") as (model, server):
        rows = model.next_token_logprobs(prompts(2, RATE_PREFIX), WORDS, named=["sharp"], free=["fine", "bad"])
    assert rows == [pytest.approx([-0.5, -1.0, math.nan, -2.0 + math.log(2), math.nan], nan_ok=True)] * 2
    assert len(server.bodies) == 2
