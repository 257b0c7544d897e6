"""The client against a real server: each request ends with a complete reply or an `EndpointError` before its deadline."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.endpoints.address import parse_address
from pytest_qbench.endpoints.client import Client, EndpointError
from pytest_qbench.endpoints.event_loop import Endpoints
from pytest_qbench.errors import ItemError, UsageError
from tests.endpoints.server import Reply, Server, chance, completion, serving

KEY = "sk-secret-0123456789abcdef"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QBENCH_MODEL_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def ask(
    answer: Callable[[dict[str, Any], int], Any], n: int = 1, *, timeout: float = 1.0, cache: Path | None = None
) -> tuple[list[Any], Server, Client]:
    """Ask `n` different questions at once."""
    with serving(answer) as server:
        endpoints = Endpoints(timeout=timeout, concurrency=8, cache=cache)
        client = endpoints.connect(parse_address(f"m@{server.url}"), "model", price=(1.0, 2.0))
        try:
            found = endpoints.each(
                range(n), lambda i: client.chat({"messages": [{"role": "user", "content": f"q{i}"}]})
            )
        finally:
            endpoints.close()
    return found, server, client


def texts(found: list[Any]) -> list[str]:
    return [reply.choices[0].text for reply in found]


GOOD = completion("fine")
FIRST_FAILS = {
    "429": Reply({"error": {"message": "slow down"}}, 429),
    "429 with retry-after": Reply({"error": {"message": "slow down"}}, 429, {"retry-after": "0"}),
    "500": Reply({"error": "oops"}, 500),
    "503 as a page": Reply(b"<html>busy</html>", 503),
    "reset": Reply(reset=True),
    "truncated": Reply(json.dumps(GOOD).encode()[:-20]),
    "wrong json": Reply({"answer": "fine"}),
    "no object": Reply(["fine"]),
    "empty choices": Reply({**GOOD, "choices": []}),
    "no message": Reply({"choices": [{"finish_reason": "stop"}]}),
    "no text": Reply({"choices": [{"finish_reason": "stop", "message": {"content": None}}]}),
    "error inside": Reply({**GOOD, "error": {"message": "upstream died"}}),
    "not utf-8": Reply(b"\xff\xfe"),
    "deep": Reply(b"[" * 100_000),
}


@pytest.mark.parametrize("first", FIRST_FAILS.values(), ids=FIRST_FAILS.keys())
def test_a_transient_failure_costs_one_retry(first: Reply) -> None:
    found, server, client = ask(lambda body, attempt: first if attempt == 1 else GOOD, timeout=20)
    assert texts(found) == ["fine"]
    assert len(server.bodies) == 2
    assert (client.usage.requests, client.usage.retries) == (2, 1)
    assert client.usage.prompt_tokens == 10  # the failed attempt adds none


@pytest.mark.parametrize("always", FIRST_FAILS.values(), ids=FIRST_FAILS.keys())
def test_a_permanent_failure_ends_at_the_deadline_with_an_error_that_names_the_endpoint(always: Reply) -> None:
    began = time.monotonic()
    found, server, _ = ask(lambda body, attempt: always, timeout=1.0)
    assert time.monotonic() - began < 5  # far above 1 s, far below the waits that servers ask for
    (error,) = found
    assert isinstance(error, EndpointError)
    assert f"m at {server.url.split('/')[2]}: " in str(error)
    assert "\n" not in str(error)


def test_a_server_that_hangs_is_given_up_at_the_deadline() -> None:
    (error,), server, _ = ask(lambda body, attempt: Reply(GOOD, delay=30), timeout=3)
    assert isinstance(error, EndpointError)
    assert "no reply within 3 s (--qbench-timeout)" in str(error)
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "headers", [{"retry-after": "90"}, {"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}, {"retry-after-ms": "90000"}]
)
def test_a_wait_longer_than_the_time_left_lasts_as_long_as_the_deadline_allows(headers: dict[str, str]) -> None:
    times: list[float] = []

    def answer(body: dict[str, Any], attempt: int) -> Reply:
        times.append(time.monotonic())
        return Reply({"error": "limit"}, 429, headers)

    (error,), _, _ = ask(answer, timeout=5)
    assert isinstance(error, EndpointError)
    assert error.may_pass
    assert "HTTP 429: limit" in str(error)
    assert 2 <= len(times) <= 15  # ever shorter waits, each a third of the time left
    assert times[1] - times[0] >= 0.2  # a third of the time left, not at once
    (reply,), _, _ = ask(lambda body, attempt: GOOD if attempt > 1 else answer(body, attempt), timeout=5)
    assert reply.choices[0].text == "fine"


def test_an_attempt_that_hangs_is_sent_a_second_time_and_the_first_reply_counts() -> None:
    def answer(body: dict[str, Any], attempt: int) -> Reply:
        hangs = body["messages"][0]["content"] == "q9" and attempt == 1
        return Reply(completion("hung" if hangs else "fine"), delay=60.0 if hangs else 0.0)

    found, server, client = ask(answer, 10, timeout=50)
    assert texts(found) == ["fine"] * 10
    assert len(server.bodies) == client.usage.requests == 11
    assert client.usage.retries == 1


def test_few_requests_are_sent_twice_however_many_hang() -> None:
    def answer(body: dict[str, Any], attempt: int) -> Reply:
        number = int(body["messages"][0]["content"][1:])
        return Reply(GOOD, delay=0.0 if number < 8 else 4.0)

    found, server, _ = ask(answer, 16, timeout=50)
    assert texts(found) == ["fine"] * 16
    assert len(server.bodies) <= 16 + 3


def test_an_attempt_has_a_timeout_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_qbench.endpoints.client._SHORT", 0.5)
    found, server, _ = ask(lambda body, attempt: Reply(GOOD, delay=60.0 if attempt == 1 else 0.0), timeout=4)
    assert texts(found) == ["fine"]
    assert len(server.bodies) == 2


def test_a_wait_between_attempts_holds_no_slot() -> None:
    order: list[str] = []

    def answer(body: dict[str, Any], attempt: int) -> Reply:
        text = body["messages"][0]["content"]
        order.append(text)
        return Reply({"error": "busy"}, 500, {"retry-after": "1"}) if (text, attempt) == ("q0", 1) else Reply(GOOD)

    with serving(answer) as server:
        endpoints = Endpoints(timeout=20, concurrency=1)
        client = endpoints.connect(parse_address(f"m@{server.url}"), "model")
        found = endpoints.each(range(3), lambda i: client.chat({"messages": [{"role": "user", "content": f"q{i}"}]}))
        endpoints.close()
    assert texts(found) == ["fine"] * 3
    assert order == ["q0", "q1", "q2", "q0"]


def test_no_request_is_sent_while_the_rate_limit_lasts() -> None:
    """Each reply says that no request remains, so the next request waits for the reset."""
    times: list[float] = []

    def answer(body: dict[str, Any], attempt: int) -> Reply:
        times.append(time.monotonic())
        return Reply(GOOD, headers={"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "300ms"})

    with serving(answer) as server:
        endpoints = Endpoints(timeout=5, concurrency=1)
        client = endpoints.connect(parse_address(f"m@{server.url}"), "model")
        for i in range(3):
            endpoints.run(client.chat({"messages": [{"role": "user", "content": str(i)}]}))
        endpoints.close()
    assert all(b - a >= 0.3 for a, b in itertools.pairwise(times))


def test_a_rate_limit_reached_by_one_request_delays_the_others() -> None:
    times: dict[str, float] = {}

    def answer(body: dict[str, Any], attempt: int) -> Any:
        text = body["messages"][0]["content"]
        if text == "first" and attempt == 1:
            return Reply({"error": "limit"}, 429, {"retry-after": "0.6"})
        times[text] = time.monotonic()
        return GOOD

    with serving(answer) as server:
        endpoints = Endpoints(timeout=5, concurrency=2)
        client = endpoints.connect(parse_address(f"m@{server.url}"), "model")

        async def late(text: str) -> Any:
            if text == "second":
                while not client._resume:  # until the first has reached the limit
                    await asyncio.sleep(0.01)
            return await client.chat({"messages": [{"role": "user", "content": text}]})

        began = time.monotonic()
        endpoints.each(["first", "second"], late)
        endpoints.close()
    assert times["second"] - began >= 0.6


def test_no_wait_between_attempts_passes_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_qbench.endpoints.client.backoff", lambda attempt, rng: 60.0)
    began = time.monotonic()
    (error,), _, _ = ask(lambda body, attempt: Reply({}, 500), timeout=1)
    assert isinstance(error, EndpointError)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 301])
def test_a_permanent_http_status_is_not_retried(status: int) -> None:
    headers = {"location": "http://127.0.0.1:9/elsewhere"} if status == 301 else {}
    (error,), server, _ = ask(lambda body, attempt: Reply({"error": {"message": "no"}}, status, headers))
    assert isinstance(error, EndpointError)
    assert error.status == status
    assert len(server.bodies) == 1


@pytest.mark.parametrize("ended", ["content_filter", "error", "abort", "tool_calls"])
def test_a_reply_with_an_abnormal_finish_reason_is_an_error(ended: str) -> None:
    reply = {"choices": [{"finish_reason": ended, "message": {"content": "A"}}]}
    (error,), server, _ = ask(lambda body, attempt: reply)
    assert isinstance(error, EndpointError)
    assert len(server.bodies) == 1


def test_a_refusal_is_an_error() -> None:
    reply = {"choices": [{"finish_reason": "stop", "message": {"content": "", "refusal": "I cannot"}}]}
    (error,), _, _ = ask(lambda body, attempt: reply)
    assert "refused" in str(error)


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_without_an_answer_is_an_error_and_not_requested_again(name: str) -> None:
    reply = {"choices": [{"finish_reason": "stop", "message": {"content": None, name: "It is blurred, so"}}]}
    (error,), server, _ = ask(lambda body, attempt: reply)
    assert "reasoning but no answer" in str(error)
    assert len(server.bodies) == 1


def test_with_thirty_percent_failures_each_request_gets_one_reply() -> None:
    kinds = list(FIRST_FAILS.values())

    def answer(body: dict[str, Any], attempt: int) -> Any:
        draw = chance(body, attempt)
        return kinds[int(draw / 0.3 * len(kinds))] if draw < 0.3 else completion(body["messages"][0]["content"])

    found, server, client = ask(answer, 200, timeout=60)
    assert texts(found) == [f"q{i}" for i in range(200)]
    assert client.usage.prompt_tokens == 2000
    assert client.usage.requests == len(server.bodies) > 200
    assert server.most_in_flight <= 8


def test_as_many_requests_are_in_flight_as_allowed() -> None:
    _, server, _ = ask(lambda body, attempt: Reply(GOOD, delay=0.05), 40, timeout=20)
    assert server.most_in_flight == 8


# keys

LEAKY = {
    "as an error": Reply({"error": {"message": f"bad key {KEY}"}}, 401),
    "cut in half": Reply({"error": {"message": "x" * 185 + KEY}}, 401),
    "as a page": Reply(f"<html>{KEY}</html>".encode(), 503),
    "in a reply": Reply(completion(f"your key is {KEY}")),
    "escaped in a reply": Reply(json.dumps(completion("K")).replace('"K"', f'"\\u0073{KEY[1:]}"').encode()),
    "error inside": Reply({"error": {"message": KEY}}),
    "as a header": Reply({}, 429, {"retry-after": "99", "x-key": KEY}),
    "as a reason": Reply(KEY.encode()),
}


@pytest.mark.parametrize("reply", LEAKY.values(), ids=LEAKY.keys())
def test_the_key_is_sent_but_appears_nowhere_else(
    reply: Reply, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("DEBUG")
    found, server, client = ask(lambda body, attempt: reply, timeout=1.5, cache=tmp_path)
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    output = repr(found) + str(found[0]) + caplog.text + repr(client.__dict__)
    output += "".join(path.read_bytes().decode("latin1") for path in tmp_path.iterdir())
    assert KEY[3:] not in output
    assert KEY[3:10] not in str(found[0])  # a shortened message must not contain its beginning either


@pytest.mark.parametrize("ended", ["length", "max_tokens", "model_length"])
@pytest.mark.parametrize("content", [None, "", "The picture", []])
def test_a_reply_that_ends_at_the_token_limit_is_marked_as_cut(ended: str, content: Any) -> None:
    message = {"role": "assistant", "content": content, "reasoning_content": "Let me see"}
    found, _, _ = ask(lambda body, attempt: {"choices": [{"finish_reason": ended, "message": message}]})
    (choice,) = found[0].choices
    assert (choice.text, choice.cut) == (content or "", True)


def test_a_reply_that_stops_by_itself_is_not_marked_as_cut() -> None:
    found, _, _ = ask(lambda body, attempt: GOOD)
    assert not found[0].choices[0].cut


def test_the_models_own_key_takes_precedence_even_if_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QBENCH_MODEL_API_KEY", "")
    _, server, _ = ask(lambda body, attempt: GOOD)
    assert "Authorization" not in server.headers[0]


def test_a_placeholder_key_is_not_masked_in_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QBENCH_MODEL_API_KEY", "none")
    found, _, _ = ask(lambda body, attempt: completion("There is none."))
    assert texts(found) == ["There is none."]


def test_a_key_with_a_line_break_is_a_usage_error_that_does_not_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a\nb")
    with pytest.raises(UsageError) as caught:
        Endpoints().connect(parse_address("m@http://127.0.0.1:9/v1"), "model")
    assert "OPENAI_API_KEY" in str(caught.value)
    assert "sk-a" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "m",
        "m@",
        "@http://h/v1",
        "m@ftp://h/v1",
        "m@http://",
        "m@http://u:pw@h/v1",
        "m@http://h/v1?key=pw",
        "m@http://h:x/v1",
    ],
)
def test_an_unusable_address_is_a_usage_error_without_its_password(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(text)
    assert "pw" not in str(caught.value)


def test_a_model_name_may_contain_an_at_sign() -> None:
    address = parse_address("org/m@v2@https://h.example/v1/")
    assert (address.model, address.base_url) == ("org/m@v2", "https://h.example/v1")


# the cache


def test_the_second_run_sends_no_request(tmp_path: Path) -> None:
    first, server, client = ask(lambda body, attempt: completion(body["messages"][0]["content"]), 5, cache=tmp_path)
    assert (len(server.bodies), client.usage.cache_hits) == (5, 0)
    assert client.usage.cost == pytest.approx(5 * (10 * 1.0 + 2 * 2.0) / 1e6)
    with serving(lambda body, attempt: Reply({}, 500)) as dead:
        endpoints = Endpoints(timeout=0.1, cache=tmp_path)
        # The address is part of the key, so the second run uses the address of the first server.
        again = endpoints.connect(parse_address(f"m@{server.url}"), "model")
        other = endpoints.connect(parse_address(f"m@{server.url}"), "model", revision="v2")
        bodies = [{"messages": [{"role": "user", "content": f"q{i}"}]} for i in range(5)]
        second = endpoints.each(bodies, again.chat)
        missed = endpoints.each(bodies, other.chat)
        endpoints.close()
    assert texts(second) == texts(first)
    assert (again.usage.requests, again.usage.cache_hits, again.usage.cost) == (0, 5, None)
    assert all(isinstance(each, ItemError) for each in missed)
    assert not dead.bodies


@pytest.mark.parametrize(
    "change", [{"temperature": 1}, {"n": 2}, {"messages": [{"role": "user", "content": "other"}]}, {"max_tokens": 3}]
)
def test_everything_that_affects_a_reply_is_part_of_the_cache_key(tmp_path: Path, change: dict[str, Any]) -> None:
    body = {"messages": [{"role": "user", "content": "q"}], "temperature": 0, "max_tokens": 2}
    with serving(lambda body, attempt: GOOD) as server:
        endpoints = Endpoints(cache=tmp_path)
        client = endpoints.connect(parse_address(f"m@{server.url}"), "model")
        for each in (body, {**body, **change}, body):
            endpoints.run(client.chat(each))
        endpoints.run(client.chat(body, sample=1))
        endpoints.close()
    assert len(server.bodies) == 3


def test_errors_are_never_cached(tmp_path: Path) -> None:
    replies = [
        Reply({"error": "no"}, 400),
        {"choices": [{"finish_reason": "content_filter", "message": {"content": "x"}}]},
        GOOD,
    ]
    with serving(lambda body, attempt: replies[attempt - 1]) as server:
        endpoints = Endpoints(cache=tmp_path)
        client = endpoints.connect(parse_address(f"m@{server.url}"), "model")
        found = [endpoints.each([{"messages": [{"role": "user", "content": "q"}]}], client.chat)[0] for _ in range(4)]
        endpoints.close()
    assert [isinstance(each, ItemError) for each in found] == [True, True, False, False]
    assert len(server.bodies) == 3


def test_a_broken_cache_is_a_usage_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "replies.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(UsageError, match="replies.sqlite.*--qbench-no-cache"):
        Endpoints(cache=tmp_path).connect(parse_address("m@http://127.0.0.1:9/v1"), "model")


# replies outside all limits

BIG = 20 << 20
TOO_MUCH = {
    "a large body": (Reply(b'{"choices": "' + b"x" * BIG + b'"}'), "the reply is larger than 16 MiB"),
    "a large error": (Reply(b"x" * BIG, 503), "the reply is larger than 16 MiB"),
    "a bomb": (Reply(gzip.compress(b" " * BIG), headers={"Content-Encoding": "gzip"}), "the reply is compressed"),
}


@pytest.mark.parametrize("reply, message", TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_a_reply_that_is_too_large_is_an_error_and_not_requested_again(reply: Reply, message: str) -> None:
    (found,), server, _ = ask(lambda body, attempt: reply, timeout=10)
    assert message in str(found)
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "usage", [
        {"prompt_tokens": -5, "completion_tokens": True, "cost": -1.0}, {"prompt_tokens": 10**30, "cost": 10**400},
        {"prompt_tokens": 1.5, "completion_tokens": "7", "cost": "1"}, [1], 7, {"cost": True},
    ],
)  # fmt: skip
def test_impossible_usage_figures_count_as_missing(usage: object) -> None:
    found, _, client = ask(lambda body, attempt: {**GOOD, "usage": usage})
    assert texts(found) == ["fine"]
    assert client.usage.to_dict() | {"cost": 0.0} == {
        "requests": 1, "retries": 0, "cache_hits": 0, "prompt_tokens": 0, "completion_tokens": 0, "cost": 0.0,
    }  # fmt: skip
    assert client.usage.cost == 0.0


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-1e999", "1", "1e308", str(10**400)])
def test_an_impossible_log_probability_makes_the_reply_an_error(text: str) -> None:
    body = json.dumps(completion("A", logprobs={"content": [{"token": "A", "logprob": "X"}]})).replace('"X"', text)
    (found,), _, _ = ask(lambda body_, attempt: Reply(body.encode()), timeout=1.0)
    assert isinstance(found, ItemError)


@pytest.mark.parametrize("top", [7, "x", {"a": 1}, [[]], [None]])
def test_malformed_candidates_for_the_first_token_are_ignored(top: object) -> None:
    tokens = [{"token": "A", "logprob": -1.0, "top_logprobs": top}]
    (found,), _, _ = ask(lambda body, attempt: completion("A", logprobs={"content": tokens}))
    assert found.choices[0].top == {"A": -1.0}
