"""Logs of inspect_ai: compressed either way, killed, with errors, epochs and attachments."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.errors import DataError, ItemError, ModelError
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.records import CUT, Response
from tests.models.output_formats.harness import HEADER, inspect_log, inspect_sample, question

ITEMS = [question(i) for i in range(3)]
SAMPLES = [inspect_sample(item, reply) for item, reply in zip(ITEMS, ("A", "B", "C. Noisy"), strict=True)]
EXPECTED = [Response("A"), Response("B"), Response("C. Noisy")]


def model(path: Path, **arguments: str) -> Any:
    return load_model(parse_spec(f"replay:{path}"), arguments)


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("zstandard", [False, True])
def test_a_log(tmp_path: Path, finished: bool, zstandard: bool) -> None:
    if zstandard:
        pytest.importorskip("pyarrow")
    path = inspect_log(tmp_path / "a.eval", SAMPLES, finished=finished, zstandard=zstandard)
    assert model(path).recall(ITEMS) == EXPECTED


def test_a_log_as_json(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text(json.dumps({**HEADER, "samples": SAMPLES}))
    assert model(tmp_path).recall(ITEMS) == EXPECTED


def test_damage_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = inspect_log(tmp_path / "a.eval", SAMPLES, zstandard=True)
    content = bytearray(path.read_bytes())
    at = content.index(b"samples/1_epoch_1.json") + 40
    content[at] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="a.eval: .*; copy the log again"):
        model(path)
    path.write_bytes(content[:100])
    with pytest.raises(DataError, match="a.eval: no zip file that can be read"):
        model(path)
    inspect_log(path, [])
    with pytest.raises(ModelError, match="a log without samples"):
        model(path)


@pytest.mark.parametrize("change, message", [
    ({"error": {"message": "rate limit", "traceback": ""}}, "recorded as an error: rate limit"),
    ({"output": {"model": "m", "choices": []}}, "no completion; run this sample again"),
    ({"output": {"choices": [{"message": {"content": "I"}, "stop_reason": "content_filter"}], "completion": "I"}}, "filter; run"),
])  # fmt: skip
def test_a_sample_without_an_answer_is_an_error_of_its_item(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    found = model(inspect_log(tmp_path / "a.eval", [SAMPLES[0] | change, *SAMPLES[1:]]))
    with pytest.raises(ItemError, match=f"llvisionqa/dev/0: a.eval: entry 1: .*{message}"):
        found.recall(ITEMS)
    assert found.recall(ITEMS[1:]) == EXPECTED[1:]


@pytest.mark.parametrize("content, text, stop_reason", [
    ("B. Bl", "B. Bl", "max_tokens"), ("", "", "max_tokens"), (None, "", "model_length"),
    ([{"type": "reasoning", "reasoning": "It looks"}], "", "max_tokens"),
])  # fmt: skip
def test_a_reply_that_the_token_limit_ended(tmp_path: Path, content: object, text: str, stop_reason: str) -> None:
    output = {"choices": [{"message": {"content": content}, "stop_reason": stop_reason}]}
    found = model(inspect_log(tmp_path / "a.eval", [SAMPLES[0] | {"output": output}, *SAMPLES[1:]]))
    assert found.recall(ITEMS) == [Response(text, finish=CUT), *EXPECTED[1:]]


def test_the_reasoning_is_no_part_of_the_reply(tmp_path: Path) -> None:
    content = [{"type": "reasoning", "reasoning": "surely A"}, {"type": "text", "text": "B"}]
    output = {"choices": [{"message": {"content": content}, "stop_reason": "stop"}]}
    path = inspect_log(tmp_path / "a.eval", [SAMPLES[0] | {"output": output}])
    assert model(path).recall(ITEMS[:1]) == [Response("B")]


def test_attachments_and_the_images_of_the_input(tmp_path: Path) -> None:
    """A sample with an id of its own is known by its image and question."""
    parts = [{"type": "image", "image": "/data/images/7.png"}, {"type": "text", "text": "attachment://abc"}]
    sample = inspect_sample(ITEMS[0], "attachment://def") | {
        "id": "own-1", "choices": None, "input": [{"role": "system", "content": "s"}, {"role": "user", "content": parts}],
        "attachments": {"abc": "How does object 0 look?\nA. Sharp\nB. Blurred\nC. Noisy", "def": "B"},
    }  # fmt: skip
    found = model(inspect_log(tmp_path / "a.eval", [sample]))
    assert found.recall(ITEMS[:1]) == [Response("B")]
    assert found.matched_by == {"question": 1}


def test_epochs_must_agree(tmp_path: Path) -> None:
    again = [inspect_sample(ITEMS[0], "A", 2)]
    assert model(inspect_log(tmp_path / "a.eval", SAMPLES + again)).recall(ITEMS) == EXPECTED
    path = inspect_log(tmp_path / "a.eval", [*SAMPLES, inspect_sample(ITEMS[0], "B", 2)])
    with pytest.raises(ModelError, match="a.eval: entry 4 contradicts a.eval: entry 1: .*duplicates=first or =last"):
        model(path).recall(ITEMS)
    assert model(path, duplicates="first").recall(ITEMS) == EXPECTED


def test_of_a_sample_that_was_written_twice_the_last_counts(tmp_path: Path) -> None:
    path = inspect_log(tmp_path / "a.eval", SAMPLES)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("samples/0_epoch_1.json", json.dumps(inspect_sample(ITEMS[0], "C")))
    assert model(path).recall(ITEMS)[0] == Response("C")


def test_two_runs_and_two_models_are_refused(tmp_path: Path) -> None:
    inspect_log(tmp_path / "a.eval", SAMPLES)
    inspect_log(tmp_path / "b.eval", SAMPLES, run_id="r2")
    with pytest.raises(ModelError, match="two runs on the same data, a.eval and b.eval; .*files=b.eval"):
        model(tmp_path)
    inspect_log(tmp_path / "b.eval", SAMPLES, model="openai/other", task="abench_dev")
    with pytest.raises(ModelError, match=r"outputs of 2 models, openai/m \(a.eval\) and openai/other \(b.eval\)"):
        model(tmp_path)
    assert model(tmp_path, files="a*").recall(ITEMS) == EXPECTED
