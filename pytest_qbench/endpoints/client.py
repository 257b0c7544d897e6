"""One asynchronous client of one endpoint: slots, deadlines, repeats, rate limits, the cache."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

import openai

from pytest_qbench.endpoints.address import Address, Key
from pytest_qbench.endpoints.cache import Cache, cache_key
from pytest_qbench.endpoints.completion import (
    Completion,
    MalformedError,
    RefusedError,
    completion,
    error_text,
    read_json,
)
from pytest_qbench.endpoints.retry import backoff, is_passing, limit_reset, retry_after
from pytest_qbench.endpoints.usage import Usage
from pytest_qbench.errors import ItemError

T = TypeVar("T")
CONNECT = 10.0  # seconds for a connection, after which another attempt is made
_MESSAGE = 200  # characters of an endpoint's own words in an error


class EndpointError(ItemError):
    """A request that ended without a reply, for good. `status` is the HTTP status that ended it, if one did."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class _PassingError(Exception):
    """An attempt failed in a way that another may not; `after` is the wait that the server asks for, in seconds."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Client:
    """Asks one endpoint for completions. Every method but `__init__` belongs on the event loop of its session.

    `timeout` (seconds) covers one request with all its repeats and every wait between them, from the moment that it
    gets one of the `concurrency` slots.
    """

    def __init__(
        self,
        address: Address,
        key: Key,
        *,
        timeout: float,
        concurrency: int,
        cache: Cache | None,
        price: tuple[float, float] | None = None,
        revision: str | None = None,
    ) -> None:
        self.address, self.timeout = address, timeout
        self.usage = Usage()
        self._key, self._cache, self._price, self._revision = key, cache, price, revision
        self._slots = asyncio.Semaphore(concurrency)
        self._concurrency = concurrency
        self._http: openai.AsyncOpenAI | None = None
        self._resume = 0.0  # when the server takes requests again, on the loop's clock
        self._rng = random.Random()

    async def chat(self, body: Mapping[str, Any], *, sample: int = 0) -> Completion:
        """Return the completion of a chat request; ``model`` is added to `body`.

        `sample` tells apart requests that are equal and still meant to be asked each. Only whole replies are cached.
        Raises `EndpointError`.
        """
        whole = {"model": self.address.model, **body}
        key = cache_key(self.address.base_url, self._revision, whole, sample) if self._cache else ""
        if self._cache and (stored := self._cache.get(key)) is not None:
            self.usage.cache_hits += 1
            return completion(stored)

        def read(data: Any) -> tuple[Any, Completion]:
            return data, completion(data)

        data, found = await self._ask(whole, read)
        self.usage.add(found.usage, self._price)
        if self._cache:
            self._cache.put(key, data)
        return found

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _ask(self, body: Mapping[str, Any], read: Callable[[Any], T]) -> T:
        clock = asyncio.get_running_loop().time
        async with self._slots:
            deadline = clock() + self.timeout
            attempt = 0
            last = ""
            while True:
                await self._hold_back(deadline)
                try:
                    async with asyncio.timeout_at(deadline):
                        return read(await self._once(body, again=attempt > 0))
                except TimeoutError:
                    self._fail(f"no reply within {self.timeout:g} s (--qbench-timeout){last}")
                except RefusedError as e:
                    self._fail(str(e))
                except (MalformedError, _PassingError) as e:
                    why = self._clean(str(e))
                    asked = e.after if isinstance(e, _PassingError) else None
                wait = backoff(attempt, self._rng) if asked is None else asked * self._rng.uniform(1.0, 1.1)
                left = deadline - clock()
                if asked is not None and asked > left:
                    self._fail(f"{why}; it asks to wait {asked:g} s, past the {self.timeout:g} s of --qbench-timeout")
                attempt += 1
                last = f", last of {attempt} attempts: {why}"
                if wait >= left:
                    self._fail(f"no reply within {self.timeout:g} s (--qbench-timeout){last}")
                await asyncio.sleep(wait)

    async def _once(self, body: Mapping[str, Any], *, again: bool) -> Any:
        """Send one request and return the JSON of its reply."""
        self.usage.requests += 1
        self.usage.retries += again
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
        except openai.APIConnectionError as e:
            cause = e.__cause__ or e
            # Without its cause: requests hold the headers, and a traceback would show them.
            raise _PassingError(f"{type(cause).__name__}: {cause}") from None
        content, status, headers = reply.content, reply.status_code, reply.headers
        if (reset := limit_reset(headers)) <= self.timeout:
            self._pause(reset)
        if 200 <= status < 300:
            return read_json(content, self._key)
        message = f"HTTP {status}: {_told(content, self._key)}"
        if not is_passing(status):
            self._fail(message, status)
        after = retry_after(headers)
        if after is not None and status in (429, 503) and after <= self.timeout:
            self._pause(after)
        raise _PassingError(message, after)

    def _sdk(self) -> openai.AsyncOpenAI:
        """The kept client, for its transport and its reading of errors; repeats and deadlines are ours."""
        if self._http is None:
            for transport in ("httpcore", "httpcore2"):  # at DEBUG they write headers down, and with them keys
                logging.getLogger(transport).setLevel(logging.WARNING)
            self._http = openai.AsyncOpenAI(
                base_url=self.address.base_url,
                api_key="-",  # each request brings its own header, or none without a key
                max_retries=0,
                timeout=openai.Timeout(None, connect=CONNECT),
                http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False),
            )
        return self._http

    def _pause(self, seconds: float) -> None:
        """Let no request start for so long: the limit is the account's, not the request's."""
        if seconds > 0:
            self._resume = max(self._resume, asyncio.get_running_loop().time() + seconds)

    async def _hold_back(self, deadline: float) -> None:
        clock = asyncio.get_running_loop().time
        while (wait := self._resume - clock()) > 0:
            if clock() + wait > deadline:
                self._fail(f"rate limit: no requests for {wait:.1f} s, past the {self.timeout:g} s of --qbench-timeout")
            await asyncio.sleep(wait * self._rng.uniform(1.0, 1.05))

    def _fail(self, why: str, status: int | None = None) -> NoReturn:
        raise EndpointError(self._clean(f"{self.address.model} at {self.address.host}: {why}"), status) from None

    def _clean(self, text: str) -> str:
        """One line without the key: first the key, then the length, or half of it could stay."""
        line = " ".join(self._key.scrub(text).split())
        return line if len(line) <= 2 * _MESSAGE else line[: 2 * _MESSAGE - 3] + "..."


def _told(content: bytes, key: Key) -> str:
    """An endpoint's own words about an error."""
    text = content.decode("utf-8", "replace")
    with contextlib.suppress(ValueError, RecursionError):  # no JSON: a page of a proxy, say
        text = error_text(json.loads(text))
    text = " ".join(key.scrub(text).split())
    return text if len(text) <= _MESSAGE else text[: _MESSAGE - 3] + "..."
