"""`qbench github` against a fake of GitHub: conclusion, annotations, one comment, a check; the token is never shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_qbench.cli import main
from pytest_qbench.endpoints.key import Key
from pytest_qbench.github.annotations import annotation_lines
from pytest_qbench.github.api import Api, GitHubError
from pytest_qbench.github.comment import LONGEST, body, marker
from pytest_qbench.github.conclusion import conclude
from tests.exports.runs import HOSTILE, KINDS, make
from tests.github.conftest import HEAD
from tests.github.server import REPOSITORY, TOKEN, GitHub
from tests.report.builders import large, run_folder

STATUSES = {"passed": 0, "failed": 1, "not measured": 10, "cannot tell": 0}
CONCLUSIONS = {"passed": "success", "failed": "failure", "not measured": "failure", "cannot tell": "neutral"}


@pytest.fixture
def in_workflow(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("in_workflow")
@pytest.mark.parametrize("kind", KINDS)
def test_each_outcome(
    tmp_path: Path, github: GitHub, environment: dict[str, str], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make(tmp_path / "run", kind)
    status = STATUSES[kind]
    assert main(["github", str(run.folder), f"--status={status}"]) == status
    first, *lines = capsys.readouterr().out.splitlines()
    level = {"success": "notice", "neutral": "warning", "failure": "error"}[CONCLUSIONS[kind]]
    title = "Q-Bench%3A not measured" if kind == "not measured" else "Q-Bench"
    assert first.startswith(f"::{level} title={title}::")
    if kind == "failed":
        numbers = "regressed: 74.0 % -> 71.0 %, change -3.0 pt in [-5.0, -1.2], margin 1 pt, 400 items"
        assert lines[0] == f"::error title=Q-Bench%3A accuracy mini::{numbers.replace('%', '%25')}"
    assert lines[-2:] == [f"check: {CONCLUSIONS[kind]}", "comment: written"]
    (comment,) = github.comments.values()
    assert comment["body"].startswith("<!-- pytest-qbench: Q-Bench -->\n")
    assert f"**Q-Bench**: {CONCLUSIONS[kind]}" in comment["body"]
    assert run.summary.verdict.partition(":")[0] in comment["body"]
    assert "https://github.example/acme/vlm/actions/runs/42" in comment["body"]
    (check,) = github.checks
    assert (check["conclusion"], check["head_sha"]) == (CONCLUSIONS[kind], HEAD)
    output = Path(environment["GITHUB_OUTPUT"]).read_text()
    assert output == f"conclusion={CONCLUSIONS[kind]}\nstatus={status}\n"


@pytest.mark.usefixtures("in_workflow")
def test_the_comment_is_kept_up_to_date(tmp_path: Path, github: GitHub) -> None:
    for i in range(150):  # the earlier comment is on the second page
        github.add(f"{marker('Q-Bench')}\nforged" if i == 3 else f"comment {i}", login="mallory")
    ours = [github.add(f"{marker('Q-Bench')}\nold {i}") for i in range(2)]
    other = github.add(f"{marker('another model')}\nold")
    run = make(tmp_path / "run", "failed")
    for _ in range(2):
        assert main(["github", str(run.folder), "--status=1"]) == 1
    assert "REGRESSED" in github.comments[ours[0]]["body"]
    assert ours[1] not in github.comments
    assert github.comments[1003]["body"].endswith("forged")
    assert github.comments[other]["body"].endswith("old")
    assert len(github.comments) == 152
    assert main(["github", str(run.folder), "--status=1", "--name=third"]) == 1
    assert len(github.comments) == 153


@pytest.mark.usefixtures("in_workflow")
@pytest.mark.parametrize("kind, status, word, ends", [
    ("passed", 1, "failure", 1), ("failed", 0, "failure", 10), ("not measured", 0, "failure", 10),
    ("cannot tell", 11, "failure", 11), ("passed", 4, "failure", 4),
])  # fmt: skip
def test_status_and_summary_must_agree(
    tmp_path: Path, github: GitHub, kind: str, status: int, word: str, ends: int
) -> None:
    run = make(tmp_path / "run", kind)
    assert main(["github", str(run.folder), f"--status={status}"]) == ends
    assert [check["conclusion"] for check in github.checks] == [word]


@pytest.mark.usefixtures("in_workflow")
@pytest.mark.parametrize("status, ends", [(4, 4), (0, 10), (137, 137)])
def test_a_run_without_a_summary_is_a_failure(
    tmp_path: Path, github: GitHub, status: int, ends: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["github", str(tmp_path / "nothing"), f"--status={status}"]) == ends
    (comment,) = github.comments.values()
    assert f"NOT MEASURED: exit status {status}" in comment["body"]
    assert [check["conclusion"] for check in github.checks] == ["failure"]
    assert capsys.readouterr().out.startswith("::error title=")


@pytest.mark.usefixtures("in_workflow")
def test_a_token_that_may_only_read_is_a_warning(
    tmp_path: Path, github: GitHub, capsys: pytest.CaptureFixture[str]
) -> None:
    github.may_write = False
    assert main(["github", str(make(tmp_path / "run", "failed").folder), "--status=1"]) == 1
    out = capsys.readouterr().out
    assert "::warning title=no comment::GitHub: POST issues/7/comments: status 403" in out
    assert "permission checks: write" in out


@pytest.mark.usefixtures("in_workflow")
def test_outside_a_pull_request_there_is_a_check_and_no_comment(
    tmp_path: Path, github: GitHub, environment: dict[str, str]
) -> None:
    Path(environment["GITHUB_EVENT_PATH"]).write_text('{"ref": "refs/heads/main"}')
    assert main(["github", str(make(tmp_path / "run", "passed").folder), "--status=0"]) == 0
    assert github.requests == [f"POST /repos/{REPOSITORY}/check-runs"]
    assert github.checks[0]["head_sha"] == "b" * 40


@pytest.mark.usefixtures("in_workflow")
@pytest.mark.parametrize("name, value, message", [
    ("GITHUB_TOKEN", "", "GITHUB_TOKEN is not set"), ("GITHUB_TOKEN", "a b", "GITHUB_TOKEN is not set"),
    ("GITHUB_REPOSITORY", "../x", "OWNER/NAME is needed"), ("GITHUB_API_URL", "http://example.com", "https:// is needed"),
    ("GITHUB_EVENT_PATH", "/nowhere", "no such file"),
])  # fmt: skip
def test_a_wrong_workflow_is_a_usage_error(
    tmp_path: Path, name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv(name, value)
    assert main(["github", str(make(tmp_path / "run", "passed").folder), "--status=0"]) == 4
    assert message in capsys.readouterr().err
    assert Path(environment["GITHUB_OUTPUT"]).read_text() == ""  # the job then ends as not measured
    if name == "GITHUB_TOKEN":
        assert main(["github", str(tmp_path / "run"), "--status=0", "--no-comment", "--no-check"]) == 0


def api(github: GitHub, waits: list[float]) -> Api:
    return Api(github.address, REPOSITORY, Key(TOKEN), waits.append)


@pytest.mark.parametrize("answer, waits", [
    ((503, {}), [1.0]), ((429, {"Retry-After": "7"}), [7.0]), ((502, {"Retry-After": "9999"}), [60.0]),
])  # fmt: skip
def test_transient_failures_are_repeated(
    github: GitHub, answer: tuple[int, dict[str, str]], waits: list[float]
) -> None:
    found: list[float] = []
    github.answers = [answer]
    assert list(api(github, found).pages("issues/7/comments")) == []
    assert found == waits


def test_a_comment_is_not_posted_twice(github: GitHub) -> None:
    github.answers = [(502, {})]
    with pytest.raises(GitHubError, match="status 502"):
        api(github, []).request("POST", "issues/7/comments", {"body": "x"})
    assert len(github.requests) == 1


def test_no_redirect_is_followed_and_no_message_shows_the_token(github: GitHub) -> None:
    github.answers = [(302, {"Location": f"{github.address}/elsewhere"})]
    with pytest.raises(GitHubError) as caught:
        api(github, []).request("GET", "issues/7/comments")
    assert github.requests == [f"GET /repos/{REPOSITORY}/issues/7/comments"]
    assert str(caught.value) == "GitHub: GET issues/7/comments: status 302: no; you sent Bearer ***"
    assert TOKEN not in repr(api(github, []))


def test_a_long_report_fits_a_comment(tmp_path: Path) -> None:
    run = make(tmp_path / "run", "failed")
    wide = replace(run, summary=replace(run.summary, notes=tuple(f"{i} {'ä' * 190}" for i in range(900))))
    found = replace(conclude(run.folder, 1), run=wide)
    text = body(found, "Q-Bench", HEAD, {})
    assert LONGEST - 70_000 < len(text.encode()) <= LONGEST
    assert "The report was cut here" in text


def test_foreign_text_stays_text(tmp_path: Path) -> None:
    """The reply, an item and the verdict hold markup, a mention and workflow commands."""
    evil = f"{HOSTILE} @everyone ![x](http://evil/x.png) `tick` | ::set-output name=a::b\n::error::c"
    items, records, before = large(60)
    records = [replace(r, response=evil) if r.task != "assessment" else r for r in records]
    run = run_folder(tmp_path / "run", items, records, before, verdict=f"REGRESSED: {evil}")
    found = conclude(run, 1)
    lines = annotation_lines(found, f"Q-Bench {evil}")
    assert all(line.count("\n") == 0 for line in lines)
    assert all(line.startswith(("::error title=", "::warning title=", "::notice title=")) for line in lines)
    assert not any(
        "::" in line.partition("title=")[2].partition("::")[2].replace("::error::x", "") for line in lines[1:]
    )
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(body(found, "Q-Bench", HEAD, {}))
    inline = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inline} <= {"text", "code_inline", "softbreak", "strong_open", "strong_close",
                                                "html_inline"}  # fmt: skip
    for child in inline:
        if child.type != "code_inline":
            assert "everyone" not in child.content
            assert "evil" not in child.content


def test_many_rows_are_counted(tmp_path: Path) -> None:
    run = make(tmp_path / "run", "failed")
    many = replace(run, summary=replace(run.summary, gates=run.gates * 25))
    lines = annotation_lines(replace(conclude(run.folder, 1), run=many), "Q-Bench")
    assert len(lines) == 10
    assert lines[-1] == "::error title=Q-Bench::17 more rows, in the report"
