"""Command lines of the engines, and the specs that name them. The processes are tested in `tests/plugin`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pytest_qbench.errors import ModelError
from pytest_qbench.models import parse_model_args, parse_spec
from pytest_qbench.models.engines import ENGINES
from pytest_qbench.models.model_args import check_args


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An environment with a Python and llama-server, neither of which can run."""
    for name in ("python", "llama-server"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    return tmp_path / "python"


@pytest.mark.parametrize(
    "spec, expected",
    [
        ("vllm:org/m", "PYTHON -m vllm.entrypoints.openai.api_server --model org/m --served-model-name NAME"),
        ("sglang:org/m", "PYTHON -m sglang.launch_server --model-path org/m --served-model-name NAME"),
        ("llamacpp:/m.gguf", "SERVER --model /m.gguf --alias NAME"),
    ],
)
def test_an_engine_of_another_environment_is_started_by_its_python(python: Path, spec: str, expected: str) -> None:
    parsed = parse_spec(spec)
    args = {"engine_python": str(python), "engine_args": "--a 1 --b='c d'"}
    words = ENGINES[parsed.kind].command(parsed, args, 99, "NAME")
    line = expected.replace("PYTHON", str(python)).replace("SERVER", str(python.with_name("llama-server")))
    assert words == [*line.split(), "--host", "127.0.0.1", "--port", "99", "--a", "1", "--b=c d"]


def test_a_linked_python_stays_that_of_its_environment(python: Path, tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    link = tmp_path / "env" / "python"
    link.symlink_to(python)
    spec = parse_spec("vllm:org/m")
    assert ENGINES["vllm"].command(spec, {"engine_python": str(link)}, 1, "n")[0] == str(link)


def test_dtype_and_revision_are_passed_on(python: Path) -> None:
    args = {"engine_python": str(python), "dtype": "bfloat16", "revision": "abc"}
    spec = parse_spec("vllm:org/m")
    assert ENGINES["vllm"].command(spec, args, 1, "n")[-4:] == ["--dtype", "bfloat16", "--revision", "abc"]
    with pytest.raises(ModelError, match="dtype does not apply to the engine llamacpp"):
        check_args(parse_spec("llamacpp:/m.gguf"), {"dtype": "bfloat16"})


def test_an_environment_without_llama_server_is_refused(python: Path) -> None:
    python.with_name("llama-server").unlink()
    with pytest.raises(ModelError, match="no llama-server beside it"):
        check_args(parse_spec("llamacpp:/m.gguf"), {"engine_python": str(python)})


@pytest.mark.parametrize("value", ["0", "-1", "soon", "0.0"])
def test_a_timeout_is_a_positive_number(value: str) -> None:
    with pytest.raises(ModelError, match="engine_timeout=.*must be a positive number of seconds"):
        parse_model_args([f"engine_timeout={value}"])


@pytest.mark.parametrize(
    "text, target, name, alias, answer",
    [
        ("vllm:org/some-m", "org/some-m", "some-m", None, None),
        ("sglang: org/m", "org/m", "m", None, None),
        ("vllm:/models/a b", "/models/a b", "a-b", None, None),
        ("llamacpp:/models/m.Q4.gguf", "/models/m.Q4.gguf", "m.Q4", None, None),
        ("vllm:llava", "llava-hf/llava-1.5-7b-hf", "llava", "llava", None),
    ],
)
def test_a_spec_names_engine_and_model(
    text: str, target: str, name: str, alias: str | None, answer: str | None
) -> None:
    spec = parse_spec(text)
    assert (spec.kind, spec.is_managed, spec.is_served) == (text.partition(":")[0], True, True)
    assert (spec.target, spec.name, spec.alias, spec.answer) == (target, name, alias, answer)


def test_the_embedded_model_answers_by_likelihood_behind_an_engine_too() -> None:
    spec = parse_spec("vllm:tiny")
    assert (spec.answer, spec.is_local, Path(spec.target).name) == ("likelihood", True, "tiny")


@pytest.fixture
def port() -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = {"/version": b'{"version": "1.2"}', "/get_server_info": b'{"version": "3.4"}', "/props": b"[]"}
            self.send_response(200 if self.path in found else 404)
            self.end_headers()
            self.wfile.write(found.get(self.path, b"no"))

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_the_version_is_that_which_the_engine_reports(port: int) -> None:
    assert ENGINES["vllm"].read_version(port) == "1.2"
    assert ENGINES["sglang"].read_version(port) == "3.4", "the second path, as the first is unknown"
    assert ENGINES["llamacpp"].read_version(port) is None
