"""`qbench lint` in real repositories: what became weaker is named, and a reason is asked of the commit that did it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_qbench.baseline.store import write_baseline
from pytest_qbench.cli import main
from pytest_qbench.policy.reasons import reason_in
from tests.baseline.test_store import run as results_of

SUITE = """
import pytest

def test_accuracy(qbench_gate):
    qbench_gate("perception.accuracy", margin=0.01)

def test_floor(qbench_gate):
    qbench_gate("perception.accuracy", slice="type=how", minimum=0.45)

def test_srcc(qbench_gate):
    qbench_gate("assessment.srcc", margin=0.01, each_dataset=True)
"""
REASON = "\n\nQbench-reason: the new data is noisier, see the report of May"


class Repo:
    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self.capsys = root, capsys
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.name", "a")
        self.git("config", "user.email", "a@example.com")
        self.write("suites/test_a.py", SUITE)
        self.write("pyproject.toml", "[tool.pytest.ini_options]\nqbench_strict = true\nqbench_max_unparsed = '0.02'\n")
        write_baseline(root / "baselines", "vlm", results_of(wrong=1))
        self.commit("Begin")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.root / name).read_text()
        assert old in text
        self.write(name, text.replace(old, new))

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def lint(self, since: str = "main~1", *arguments: str) -> tuple[int, str]:
        status = main(["lint", f"--since={since}", *arguments])
        out, err = self.capsys.readouterr()
        return status, out + err


@pytest.fixture
def repo(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Repo:
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    return Repo(tmp_path, capsys)


def replace_baseline(repo: Repo) -> None:
    write_baseline(repo.root / "baselines", "vlm", results_of(wrong=4))


WEAKER: dict[str, tuple[Callable[[Repo], None], str]] = {
    "margin": (lambda r: r.edit("suites/test_a.py", 'accuracy", margin=0.01', 'accuracy", margin=0.02'), "wider margin: perception.accuracy: 0.01 -> 0.02"),
    "expression": (lambda r: r.edit("suites/test_a.py", 'accuracy", margin=0.01', 'accuracy", margin=M'), "wider margin: perception.accuracy: 0.01 -> an expression"),
    "floor": (lambda r: r.edit("suites/test_a.py", "0.45", "0.4"), "lower floor: perception.accuracy type=how: 0.45 -> 0.4"),
    "skipped": (lambda r: r.edit("suites/test_a.py", "def test_floor", "@pytest.mark.skip\ndef test_floor"), "removed gate: perception.accuracy type=how: 1 -> 0"),
    "renamed": (lambda r: r.edit("suites/test_a.py", "def test_floor", "def floor"), "removed gate: perception.accuracy type=how"),
    "file": (lambda r: (r.root / "suites/test_a.py").unlink(), "removed gate: assessment.srcc"),
    "disabled file": (lambda r: (r.root / "suites/test_a.py").rename(r.root / "suites/a.txt"), "removed gate: assessment.srcc"),
    "each dataset": (lambda r: r.edit("suites/test_a.py", ", each_dataset=True", ""), "each_dataset: assessment.srcc: no longer requires every dataset"),
    "bound": (lambda r: r.edit("suites/test_a.py", '"type=how", minimum=0.45', '"type=how", maximum=0.9'), "removed minimum: perception.accuracy type=how"),
    "limit": (lambda r: r.edit("pyproject.toml", "0.02", "0.5"), "higher limit: qbench_max_unparsed: 0.02 -> 0.5"),
    "strict": (lambda r: r.edit("pyproject.toml", "qbench_strict = true", ""), "not strict: qbench_strict"),
    "no gates": (lambda r: r.edit("pyproject.toml", "qbench_strict", "addopts = '--qbench-no-gates'\nqbench_strict"), "option: --qbench-no-gates"),
    "replaced": (replace_baseline, "replaced baseline: baselines/vlm/baseline.yaml"),
    "replaced value": (replace_baseline, "perception.accuracy mini 0.9500 -> 0.8000"),
    "removed": (lambda r: (r.root / "baselines/vlm/baseline.yaml").unlink(), "removed baseline: baselines/vlm/baseline.yaml"),
}  # fmt: skip


@pytest.mark.parametrize("name", WEAKER)
def test_what_became_weaker_needs_a_reason(repo: Repo, name: str) -> None:
    change, message = WEAKER[name]
    change(repo)
    repo.commit("Change")
    status, out = repo.lint()
    assert status == 1
    assert f"NO REASON: {message}" in out or (name == "replaced value" and message in out)
    repo.git("commit", "-q", "--amend", "-m", f"Change{REASON}")
    status, out = repo.lint()
    assert status == 0, out
    assert "(reason: the new data is noisier, see the report of May)" in out


STRICTER: dict[str, Callable[[Repo], None]] = {
    "margin": lambda r: r.edit("suites/test_a.py", 'accuracy", margin=0.01', 'accuracy", margin=0.005'),
    "floor": lambda r: r.edit("suites/test_a.py", "0.45", "0.5"),
    "moved": lambda r: (r.root / "suites/test_a.py").rename(r.root / "suites/test_b.py"),
    "renamed": lambda r: r.edit("suites/test_a.py", "def test_floor", "def test_lowest"),
    "new gate": lambda r: r.write("suites/test_c.py", SUITE),
    "new baseline": lambda r: write_baseline(r.root / "baselines", "other", results_of()),
    "other file": lambda r: r.write("README.md", "qbench_gate"),
    "other yaml": lambda r: r.write("my-baseline.yaml", "a: 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", STRICTER)
def test_what_did_not_become_weaker_needs_none(repo: Repo, name: str) -> None:
    STRICTER[name](repo)
    repo.commit("Change")
    assert repo.lint() == (0, "nothing became weaker\n")


def test_every_commit_that_widens_a_margin_needs_its_own_reason(repo: Repo) -> None:
    begin = repo.git("rev-parse", "HEAD")
    repo.edit("suites/test_a.py", "margin=0.01)", "margin=0.02)")
    repo.commit(f"Widen{REASON}")
    repo.edit("suites/test_a.py", "margin=0.02)", "margin=0.05)")
    second = repo.commit("Tidy up")
    status, out = repo.lint(begin)
    assert status == 1
    assert f"NO REASON: wider margin: perception.accuracy: 0.01 -> 0.05 (by {second[:9]})" in out


def test_what_was_taken_back_needs_no_reason(repo: Repo) -> None:
    begin = repo.git("rev-parse", "HEAD")
    repo.edit("suites/test_a.py", "margin=0.01)", "margin=0.02)")
    repo.commit("Widen")
    repo.edit("suites/test_a.py", "margin=0.02)", "margin=0.01)")
    repo.commit("Take it back")
    assert repo.lint(begin) == (0, "nothing became weaker\n")


def test_a_branch_is_compared_with_the_commit_that_it_left(repo: Repo) -> None:
    repo.git("switch", "-q", "-c", "work")
    repo.commit("Work")
    repo.git("switch", "-q", "main")
    repo.edit("suites/test_a.py", "margin=0.01)", "margin=0.005)")
    repo.commit("Be stricter")
    repo.git("switch", "-q", "work")
    assert repo.lint("main") == (0, "nothing became weaker\n")


def test_a_change_hidden_in_a_merge_is_not_explained(repo: Repo) -> None:
    begin = repo.git("rev-parse", "HEAD")
    repo.git("switch", "-q", "-c", "work")
    repo.write("x.txt", "x")
    repo.commit(f"Work{REASON}")
    repo.git("switch", "-q", "main")
    repo.write("y.txt", "y")
    repo.commit("Other work")
    repo.git("merge", "-q", "--no-commit", "work")
    repo.edit("suites/test_a.py", "margin=0.01)", "margin=0.5)")
    repo.commit(f"Merge{REASON}")
    status, out = repo.lint(begin)
    assert status == 1
    assert "(by a merge)" in out


def test_files_that_are_not_committed_count(repo: Repo) -> None:
    repo.edit("suites/test_a.py", "margin=0.01)", "margin=0.02)")
    status, out = repo.lint("HEAD")
    assert status == 1
    assert "(by the files here)" in out


def test_a_hook_reads_the_message_and_the_staged_files(repo: Repo) -> None:
    repo.edit("suites/test_a.py", "margin=0.01)", "margin=0.02)")
    repo.write("message", "Widen")
    assert repo.lint("HEAD", "message") == (0, "nothing became weaker\n")  # nothing is staged
    repo.git("add", "suites")
    assert repo.lint("HEAD", "message")[0] == 1
    repo.write("message", f"Widen{REASON}")
    assert repo.lint("HEAD", "message")[0] == 0


def test_the_hook_of_pre_commit_names_this_command(repo: Repo) -> None:
    import yaml

    (hook,) = yaml.safe_load((Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text())
    program, *arguments = hook["entry"].split()
    assert program == "qbench"
    assert hook["stages"] == ["commit-msg"]  # pre-commit then passes the file with the message
    repo.write("message", "Begin")
    assert main([*arguments, "message"]) == 0


@pytest.mark.parametrize("since", ["nowhere", "-x", "HEAD:suites"])
def test_an_unknown_reference_is_one_line(repo: Repo, since: str) -> None:
    status, out = repo.lint(since)
    assert status == 4
    assert out.startswith(f"qbench: --since={since}: no such commit")
    assert out.count("\n") == 1


def test_a_folder_outside_git_is_one_line(tmp_path_factory: pytest.TempPathFactory, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("bare"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(Path.cwd().parent))
    assert main(["lint", "--since=HEAD"]) == 4
    assert "is not in a git repository" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Widen\n\nQbench-reason: noisy data\n", "noisy data"),
        ("Widen\n\nqbench-reason:   noisy data  \nSigned-off-by: a", "noisy data"),
        ("Widen\n\nQbench-reason:\n", None),
        ("Widen\n\nQbench-reason: x\n", None),
        ("Widen\n\nNo Qbench-reason: given here", None),
    ],
)
def test_the_reason_of_a_message(message: str, reason: str | None) -> None:
    assert reason_in(message) == reason
