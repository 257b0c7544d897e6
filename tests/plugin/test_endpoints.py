"""Models and judges behind endpoints: real pytest processes against a real server."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_qbench.records import read_records
from tests.endpoints.server import Reply, Server, chance, completion, images_of, serving, text_of
from tests.models.test_openai import Vllm
from tests.plugin.test_runs import BOTH, project, summary
from tests.plugin.test_usage import assert_usage

__all__ = ["project"]

KEY = "sk-secret-0123456789abcdef"
RUN = ("--qbench-run-dir=run", "--qbench-json=s.json", "--qbench-limit=12")
Answer = Callable[[dict[str, Any], int], Any]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def golden_of(text: str) -> str:
    return text.partition("Reference:")[2].partition(">>>")[0].strip(" \n<")


def described(text: str) -> str:
    return text.partition("judge:")[2].partition(">>>")[0].strip(" \n<")


def verdict(body: dict[str, Any]) -> int:
    """Return an honest judge's score: 2 for the golden text itself, 0 for no text, else by the share of equal words."""
    text = text_of(body)
    said, golden = set(described(text).split()), set(golden_of(text).split())
    if not golden:
        return 2 if said else 0
    share = len(said & golden) / len(golden)
    return 2 if share > 0.9 else 1 if share > 0.75 else 0


def everything(body: dict[str, Any], attempt: int) -> Any:
    """A model that continues replies, answers and describes, and an honest judge."""
    text = text_of(body)
    if "N" in text.split()[-1:]:
        if "Choice:" in text:
            return completion(*["Choice: A"] * body.get("n", 1))
        return completion(*[f"Score: {verdict(body)}"] * body.get("n", 1))
    if "option's letter" in text:
        return completion("A" if len(text) % 5 else "I cannot tell")
    if "Describe" in text:
        return completion("The image is sharp and the details are clear. There is no noise or artifact.")
    reply = Vllm()(body, attempt)
    if "logprob_token_ids" in body:  # by the image: a constant list has no correlation
        reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"][0]["logprob"] -= chance(body, 0)
    return reply


def run(project: pytest.Pytester, answer: Answer, *args: str, judge: bool = True) -> tuple[pytest.RunResult, Server]:
    with serving(answer) as server:
        named = (f"--qbench-judge=openai:j@{server.url}",) if judge else ()
        result = project.runpytest_subprocess(f"--qbench-model=openai:org/m@{server.url}", *named, *args)
    return result, server


@BOTH
def test_all_three_tasks_run_and_their_tokens_are_counted(project: pytest.Pytester, workers: tuple[str, ...]) -> None:
    args = ("--qbench-update-baseline", "--qbench-max-unparsed=1", "--qbench-judge-arg=price=1/2", "-v")
    result, server = run(project, everything, *RUN, *args, *workers)
    assert result.ret == 0, result.stdout.str()
    result.stdout.fnmatch_lines(["judge openai:j: passed its control set of 24 texts", "endpoint of the model: *"])
    found = summary(project)
    assert found["items"]["total"] == 48
    assert found["items"]["errors"] == 0
    model, judge = found["usage"]["model"], found["usage"]["judge"]
    assert model["requests"] + judge["requests"] == len(server.bodies)
    assert judge["cost"] == pytest.approx((judge["prompt_tokens"] + 2 * judge["completion_tokens"]) / 1e6)
    assert model["cost"] is None
    assert sum(bool(images_of(body)) for body in server.bodies) >= 48
    rows = {(m["name"], m["dataset"]): m for m in found["metrics"]}
    shares = [rows[f"description.completeness_p{k}", "mini"] for k in (0, 1, 2)]
    assert sum(m["value"] for m in shares) == pytest.approx(1)
    assert shares[1]["value"] + 2 * shares[2]["value"] == pytest.approx(
        rows["description.completeness", "mini"]["value"]
    )
    assert all(m["ci"] for m in shares)
    assert rows["description.completeness_round_variance", "mini"]["value"] == 0


def test_the_second_run_sends_the_judge_no_request(project: pytest.Pytester) -> None:
    with serving(everything) as server:
        args = (
            "--qbench-model=random:0",
            f"--qbench-judge=openai:j@{server.url}",
            "--qbench-no-gates",
            "--qbench-limit=12",
            "test_description.py",
        )
        counts = []
        for extra in ((), (), ("--qbench-no-cache",)):
            result = project.runpytest_subprocess(*args, *extra, "--qbench-json=s.json")
            assert result.ret == 0, result.stdout.str()
            counts.append((len(server.bodies), summary(project)["usage"]["judge"]["cache_hits"]))
            server.bodies.clear()
    # 24 control texts and 12 equal descriptions. Equal prompts are one request.
    first, second, third = counts
    assert first[0] > 0
    assert second == (0, first[0] + first[1])
    assert third == (3 * (24 + 12), 0)
    assert (project.path / ".qbench" / "cache" / "replies.sqlite").is_file()


def test_with_failing_endpoints_each_item_still_has_one_record(project: pytest.Pytester) -> None:
    kinds = [
        Reply({"error": "slow down"}, 429), Reply({}, 429, {"retry-after": "0"}), Reply({"error": "A"}, 500),
        Reply(reset=True), Reply(b'{"choices": [{"mess'), Reply({"x": 1}), Reply({"choices": []}),
    ]  # fmt: skip

    def chaos(body: dict[str, Any], attempt: int) -> Any:
        draw = chance(body, attempt)
        if "poison" in text_of(body) or (images_of(body) and chance(body, 0) < 0.05):
            return Reply({"error": {"message": "A. Score: 2 good"}}, 400)  # on every attempt
        return kinds[int(draw / 0.3 * len(kinds))] if draw < 0.3 else everything(body, attempt)

    args = ("--qbench-limit=24", "--qbench-no-gates", "--qbench-max-errors=1", "--qbench-timeout=30")
    result, server = run(project, chaos, *RUN[:2], *args)
    assert result.ret == 0, result.stdout.str()
    records = read_records(project.path / "run" / "records.jsonl")
    assert len(records) == len({(r.task, r.item) for r in records}) == 96
    failed = [r for r in records if r.status == "error"]
    assert 0 < len(failed) < 30
    for record in failed:
        assert "HTTP 400: A. Score: 2 good" in str(record.error)
        assert (record.response, record.choice, record.score, record.judge) == (None, None, None, None)
    assert all(r.status != "error" for r in records if r not in failed)
    usage = summary(project)["usage"]
    assert usage["model"]["requests"] + usage["judge"]["requests"] == len(server.bodies)


BAD_KEY = Reply({"error": {"message": f"Incorrect API key provided: {KEY}"}}, 401)


@pytest.mark.parametrize(
    "answer",
    [
        lambda body, attempt: BAD_KEY,  # the probe fails
        lambda body, attempt: BAD_KEY if "Score: N" in text_of(body) else everything(body, attempt),
        lambda body, attempt: BAD_KEY if images_of(body) and attempt > 1 else everything(body, attempt),
        lambda body, attempt: Reply(KEY.encode(), 500) if "Describe" in text_of(body) else everything(body, attempt),
        lambda body, attempt: completion(KEY) if "Describe" in text_of(body) else everything(body, attempt),
    ],
    ids=["probe", "judge", "later", "page", "reply"],
)
def test_the_key_appears_in_no_output_and_no_file(project: pytest.Pytester, answer: Answer) -> None:
    args = ("--showlocals", "--tb=long", "-vv", "--log-level=DEBUG", "-o", "log_cli=true", "--qbench-timeout=1")
    result, server = run(project, answer, *RUN, *args, "--junitxml=j.xml")
    assert any(headers.get("Authorization") == f"Bearer {KEY}" for headers in server.headers)
    assert KEY[3:] not in result.stdout.str() + result.stderr.str()
    for path in project.path.rglob("*"):
        if path.is_file():
            assert KEY[3:].encode() not in path.read_bytes(), path


@BOTH
def test_a_judge_that_fails_its_control_set_ends_the_run_before_the_first_item(
    project: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    def kind(body: dict[str, Any], attempt: int) -> Any:
        scored = "Score: N" in text_of(body)
        return completion(*["Score: 2"] * body.get("n", 1)) if scored else everything(body, attempt)

    result, server = run(project, kind, *RUN, "test_description.py", "--qbench-update-baseline", *workers)
    assert_usage(result, "--qbench-judge=openai:j@")
    result.stderr.fnmatch_lines(
        ["ERROR: * failed its control set, before any item: an empty text has completeness 2.00*"]
    )
    if not workers:  # another worker may have asked for its first texts by then
        assert not [body for body in server.bodies if "Describe" in text_of(body)]
    assert not (project.path / "baselines").exists()


def test_a_judge_that_refuses_the_key_is_told_before_the_first_item(project: pytest.Pytester) -> None:
    def refused(body: dict[str, Any], attempt: int) -> Any:
        return BAD_KEY if "Score: N" in text_of(body) else everything(body, attempt)

    result, server = run(project, refused, *RUN, "test_description.py")
    assert_usage(result, "texts could not be judged: ")
    assert not [body for body in server.bodies if "Describe" in text_of(body)]


def test_a_judge_that_changed_is_judge_drift(project: pytest.Pytester) -> None:
    def severe(body: dict[str, Any], attempt: int) -> Any:
        if "Score: N" not in text_of(body):
            return everything(body, attempt)
        value = verdict(body)
        others = {2: 2, 1: 0, 0: 0}
        texts = [f"Score: {value}"] * 3 + [f"Score: {value - 1 if value == 2 else others[value]}"] * 2
        return completion(*texts)

    args = ("test_description.py", "--qbench-limit=40", "--qbench-json=s.json")
    first, _ = run(project, everything, *args, "--qbench-update-baseline")
    assert first.ret == 0, first.stdout.str()
    second, _ = run(project, severe, *args)
    assert second.ret == 10
    second.stdout.fnmatch_lines(
        ["*gate description.sum: invalid (judge drift, not model drift: *(itself) 2.00 -> 1.60*"]
    )


def test_the_judge_reads_unparsed_replies_on_request(project: pytest.Pytester) -> None:
    args = ("test_perception.py", "--qbench-limit=40", "--qbench-no-gates", "--qbench-json=s.json")
    run(project, everything, *args, "--qbench-run-dir=without")
    result, server = run(project, everything, *args, "--qbench-run-dir=with", "--qbench-judge-unparsed")
    result.stdout.fnmatch_lines(["judge openai:j: read * of * replies that extraction left unparsed"])
    without, with_ = (
        {r.item: r for r in read_records(Path(project.path, name, "records.jsonl"))} for name in ("without", "with")
    )
    unread = [item for item, r in without.items() if r.status == "unparsed"]
    assert unread
    for item, record in with_.items():
        assert (record.judge == {"choice": [0] * 5}) is (item in unread)
        assert record.status in ("correct", "wrong")
    assert sum(body.get("n") == 5 for body in server.bodies) == len(unread)
    prints = [json.loads(Path(project.path, n, "summary.json").read_text())["fingerprint"] for n in ("without", "with")]
    assert "unparsed" not in prints[0]
    assert prints[1]["unparsed"]["model"] == "j"


def test_a_killed_run_loses_at_most_what_was_in_progress(project: pytest.Pytester) -> None:
    running: list[subprocess.Popen[bytes]] = []
    asked: list[str] = []

    def answer(body: dict[str, Any], attempt: int) -> Any:
        if "option's letter" in text_of(body):
            asked.append(text_of(body) + images_of(body)[0])
            if len(asked) == 30 and running:
                running[0].kill()
        return everything(body, attempt)

    with serving(answer) as server:
        args = (
            f"--qbench-model=openai:m@{server.url}", "test_perception.py", "--qbench-concurrency=4", "--qbench-no-gates",
            "--qbench-limit=60", "--qbench-run-dir=run", "--qbench-max-unparsed=1",
        )  # fmt: skip
        with (project.path / "out").open("wb") as out:
            running.append(subprocess.Popen([sys.executable, "-m", "pytest", *args], stdout=out, stderr=out))
            assert running[0].wait(300) == -signal.SIGKILL, (project.path / "out").read_text()
        running.clear()
        before = read_records(project.path / "run" / "records.jsonl")
        assert len(before) >= 30 - 8  # twice the concurrency is in progress
        result = project.runpytest_subprocess(*args, "--qbench-resume")
    assert result.ret == 0, result.stdout.str()
    records = read_records(project.path / "run" / "records.jsonl")
    assert len(records) == len({record.item for record in records}) == 60
    assert len(set(asked)) == 60
    assert len(asked) <= 60 + 8


@pytest.mark.campaign
def test_a_chaotic_endpoint_loses_no_description(project: pytest.Pytester) -> None:
    """Of all requests 10 % get a 429, a fifth of these with 90 s to wait; others fail, hang or answer half."""
    rng = random.Random(7)

    def chaos(body: dict[str, Any], attempt: int) -> Any:
        if "Score: N" not in text_of(body) and "Describe" not in text_of(body):
            return everything(body, attempt)  # the probe, before the first item
        draw = rng.random()
        if draw < 0.1:
            return Reply({"error": "slow down"}, 429, {"retry-after": "90"} if draw < 0.02 else {})
        if draw < 0.18:
            return Reply({"error": "oops"}, 500)
        if draw < 0.22:
            return Reply(reset=True)
        good = everything({**body, "n": 1} if rng.random() < 0.1 and "n" in body else body, attempt)
        if draw < 0.25:
            return Reply(json.dumps(good).encode()[:-20])
        if draw < 0.26:
            return Reply(good, delay=100)
        return Reply({**good, "choices": []}) if draw < 0.27 else Reply(good, delay=0.1 + 0.8 * rng.random())

    result, _ = run(project, chaos, *RUN[:2], "--qbench-limit=60", "test_description.py", "--qbench-no-gates")
    assert result.ret == 0, result.stdout.str()
    records = read_records(project.path / "run" / "records.jsonl")
    assert [record.status for record in records] == ["measured"] * 60
    assert all(summary(project)["usage"][role]["retries"] for role in ("model", "judge"))


@pytest.mark.parametrize(
    "args, expected",
    [
        (("--qbench-model=openai:m",), "BASE_URL"),
        (("--qbench-model=openai:m@http://u:pw@127.0.0.1:9/v1",), "set the key in OPENAI_API_KEY instead"),
        (("--qbench-model=openai:m@http://127.0.0.1:9/v1", "--qbench-model-arg=dtype=float32"), "does not apply to an endpoint"),
        (("--qbench-model=openai:m@http://127.0.0.1:9/v1", "--qbench-timeout=1"), "no reply within 1 s"),
        (("--qbench-model=random:0", "--qbench-judge=openai:j"), "BASE_URL"),
        (("--qbench-model=random:0", "--qbench-judge-unparsed"), "lexicon cannot read replies"),
        (("--qbench-model=random:0", "--qbench-timeout=0"), "seconds above 0"),
        (("--qbench-model=random:0", "--qbench-concurrency=none"), "--qbench-concurrency=none"),
        (("--qbench-model=random:0", "--qbench-judge-prompts=nowhere.yaml"), "lexicon is a word list"),
        (("--qbench-model=random:0", "--qbench-judge-arg=mode=expected"), "takes no arguments"),
    ],
)  # fmt: skip
def test_usage_errors(project: pytest.Pytester, args: tuple[str, ...], expected: str) -> None:
    result = project.runpytest_subprocess(*args)
    assert_usage(result, expected)
    assert "pw@" not in result.stdout.str() + result.stderr.str()


def test_an_endpoint_without_a_needed_feature_ends_the_run_with_one_line_also_under_xdist(
    project: pytest.Pytester,
) -> None:
    result, _ = run(project, Vllm("logprobs"), "-n2", "test_assessment.py", judge=False)
    assert_usage(result, "silently ignores logprobs")
