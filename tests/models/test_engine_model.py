"""The model of an engine without a session: it starts its own engine, survives its death and stops it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from pytest_qbench.endpoints.event_loop import Endpoints
from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.models.engine_model import EngineModel
from pytest_qbench.prompts import RATE_PREFIX, Prompt
from tests.servers.fake_engine import install
from tests.servers.test_server import gone, pids

IMAGE = Image.new("RGB", (8, 8))


@pytest.fixture(autouse=True)
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "bin", "vllm")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_PIDS", str(tmp_path / "pids"))


@pytest.fixture
def model(tmp_path: Path) -> Iterator[EngineModel]:
    endpoints = Endpoints(timeout=60, concurrency=4)
    loaded = load_model(parse_spec("vllm:tiny"), {"engine_args": "--x"}, endpoints=endpoints)
    assert isinstance(loaded, EngineModel)
    yield loaded
    loaded.close()
    endpoints.close()
    assert gone(pids(tmp_path))


def prompts(count: int, text: str = "Is it sharp?") -> list[Prompt]:
    return [Prompt(str(i), f"{text} {i}", (IMAGE,), RATE_PREFIX) for i in range(count)]


def test_a_batch_is_answered_as_by_an_endpoint_and_the_folder_is_temporary(model: EngineModel) -> None:
    model.probe({"assessment"}, "generate", ("good", "poor"))
    rows = model.next_token_logprobs(prompts(8), ("good", "poor"))
    assert all(isinstance(row, list) and len(row) == 2 for row in rows)
    assert model.describe()["engine"] == {"version": "0.99.0", "arguments": "--x"}
    folder = Path(model._server.address.folder)
    assert (folder / "engine.log").exists()
    model.close()
    assert not folder.exists()


def test_a_dead_engine_between_two_batches_is_awaited(model: EngineModel, tmp_path: Path) -> None:
    before = model.generate(prompts(3), 8)
    os.kill(pids(tmp_path)[-1], signal.SIGKILL)
    assert model.generate(prompts(3), 8) == before
    assert len(pids(tmp_path)) == 2


def test_only_the_prompt_at_which_the_engine_dies_is_an_error(model: EngineModel, tmp_path: Path) -> None:
    poison = prompts(6)[2].text
    (tmp_path / "bin" / "vllm").write_text((tmp_path / "bin" / "vllm").read_text().replace(
        "main('vllm')", f"import os; os.environ['FAKE_POISON'] = {poison!r}\nmain('vllm')"))  # fmt: skip
    os.kill(pids(tmp_path)[-1], signal.SIGKILL)
    replies = model.generate(prompts(6), 8)
    assert [isinstance(reply, ItemError) for reply in replies] == [False, False, True, False, False, False]
    assert "vllm died 3 times at this request, the last time alone" in str(replies[2])


def test_an_error_that_the_engine_reports_is_no_death(model: EngineModel, tmp_path: Path) -> None:
    """The fake answers 404 for a model that it does not serve."""
    model._client.address = type(model._client.address)("another", model._client.address.base_url)
    (reply,) = model.generate(prompts(1), 8)
    assert isinstance(reply, ItemError)
    assert "The model another does not exist" in str(reply)
    assert len(pids(tmp_path)) == 1


def test_a_killed_supervisor_ends_the_run(model: EngineModel, tmp_path: Path) -> None:
    os.kill(model._server.state().supervisor or 0, signal.SIGKILL)
    assert gone(pids(tmp_path))
    with pytest.raises(ModelError, match="vllm and the process that watches it were killed"):
        model.generate(prompts(3), 8)
