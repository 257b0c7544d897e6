"""The options with which a side is measured as a finished run was."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_qbench.metrics.fingerprint import Fingerprint, Selection
from pytest_qbench.parity.sides import Measurement, Side, options_of


def test_every_stated_condition_becomes_an_option() -> None:
    made = Fingerprint(
        prompts={"set": "paper"}, answer="likelihood", blind=True, option_order="shuffled by seed 3",
        judge={"name": "lexicon"}, judge_rounds=2, answer_tokens=8, description_tokens=99, data="folder",
        selection=Selection(("a", "b"), ("perception",), "test", 7, 3, (1, 4)),
    )  # fmt: skip
    assert sorted(options_of(made)) == [
        "--qbench-answer-tokens=8", "--qbench-answer=likelihood", "--qbench-blind", "--qbench-data=folder",
        "--qbench-datasets=a,b", "--qbench-description-tokens=99", "--qbench-judge-rounds=2", "--qbench-judge=lexicon",
        "--qbench-limit=7", "--qbench-prompts=paper", "--qbench-seed=3", "--qbench-shard=1/4",
        "--qbench-shuffle-options", "--qbench-split=test", "--qbench-tasks=perception",
    ]  # fmt: skip


def test_what_cannot_be_named_again_is_left_to_the_user() -> None:
    """A judge behind an endpoint is known by its name alone, and prompts of a file by that of the file."""
    assert options_of(Fingerprint(prompts={"set": "mine.yaml"}, judge={"name": "gpt"})) == []
    assert options_of(Fingerprint(prompts="9602522012de4525", option_order=None)) == []


@pytest.mark.parametrize(
    "text, arguments, dtype, expected",
    [
        ("tiny", (), "float32", ["dtype=bfloat16", "--qbench-batch-size=8"]),
        ("tiny", ("dtype=bfloat16",), "bfloat16", ["dtype=bfloat16", "dtype=float32", "--qbench-batch-size=8"]),
        ("tiny", ('quantization_config={"quant_method": "x"}',), "float32", ["--qbench-no-cache"]),
        ("openai:m@http://127.0.0.1:1/v1", (), None, ["--qbench-no-cache"]),
    ],
)
def test_a_second_measurement_varies_what_the_model_can_vary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, arguments: tuple[str, ...], dtype: str | None,
    expected: list[str],
) -> None:  # fmt: skip
    asked: list[str] = []

    def measure(self: Measurement, side: Side, folder: str, arguments: tuple[str, ...], *more: str) -> None:
        asked.extend((*arguments, *more))

    monkeypatch.setattr(Measurement, "_measure", measure)
    side = Side.of("A", text, arguments)
    Measurement(tmp_path, (), print).again(side, Fingerprint(model={"dtype": dtype}, batch_size=16))
    assert [one for one in asked if "quant" not in one] == expected
