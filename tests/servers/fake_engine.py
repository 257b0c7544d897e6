"""A model server as a program: the contract that the plugin expects of vLLM, SGLang and llama.cpp.

`install` writes it as the command of an engine. It takes the arguments of that engine, is ready after a delay, and
answers as the `Vllm` of the endpoint tests does. Environment variables make it misbehave, once for each start:

FAKE_DELAY: seconds until it is ready. FAKE_EXIT: it prints an error and exits. FAKE_NEVER: it never gets ready.
FAKE_DIES: numbers of requests after which the first, second, ... start dies. FAKE_POISON: it dies at a prompt with this
word. FAKE_CHILD: it starts a child in another session, whose pid it appends to FAKE_PIDS, as it does with its own.
"""

from __future__ import annotations

import itertools
import json
import os
import stat
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
OPTIONS = {"vllm": "--served-model-name", "sglang": "--served-model-name", "llama-server": "--alias"}
VERSIONS = {
    "vllm": ("/version", {"version": "0.99.0"}), "sglang": ("/get_server_info", {"version": "0.98.0"}),
    "llama-server": ("/props", {"build_info": "b9700-fake"}),
}  # fmt: skip


def install(folder: Path, program: str) -> Path:
    """Write the command `program` into a folder and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / program
    path.write_text(f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
                    f"from tests.servers.fake_engine import main\nmain({program!r})\n")  # fmt: skip
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def main(program: str) -> None:
    arguments = sys.argv[1:]
    print("fake", program, *arguments, flush=True)
    print("environment:", sorted(os.environ.items()), flush=True)
    pids = os.environ.get("FAKE_PIDS")
    if pids:
        with Path(pids).open("a") as file:
            file.write(f"{os.getpid()}\n")
            if os.environ.get("FAKE_CHILD"):
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
                file.write(f"{child.pid}\n")
    if os.environ.get("FAKE_EXIT"):
        print("Traceback (most recent call last):\nRuntimeError: no such device: npu9", file=sys.stderr, flush=True)
        sys.exit(3)
    start = int(Path(pids).read_text().count("\n")) if pids else 1
    deaths = [int(text) for text in os.environ.get("FAKE_DIES", "").split(",") if text]
    limit = deaths[start - 1] if start <= len(deaths) else None
    serve(program, arguments, limit)


def serve(program: str, arguments: list[str], limit: int | None) -> None:
    from tests.models.test_openai import Vllm

    named = dict(itertools.pairwise(arguments))
    model, port = named[OPTIONS[program]], int(named["--port"])
    assert named["--host"] == "127.0.0.1"
    ready_at = time.monotonic() + float(os.environ.get("FAKE_DELAY", "0.2"))
    answer, served = Vllm(), [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, version = VERSIONS[program]
            if time.monotonic() < ready_at or os.environ.get("FAKE_NEVER"):
                self.send(503, {"error": {"message": "Loading model"}})
            elif self.path == "/health":
                self.send(200, {})
            elif self.path == "/v1/models":
                self.send(200, {"data": [{"id": model}]})
            elif self.path == path:
                self.send(200, version)
            else:
                self.send(404, {})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == "/v1/chat/completions"
            served[0] += 1
            poison = os.environ.get("FAKE_POISON")
            if (limit is not None and served[0] > limit) or (poison and poison in json.dumps(body["messages"])):
                os._exit(9)
            time.sleep(float(os.environ.get("FAKE_PAUSE", "0")))
            if body["model"] != model:
                self.send(404, {"error": {"message": f"The model {body['model']} does not exist"}})
            else:
                self.send(200, answer(body, 1))

        def send(self, status: int, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    ThreadingHTTPServer.request_queue_size = 128
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
