"""A real HTTP server on the loopback interface that answers chat requests as a test prescribes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Answer = Callable[[dict[str, Any], int], Any]  # (request body, number of the request) -> what `Server` sends


@dataclass
class Reply:
    """One HTTP answer: `body` is JSON-encoded unless it is bytes; `reset` drops the connection instead."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    reset: bool = False


def completion(*texts: str, logprobs: Any = None, **more: Any) -> dict[str, Any]:
    choices = [
        {"index": i, "finish_reason": "stop", "message": {"role": "assistant", "content": text}, "logprobs": logprobs}
        for i, text in enumerate(texts)
    ]
    return {
        "object": "chat.completion", "choices": choices, "usage": {"prompt_tokens": 10, "completion_tokens": 2}, **more,
    }  # fmt: skip


def text_of(body: dict[str, Any]) -> str:
    """Return all text of a request."""
    parts = []
    for message in body["messages"]:
        content = message["content"]
        parts += [content] if isinstance(content, str) else [p["text"] for p in content if p["type"] == "text"]
    return "\n".join(parts)


def images_of(body: dict[str, Any]) -> list[str]:
    content = body["messages"][0]["content"]
    return [p["image_url"]["url"] for p in content if p["type"] == "image_url"]


def chance(body: dict[str, Any], attempt: int) -> float:
    """Return a number in [0, 1) that depends only on the request and the number of its attempt."""
    digest = hashlib.sha256(f"{attempt} {json.dumps(body, sort_keys=True)}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


class Server:
    """Records the requests. `answer` returns a `Reply`, or the JSON of its body."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.seen: dict[str, int] = {}
        self.in_flight = self.most_in_flight = 0
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        key = json.dumps(body, sort_keys=True)
        attempt = self.seen[key] = self.seen.get(key, 0) + 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            answer = self.answer(body, attempt)
            reply = answer if isinstance(answer, Reply) else Reply(answer)
            await asyncio.sleep(reply.delay)
            if reply.reset:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            payload = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            return web.Response(
                body=payload, status=reply.status, headers=reply.headers, content_type="application/json"
            )
        finally:
            self.in_flight -= 1


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    """Run a server in its own thread."""
    server, ready = Server(answer), threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        app = web.Application(client_max_size=1 << 28)
        app.router.add_post("/v1/chat/completions", server.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        server.url = f"http://127.0.0.1:{port}/v1"
        ready.set()
        await stop.wait()
        await runner.cleanup()
        hanging = asyncio.all_tasks() - {asyncio.current_task()}
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
