"""Recorded runs, baselines and endpoints as sides of a comparison."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.cli.main import main
from pytest_qbench.endpoints.event_loop import Endpoints
from pytest_qbench.errors import UsageError
from pytest_qbench.items import Item
from pytest_qbench.metrics.fingerprint import Fingerprint
from pytest_qbench.models.load import load_model, parse_spec
from pytest_qbench.records import Record
from pytest_qbench.runs.explanation import Explanation
from pytest_qbench.why.explain import compare_traces
from pytest_qbench.why.sides import LiveSide
from pytest_qbench.why.sources import Recorded, explain_recorded
from tests.builders import CONDITIONS, question, scored, text
from tests.endpoints.server import serving
from tests.models.test_openai import Vllm
from tests.why.faults import SETTINGS, items

ITEMS = [question(i) for i in range(20)]


def recorded(name: str, records: list[Record], **conditions: Any) -> Recorded:
    found = {(record.task, record.item): record for record in records}
    known: dict[tuple[str, str], Item] = {(i.task, i.id): i for i in [*ITEMS, text(0)]}
    return Recorded(name, found, known, Fingerprint.from_json({**CONDITIONS, **conditions}))


def said(choices: dict[int, str], reply: str = "Yes", picture: str | None = "p") -> list[Record]:
    records = []
    for i, item in enumerate(ITEMS):
        choice = choices.get(i, "Yes")
        status = "correct" if choice == item.answer else "wrong"
        records.append(Record.of(item, status, response=reply, choice=choice, picture=picture))  # type: ignore[arg-type]
    return records


def test_recorded_runs_that_read_the_same_reply_otherwise_depart_at_the_extraction() -> None:
    found = explain_recorded(recorded("a", said({})), recorded("b", said({3: "No"}), pytest_qbench="0.0.9"))
    assert found.first == "extraction"
    assert "the same reply is read as 'Yes' in A and 'No' in B" in found.verdict
    assert found.stage("extraction").differing == 1
    assert found.items[0] == "mini/3"  # the items that differ most come first
    assert len(found.items) == 16
    (unseen,) = found.unseen
    assert unseen.startswith(
        "decoded pixels, preprocessed tensor, image tokens, prompt tokens, vision tower, projector"
    )
    assert found.stage("file bytes").state == found.stage("decoding").state == "same"


def test_other_texts_depart_at_the_decoding_and_name_the_conditions() -> None:
    made = [{"model": {"name": name, "dtype": dtype}} for name, dtype in (("x", "float32"), ("y", "bfloat16"))]
    found = explain_recorded(recorded("a", said({}), **made[0]), recorded("b", said({}, reply="No."), **made[1]))
    assert found.first == "decoding"
    assert "Setting model.dtype: float32 -> bfloat16." in found.causes
    assert found.conditions == ("model.dtype: float32 -> bfloat16",)


def test_other_verdicts_on_the_same_text_depart_at_the_judge() -> None:
    records = [Record.of(text(0), "measured", response="It is sharp.", judge={"relevance": [v]}) for v in (2, 1)]
    found = explain_recorded(recorded("a", records[:1]), recorded("b", records[1:]))
    assert found.first == "judge"


def test_other_images_depart_at_the_file_bytes_and_the_rest_follows() -> None:
    found = explain_recorded(recorded("a", said({})), recorded("b", said({}, "No", picture="q")))
    assert found.first == "file bytes"
    assert found.stage("decoding").state == "differs after an earlier stage"


def test_equal_runs_and_runs_without_a_common_item() -> None:
    assert explain_recorded(recorded("a", said({})), recorded("b", said({}))).verdict == (
        "no stage differs beyond noise, of 3 stages seen, 16 items"
    )
    other = explain_recorded(recorded("a", said({})), recorded("b", []))
    assert (other.verdict, other.items) == ("nothing was compared: the two have no item in common", ())


def test_scores_from_the_same_log_probabilities_depart_at_the_extraction() -> None:
    item = Item("mini_a/0", "assessment", "mini_a", None, "g", (), target=1.0)
    one = replace(scored(item, 0.7), logprobs={"good": -1.0, "poor": -2.0})
    found = explain_recorded(recorded("a", [one]), recorded("b", [replace(one, score=0.5)]))
    assert found.first == "extraction"


def endpoint(server_url: str, endpoints: Endpoints) -> LiveSide:
    settings = replace(SETTINGS, answer="generate")
    return LiveSide(
        server_url, lambda: load_model(parse_spec(f"openai:org/m@{server_url}"), {}, endpoints=endpoints), settings
    )


class WithoutImages(Vllm):
    """Counts the tokens of an image as another server does."""

    def __call__(self, request: dict[str, Any], attempt: int) -> Any:
        reply = super().__call__(request, attempt)
        if isinstance(reply, dict) and "image_url" in json.dumps(request["messages"]):
            reply["usage"]["prompt_tokens"] += 3
        return reply


def test_endpoints_show_token_ids_and_counts_and_say_what_they_do_not_show(tmp_path: Path) -> None:
    asked = [item for item in items(tmp_path, 6) if item.task == "perception"][:2]
    with serving(Vllm()) as one, serving(Vllm()) as same, serving(WithoutImages("return_token_ids")) as other:
        endpoints = Endpoints(timeout=5, concurrency=4)
        a = endpoint(one.url, endpoints).trace(asked, noise=True)
        equal = compare_traces(a, endpoint(same.url, endpoints).trace(asked, noise=False))
        found = compare_traces(a, endpoint(other.url, endpoints).trace(asked, noise=False))
        endpoints.close()
    assert equal.first is None, equal.verdict
    assert equal.stage("prompt tokens").state == "same"
    assert equal.stage("image tokens").state == "same"
    assert [text for text in equal.unseen if "without local weights" in text]
    assert found.first == "image tokens"
    assert "an image has 1 tokens in A and 4 in B" in found.verdict


def run_folder(path: Path, records: list[Record]) -> Path:
    from pytest_qbench.runs.items_file import write_items

    path.mkdir()
    write_items(path, ITEMS)
    (path / "records.jsonl").write_text("".join(record.to_json() + "\n" for record in records))
    summary = {
        "schema": 1, "fingerprint": CONDITIONS, "items": {"total": 20, "scored": 20, "unparsed": 0, "errors": 0},
        "metrics": [], "gates": [], "left_out": [], "began": "2026-01-01", "verdict": "PASS", "notes": [],
        "baseline": {"name": "x", "missing": "none"},
    }  # fmt: skip
    (path / "summary.json").write_text(json.dumps(summary))
    return path


def test_the_command_compares_run_folders_and_writes_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = run_folder(tmp_path / "a", said({})), run_folder(tmp_path / "b", said({2: "No"}))
    files = [f"--{kind}={tmp_path / f'why.{kind}'}" for kind in ("html", "md", "json")]
    assert main(["why", str(a), str(b), *files]) == 1
    out = capsys.readouterr().out
    assert "why: the first stage that departs is the extraction" in out
    assert "cause: The replies are the same" in out
    found = Explanation.from_json(json.loads((tmp_path / "why.json").read_text()))
    assert found.first == "extraction"
    assert '<section id="why">' in (tmp_path / "why.html").read_text()
    assert "### Why" in (tmp_path / "why.md").read_text()
    assert main(["why", str(a), str(a)]) == 0


@pytest.mark.parametrize("args, message", [
    (["nowhere", "tiny"], "no model 'nowhere'"),
    (["tiny", "tiny", "--items=17"], "--items=17: a whole number from 1 to 16"),
    (["tiny", "tiny", "--pool=3"], "--pool=3: at least --items=16"),
    (["tiny", "tiny", "--seed=-1"], "--seed=-1"),
    (["tiny", "tiny", "--b-arg=dtyp=auto"], "did you mean dtype?"),
    (["tiny", "tiny", "--data=nowhere"], "no such folder"),
])  # fmt: skip
def test_usage_errors_are_one_line(args: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", *args]) == 4
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_a_recorded_side_takes_no_model_arguments(tmp_path: Path) -> None:
    from pytest_qbench.why.sources import named

    with pytest.raises(UsageError, match="is recorded and takes no model arguments"):
        named(str(run_folder(tmp_path / "a", said({}))), ["dtype=float32"], "--a-arg")
