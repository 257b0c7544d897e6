"""Asynchronous client of one endpoint, with slots, deadlines, retries, rate limits and the cache."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

import openai

from pytest_qbench.endpoints.address import Address
from pytest_qbench.endpoints.body_limit import TooLargeError, limit_body
from pytest_qbench.endpoints.cache import Cache, cache_key
from pytest_qbench.endpoints.completion import (
    Completion,
    MalformedError,
    RefusedError,
    error_text,
    parse_body,
    parse_completion,
)
from pytest_qbench.endpoints.key import Key
from pytest_qbench.endpoints.latencies import Latencies, latency_kind
from pytest_qbench.endpoints.request_body import stream_large_body
from pytest_qbench.endpoints.retry import backoff, is_transient, limit_reset, retry_after
from pytest_qbench.endpoints.slots import Slots
from pytest_qbench.endpoints.usage import Usage
from pytest_qbench.errors import ItemError, UsageError
from pytest_qbench.untrusted.parsing import parse_json

T = TypeVar("T")
CONNECT = 10.0  # seconds to wait for a connection before another attempt
_OF_TIME_LEFT = 0.75
"""Share of the time left that an attempt may take."""
_LONG_WAIT = 1 / 3  # share of the time left that the client waits if the server asks for more than is left
_POLL, _LOOK = 0.25, 2.0  # seconds between two looks at an attempt that may hang
_SHORT = 5.0  # seconds left in which there is time for one attempt only
_LAST_WAIT = 0.05  # share of the timeout below which the time left is not worth another wait
_HEDGES, _SHARE_OF_HEDGES = 2, 0.05  # number, and share of all requests, that may be sent twice
_MESSAGE = 200  # maximum characters quoted from an endpoint's error message


class EndpointError(ItemError):
    """A request failed. `status` is the HTTP status, None if the failure has none."""

    def __init__(self, message: str, status: int | None = None, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.status, self.may_pass = status, may_pass


class _TransientError(Exception):
    """An attempt failed and another may succeed; `after` is the server's `Retry-After` in seconds, None without one."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Client:
    """Requests completions from one endpoint. All methods but `__init__` run on the session's event loop.

    `timeout` (seconds) covers one request with all its retries and the waits between them. It starts when the request
    gets one of the `slots`. An attempt may take three quarters of the time that is left. If it takes far longer than
    others of its kind, the request is sent a second time beside it.
    """

    def __init__(
        self,
        address: Address,
        key: Key,
        *,
        timeout: float,
        slots: Slots,
        cache: Cache | None,
        price: tuple[float, float] | None = None,
        revision: str | None = None,
    ) -> None:
        self.address, self.timeout = address, timeout
        self.usage = Usage()
        self._key, self._cache, self._price, self._revision = key, cache, price, revision
        self._slots = slots
        self._http: openai.AsyncOpenAI | None = None
        self._resume = 0.0  # time on the loop's clock at which the server accepts requests again
        self._rng = random.Random()
        self._latencies = Latencies()
        self._hedges = 0

    async def chat(self, body: Mapping[str, Any], *, sample: int = 0) -> Completion:
        """Return the completion of a chat request; ``model`` is added to `body`.

        `sample` gives equal requests different keys in the cache, so that each is sent. Only complete replies are
        cached. Raises `EndpointError`.
        """
        request = {"model": self.address.model, **body}
        key = cache_key(self.address.base_url, self._revision, request, sample) if self._cache else ""
        if self._cache and (stored := self._cache.get(key)) is not None:
            self.usage.cache_hits += 1
            try:
                return parse_completion(stored)
            except (MalformedError, RefusedError) as e:
                raise UsageError(
                    f"{self._cache.path}: {e}; remove the file, or run without the cache: --qbench-no-cache"
                ) from e

        def parse(data: Any) -> tuple[Any, Completion]:
            return data, parse_completion(data)

        data, found = await self._request(request, parse)
        self.usage.add(found.usage, self._price)
        if self._cache:
            self._cache.put(key, data)
        return found

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _request(self, body: Mapping[str, Any], parse: Callable[[Any], T]) -> T:
        """Return the parsed reply to a request, with retries until the deadline. Raises `EndpointError`.

        A slot is held during an attempt, not during the waits between attempts. The time that a further attempt waits
        for its slot does not count.
        """
        clock = asyncio.get_running_loop().time
        deadline, attempt, last = math.inf, 0, ""
        while True:
            queued = clock()
            async with self._slots:
                deadline = clock() + self.timeout if attempt == 0 else deadline + clock() - queued
                await self._wait_for_limit(deadline)
                left = deadline - clock()
                limit = left if left < _SHORT else _OF_TIME_LEFT * left
                after = None
                try:
                    async with asyncio.timeout(limit):
                        return await self._hedged(body, parse, is_retry=attempt > 0)
                except TimeoutError:
                    if limit == left:
                        self._give_up(f"no reply within {self.timeout:g} s (--qbench-timeout){last}")
                    why = f"no reply within {limit:.1f} s"
                except RefusedError as e:
                    self._fail(str(e))
                except (MalformedError, _TransientError) as e:
                    why = self._one_line_without_key(str(e))
                    after = e.after if isinstance(e, _TransientError) else None
            left = deadline - clock()
            wait = backoff(attempt, self._rng) if after is None else after * self._rng.uniform(1.0, 1.1)
            if after is not None and after > left:
                if left < _LAST_WAIT * self.timeout:
                    self._give_up(
                        f"{why}; the server asks to wait {after:g} s, past the {self.timeout:g} s of --qbench-timeout"
                    )
                wait = _LONG_WAIT * left  # the whole wait would fail the request
            attempt += 1
            last = f", last of {attempt} attempts: {why}"
            if wait >= left:
                self._give_up(f"no reply within {self.timeout:g} s (--qbench-timeout){last}")
            await asyncio.sleep(wait)

    async def _hedged(self, body: Mapping[str, Any], parse: Callable[[Any], T], *, is_retry: bool) -> T:
        """Return the parsed reply to one attempt; a second one starts beside an attempt that hangs.

        The first reply counts, and the other attempt is cancelled. The second one takes a slot of its own.
        """
        clock, kind = asyncio.get_running_loop().time, latency_kind(body)

        async def send(again: bool) -> T:
            started = clock()
            found = parse(await self._send(body, is_retry=again))
            self._latencies.add(kind, clock() - started)
            return found

        async def send_beside() -> T:
            async with self._slots:
                return await send(True)

        started = clock()
        attempts = {asyncio.create_task(send(is_retry))}
        try:
            while True:
                patience = None if len(attempts) > 1 or not self._may_hedge() else self._latencies.patience(kind)
                wait = None if patience is None else min(_LOOK, max(_POLL, started + patience - clock()))
                done, attempts = await asyncio.wait(attempts, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
                final = [task for task in done if not isinstance(task.exception(), MalformedError | _TransientError)]
                if final or not attempts:
                    return (final or [*done])[0].result()
                # Others may have been sent twice during the wait.
                if not done and patience is not None and clock() >= started + patience and self._may_hedge():
                    self._hedges += 1
                    attempts.add(asyncio.create_task(send_beside()))
        finally:
            for task in attempts:
                task.cancel()

    def _may_hedge(self) -> bool:
        """Return whether another request may be sent twice: few are, or a slow server would get ever slower."""
        return self._hedges < _HEDGES + _SHARE_OF_HEDGES * self.usage.requests

    async def _send(self, body: Mapping[str, Any], *, is_retry: bool) -> Any:
        """Send one request and return the JSON of its reply. Raises `_TransientError` if a retry may succeed."""
        self.usage.requests += 1
        self.usage.retries += is_retry
        named = {key: body[key] for key in ("model", "messages")}
        more = {key: value for key, value in body.items() if key not in named}
        header: dict[str, Any] = {**self._key.headers()} or {"Authorization": openai.Omit()}
        try:
            raw = await self._sdk().chat.completions.with_raw_response.create(
                **named, extra_body=more, extra_headers=header
            )
            reply = raw.http_response
        except openai.APIStatusError as e:
            reply = e.response
        except TooLargeError as e:
            self._fail(str(e))
        except openai.APIConnectionError as e:
            cause = e.__cause__ or e
            # Without its cause: it holds the request's headers, and a traceback would show them.
            raise _TransientError(f"{type(cause).__name__}: {cause}") from None
        content, status, headers = reply.content, reply.status_code, reply.headers
        if (reset := limit_reset(headers)) <= self.timeout:
            self._pause(reset)
        if 200 <= status < 300:
            return parse_body(content, self._key)
        message = f"HTTP {status}: {_error_message(content, self._key)}"
        if not is_transient(status):
            self._fail(message, status)
        after = retry_after(headers)
        if after is not None and status in (429, 503) and after <= self.timeout:
            self._pause(after)
        raise _TransientError(message, after)

    def _sdk(self) -> openai.AsyncOpenAI:
        """Return the OpenAI client, created on first use. It sends requests and classifies errors; it never retries."""
        if self._http is None:
            for transport in ("httpcore", "httpcore2"):  # at DEBUG they log headers, and with them keys
                logging.getLogger(transport).setLevel(logging.WARNING)
            self._http = openai.AsyncOpenAI(
                base_url=self.address.base_url,
                api_key="-",  # each request sets its own header, or none without a key
                max_retries=0,
                timeout=openai.Timeout(None, connect=CONNECT),
                http_client=openai.DefaultAioHttpClient(
                    follow_redirects=False,
                    headers={"Accept-Encoding": "identity"},
                    event_hooks={"request": [stream_large_body], "response": [limit_body]},
                ),
            )
        return self._http

    def _pause(self, seconds: float) -> None:
        """Start no request for this many seconds: a rate limit applies to the account, not to one request."""
        if seconds > 0:
            self._resume = max(self._resume, asyncio.get_running_loop().time() + seconds)

    async def _wait_for_limit(self, deadline: float) -> None:
        """Wait until the server accepts requests again. Raises `EndpointError` if that is after the deadline."""
        clock = asyncio.get_running_loop().time
        while (wait := self._resume - clock()) > 0:
            if clock() + wait > deadline:
                self._give_up(
                    f"rate limit: no requests for {wait:.1f} s, past the {self.timeout:g} s of --qbench-timeout"
                )
            await asyncio.sleep(wait * self._rng.uniform(1.0, 1.05))

    def _give_up(self, why: str) -> NoReturn:
        """Raise the error of a request that may succeed at another time."""
        message = self._one_line_without_key(f"{self.address.model} at {self.address.host}: {why}")
        raise EndpointError(message, may_pass=True) from None

    def _fail(self, why: str, status: int | None = None) -> NoReturn:
        message = f"{self.address.model} at {self.address.host}: {why}"
        raise EndpointError(self._one_line_without_key(message), status) from None

    def _one_line_without_key(self, text: str) -> str:
        """Return a text on one line, without the key and shortened."""
        # The key is removed first: in a shortened text a part of it could remain unrecognized.
        line = " ".join(self._key.scrub(text).split())
        return line if len(line) <= 2 * _MESSAGE else line[: 2 * _MESSAGE - 3] + "..."


def _error_message(content: bytes, key: Key) -> str:
    """Return the error message in the body of a failed request, on one line, without the key and shortened."""
    text = content.decode("utf-8", "replace")
    with contextlib.suppress(ValueError, RecursionError):  # not JSON, for example the page of a proxy
        text = error_text(parse_json(text))
    text = " ".join(key.scrub(text).split())
    return text if len(text) <= _MESSAGE else text[: _MESSAGE - 3] + "..."
