"""The client against a real server: every request ends as a whole reply or as a named error, within its time."""

from __future__ import annotations

import asyncio
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
def test_a_passing_failure_costs_a_repeat_and_no_more(first: Reply) -> None:
    found, server, client = ask(lambda body, attempt: first if attempt == 1 else GOOD, timeout=20)
    assert texts(found) == ["fine"]
    assert len(server.bodies) == 2
    assert (client.usage.requests, client.usage.retries) == (2, 1)
    assert client.usage.prompt_tokens == 10  # of the whole reply alone


@pytest.mark.parametrize("always", FIRST_FAILS.values(), ids=FIRST_FAILS.keys())
def test_a_lasting_failure_is_a_named_error_within_the_time(always: Reply) -> None:
    began = time.monotonic()
    found, server, _ = ask(lambda body, attempt: always, timeout=0.3)
    assert time.monotonic() - began < 5  # far above 0.3 s, far below a sleep as the server might ask for
    (error,) = found
    assert isinstance(error, EndpointError)
    assert f"m at {server.url.split('/')[2]}: " in str(error)
    assert "\n" not in str(error)


def test_a_hang_ends_at_the_deadline() -> None:
    (error,), server, _ = ask(lambda body, attempt: Reply(GOOD, delay=30), timeout=0.5)
    assert isinstance(error, EndpointError)
    assert "no reply within 0.5 s (--qbench-timeout)" in str(error)
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "headers", [{"retry-after": "90"}, {"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}, {"retry-after-ms": "90000"}]
)
def test_a_longer_wait_than_the_time_left_is_not_slept(headers: dict[str, str]) -> None:
    (error,), server, _ = ask(lambda body, attempt: Reply({"error": "limit"}, 429, headers), timeout=2)
    assert isinstance(error, EndpointError)
    assert "HTTP 429: limit; it asks to wait" in str(error)
    assert len(server.bodies) == 1


def test_no_request_is_sent_while_the_limit_lasts() -> None:
    """One slot after the other learns that nothing remains; the second waits for the reset."""
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


def test_a_limit_that_one_request_meets_holds_back_the_others() -> None:
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
                while not server.bodies or server.in_flight:  # until the first has met the limit
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
def test_what_another_attempt_cannot_change_is_asked_once(status: int) -> None:
    headers = {"location": "http://127.0.0.1:9/elsewhere"} if status == 301 else {}
    (error,), server, _ = ask(lambda body, attempt: Reply({"error": {"message": "no"}}, status, headers))
    assert isinstance(error, EndpointError)
    assert error.status == status
    assert len(server.bodies) == 1


@pytest.mark.parametrize("ended", ["content_filter", "error", "abort", "tool_calls"])
def test_a_reply_that_was_broken_off_is_no_answer(ended: str) -> None:
    reply = {"choices": [{"finish_reason": ended, "message": {"content": "A"}}]}
    (error,), server, _ = ask(lambda body, attempt: reply)
    assert isinstance(error, EndpointError)
    assert len(server.bodies) == 1


def test_a_refusal_is_no_answer() -> None:
    reply = {"choices": [{"finish_reason": "stop", "message": {"content": "", "refusal": "I cannot"}}]}
    (error,), _, _ = ask(lambda body, attempt: reply)
    assert "refused" in str(error)


def test_thirty_percent_failing_loses_and_doubles_nothing() -> None:
    kinds = list(FIRST_FAILS.values())

    def answer(body: dict[str, Any], attempt: int) -> Any:
        draw = chance(body, attempt)
        return kinds[int(draw / 0.3 * len(kinds))] if draw < 0.3 else completion(body["messages"][0]["content"])

    found, server, client = ask(answer, 200, timeout=60)
    assert texts(found) == [f"q{i}" for i in range(200)]
    assert client.usage.prompt_tokens == 2000
    assert client.usage.requests == len(server.bodies) > 200
    assert server.most_in_flight <= 8


def test_requests_in_flight_are_as_many_as_allowed_and_no_more() -> None:
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
def test_the_key_is_sent_and_never_told(reply: Reply, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level("DEBUG")
    found, server, client = ask(lambda body, attempt: reply, timeout=0.4, cache=tmp_path)
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    told = repr(found) + str(found[0]) + caplog.text + repr(client.__dict__)
    told += "".join(path.read_bytes().decode("latin1") for path in tmp_path.iterdir())
    assert KEY[3:] not in told
    assert KEY[3:10] not in str(found[0])  # nor its beginning, where a message was cut


def test_a_key_of_its_own_goes_first_even_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QBENCH_MODEL_API_KEY", "")
    _, server, _ = ask(lambda body, attempt: GOOD)
    assert "Authorization" not in server.headers[0]


def test_a_placeholder_key_does_not_censor_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QBENCH_MODEL_API_KEY", "none")
    found, _, _ = ask(lambda body, attempt: completion("There is none."))
    assert texts(found) == ["There is none."]


def test_a_key_that_cannot_stand_in_a_header_is_a_usage_error_that_hides_it(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_addresses_that_name_nothing(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(text)
    assert "pw" not in str(caught.value)


def test_a_model_name_may_hold_an_at_sign() -> None:
    address = parse_address("org/m@v2@https://h.example/v1/")
    assert (address.model, address.base_url) == ("org/m@v2", "https://h.example/v1")


# the cache


def test_the_second_run_asks_nothing(tmp_path: Path) -> None:
    first, server, client = ask(lambda body, attempt: completion(body["messages"][0]["content"]), 5, cache=tmp_path)
    assert (len(server.bodies), client.usage.cache_hits) == (5, 0)
    assert client.usage.cost == pytest.approx(5 * (10 * 1.0 + 2 * 2.0) / 1e6)
    with serving(lambda body, attempt: Reply({}, 500)) as dead:
        endpoints = Endpoints(timeout=0.1, cache=tmp_path)
        # The address is part of the key: the same place has to be named.
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
def test_whatever_shapes_a_reply_is_in_the_key(tmp_path: Path, change: dict[str, Any]) -> None:
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


def test_a_broken_cache_is_named(tmp_path: Path) -> None:
    (tmp_path / "replies.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(UsageError, match="replies.sqlite.*--qbench-no-cache"):
        Endpoints(cache=tmp_path).connect(parse_address("m@http://127.0.0.1:9/v1"), "model")
