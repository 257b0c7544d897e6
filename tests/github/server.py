"""A fake of GitHub's API: a real HTTP server on the loopback with comments and checks in memory."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "ghs_16C7e42F292c6912E7710c838347Ae178B4a"
REPOSITORY = "acme/vlm"
BOT = "github-actions[bot]"


@dataclass
class GitHub:
    """`comments` by id; `answers` are statuses with headers that the next requests get instead of a result."""

    address: str = ""
    comments: dict[int, dict[str, Any]] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    may_write: bool = True

    def add(self, text: str, login: str = BOT) -> int:
        number = max(self.comments, default=999) + 1
        self.comments[number] = {"id": number, "body": text, "user": {"login": login}}
        return number

    def answer(self, method: str, path: str, token: str | None, content: Any) -> tuple[int, dict[str, str], Any]:
        self.requests.append(f"{method} {path}")
        if self.answers:
            status, headers = self.answers.pop(0)
            return status, headers, {"message": f"no; you sent {token}"}
        if token != f"Bearer {TOKEN}":
            return 401, {}, {"message": "Bad credentials"}
        if method != "GET" and not self.may_write:
            return 403, {}, {"message": "Resource not accessible by integration"}
        url, prefix = urlsplit(path), f"/repos/{REPOSITORY}"
        if method == "GET" and re.fullmatch(rf"{prefix}/issues/7/comments", url.path):
            query = {key: int(values[0]) for key, values in parse_qs(url.query).items()}
            first = (query["page"] - 1) * query["per_page"]
            return 200, {}, list(self.comments.values())[first : first + query["per_page"]]
        if method == "POST" and url.path == f"{prefix}/issues/7/comments":
            return (422, {}, {"message": "body is too long"}) if len(content["body"]) > 65536 else (
                201, {}, {"id": self.add(content["body"])}
            )  # fmt: skip
        if found := re.fullmatch(rf"{prefix}/issues/comments/(\d+)", url.path):
            number = int(found[1])
            if number not in self.comments:
                return 404, {}, {"message": "Not Found"}
            if method == "DELETE":
                del self.comments[number]
                return 204, {}, None
            self.comments[number]["body"] = content["body"]
            return 200, {}, self.comments[number]
        if method == "POST" and url.path == f"{prefix}/check-runs":
            self.checks.append(content)
            return 201, {}, {"id": len(self.checks)}
        return 404, {}, {"message": "Not Found"}


@contextmanager
def serve() -> Iterator[GitHub]:
    github = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            content = json.loads(self.rfile.read(size)) if size else None
            status, headers, found = github.answer(self.command, self.path, self.headers.get("Authorization"), content)
            data = b"" if found is None else json.dumps(found).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = _reply  # noqa: N815 - the names of http.server

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    github.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield github
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
