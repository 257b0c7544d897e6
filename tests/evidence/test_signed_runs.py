"""A signed run is verified and judged again; a change of any byte of the run, its baseline or its suites is refused."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_qbench.cli import main
from tests.conftest import WITHOUT_FOREIGN_PLUGINS

SUITE = """
import pytest

@pytest.mark.qbench(task="perception")
def test_perception(qbench_item, qbench_record): ...

def test_accuracy(qbench_gate):
    qbench_gate("perception.accuracy", margin=0.4, slice="concern=*", minimum=0.01)

def test_unparsed(qbench_gate):
    qbench_gate("perception.unparsed_rate", maximum=0.9)
"""
RUNS = {"same": "random:0", "other": "random:1"}


def measure(folder: Path, *arguments: str) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *WITHOUT_FOREIGN_PLUGINS.split()]
    options = ["--qbench-tasks=perception", "--qbench-limit=24", "--qbench-baseline=base"]
    return subprocess.run([*command, *options, *arguments, "suites"], cwd=folder, stdout=subprocess.PIPE).returncode


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a baseline and two signed runs, one of the same model."""
    root = tmp_path_factory.mktemp("project")
    (root / "suites").mkdir()
    (root / "suites" / "test_a.py").write_text(SUITE)
    (root / "suites" / "conftest.py").write_text("# nothing\n")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(root / "key")], check=True)
    (root / "signers").write_text(f"gpu@example.com,backup {(root / 'key.pub').read_text()}")
    assert measure(root, "--qbench-model=random:0", "--qbench-update-baseline") == 0
    for name, model in RUNS.items():
        measure(root, f"--qbench-model={model}", f"--qbench-run-dir={name}", *(["-n2"] if name == "other" else []))
        assert main(["sign", str(root / name), f"--key={root / 'key'}"]) == 0
    return root


@pytest.fixture
def copy(project: Path, tmp_path: Path) -> Path:
    return shutil.copytree(project, tmp_path / "project")


class Verifier:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, root: Path, name: str = "same", *arguments: str) -> tuple[int, str]:
        self.capsys.readouterr()
        status = main(["verify", str(root / name), f"--signers={root / 'signers'}", f"--rootdir={root}",
                       f"--baseline-dir={root / 'baselines'}", *arguments])  # fmt: skip
        out, err = self.capsys.readouterr()
        return status, out + err


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verifier:
    return Verifier(capsys)


def test_a_signed_run_is_judged_as_it_was(copy: Path, verify: Verifier) -> None:
    for name in RUNS:
        status, out = verify(copy, name)
        assert "VERIFIED: signed by gpu@example.com; run, baseline and 2 files of suites are as they were" in out
        assert "gate perception.unparsed_rate: pass" in out
        assert "gate perception.accuracy concern=*: " in out
        assert status == measure(copy, f"--qbench-model={RUNS[name]}", f"--qbench-run-dir=again-{name}")


def test_a_red_run_stays_red(copy: Path, verify: Verifier) -> None:
    measure(copy, "--qbench-model=random:0", "--qbench-run-dir=floor")
    (copy / "suites" / "test_a.py").write_text(SUITE.replace("minimum=0.01", "minimum=0.999"))
    assert measure(copy, "--qbench-model=random:0", "--qbench-run-dir=red") == 1
    main(["sign", str(copy / "red"), f"--key={copy / 'key'}"])
    status, out = verify(copy, "red")
    assert status == 1
    assert "below the minimum" in out


def test_a_run_without_gates_is_judged_where_it_is_verified(copy: Path, verify: Verifier) -> None:
    assert measure(copy, "--qbench-model=random:1", "--qbench-run-dir=open", "--qbench-no-gates") == 0
    main(["sign", str(copy / "open"), f"--key={copy / 'key'}"])
    status, out = verify(copy, "open", "--strict")
    assert "signed verdict: NOT GATED" in out
    assert status == measure(copy, "--qbench-model=random:1", "--qbench-run-dir=judged", "--qbench-strict")


def test_a_control_decides_nothing(copy: Path, verify: Verifier) -> None:
    measure(copy, "--qbench-model=random:0", "--qbench-run-dir=blind", "--qbench-blind")
    main(["sign", str(copy / "blind"), f"--key={copy / 'key'}"])
    status, out = verify(copy, "blind")
    assert (status, "a control or a shard decides nothing" in out) == (10, True)


def test_a_run_that_recorded_a_baseline_is_evidence_of_it(copy: Path, verify: Verifier) -> None:
    assert measure(copy, "--qbench-model=random:0", "--qbench-run-dir=new", "--qbench-update-baseline") == 0
    main(["sign", str(copy / "new"), f"--key={copy / 'key'}"])
    status, out = verify(copy, "new")
    assert (status, "the run recorded this baseline" in out) == (0, True)
    assert verify(copy, "same")[0] == 10  # it was compared with the old one


def test_only_the_named_signers_count(copy: Path, verify: Verifier) -> None:
    assert verify(copy, "same", "--signer=backup")[0] == 0
    status, out = verify(copy, "same", "--signer=other")
    assert (status, "signed by gpu@example.com, backup, not by other" in out) == (10, True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(copy / "stranger")], check=True)
    main(["sign", str(copy / "same"), f"--key={copy / 'stranger'}"])
    status, out = verify(copy)
    assert (status, "no key of" in out) == (10, True)


def test_a_signature_for_another_purpose_does_not_count(copy: Path, verify: Verifier) -> None:
    run = copy / "same"
    (run / "manifest.json.sig").unlink()
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", copy / "key", run / "manifest.json"], check=True
    )
    status, out = verify(copy)
    assert (status, "does not hold" in out) == (10, True)


def test_files_that_come_and_go_are_named(copy: Path, verify: Verifier) -> None:
    (copy / "same" / "extra.txt").write_text("x")
    assert verify(copy) == (10, "REFUSED: extra.txt was added since the run was signed\n")
    (copy / "same" / "extra.txt").unlink()
    (copy / "same" / "baseline.jsonl").unlink()
    assert verify(copy) == (10, "REFUSED: baseline.jsonl was removed since the run was signed\n")
    (copy / "other" / "folder").symlink_to(copy / "suites")
    status, out = verify(copy, "other")
    assert (status, "is a link" in out) == (4, True)


def test_suites_and_baselines_that_are_gone_are_named(copy: Path, verify: Verifier) -> None:
    shutil.rmtree(copy / "suites")
    assert "suites/conftest.py, a suite of the run, is not here" in verify(copy)[1]
    shutil.copytree(copy / "baselines" / "base", copy / "suites")
    shutil.rmtree(copy / "baselines")
    assert verify(copy)[0] == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["sign", "suites", "--key=key"], "has no summary.json"), (["sign", "same", "--key=no"], "no such file"),
     (["sign", "same", "--key=signers"], "cannot sign"),
     (["verify", "same", "--signers=no"], "no such file")],
)  # fmt: skip
def test_a_wrong_argument_is_one_line(
    copy: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy)
    capsys.readouterr()
    assert main(arguments) == 4
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_without_ssh_keygen_is_one_line(copy: Path, verify: Verifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(copy))
    status, out = verify(copy)
    assert status == 4
    assert out == "qbench: ssh-keygen was not found: install OpenSSH 8.2 or newer\n"


def change_bytes(root: Path, verify: Verifier, number: int, seed: int) -> list[str]:
    """Change one byte at a time, in files and places drawn by `seed`; return the changes that were not refused."""
    draw = random.Random(seed)
    signed = [*(root / "same").rglob("*"), *(root / "baselines").rglob("*"), *(root / "suites").rglob("*.py")]
    files = sorted(path for path in signed if path.is_file() and path.stat().st_size)
    accepted = []
    for _ in range(number):
        path = draw.choice(files)
        before = path.read_bytes()
        at = draw.randrange(len(before))
        value = draw.choice([each for each in range(256) if each != before[at]])
        path.write_bytes(before[:at] + bytes([value]) + before[at + 1 :])
        status, out = verify(root)
        if status != 10 or not out.startswith("REFUSED: "):
            accepted.append(f"{path.name} byte {at}: {before[at]} -> {value}: {status} {out}")
        path.write_bytes(before)
    assert verify(root)[0] == 0
    return accepted


def test_a_change_of_any_byte_is_refused(copy: Path, verify: Verifier) -> None:
    assert change_bytes(copy, verify, 60, seed=1) == []


@pytest.mark.campaign
def test_two_thousand_changed_bytes_are_refused(copy: Path, verify: Verifier) -> None:
    assert change_bytes(copy, verify, 2000, seed=2) == []


def test_every_byte_of_the_signature_file_counts(copy: Path, verify: Verifier) -> None:
    path = copy / "same" / "manifest.json.sig"
    before = path.read_bytes()
    for at in (0, 29, 30, 99, 100, 101, len(before) - 31, len(before) - 1):
        for value in (b"", b"\n", b" ", b"\r", b"A", b"="):
            changed = before[:at] + value + before[at + 1 :]
            if changed != before:
                path.write_bytes(changed)
                assert verify(copy)[0] == 10, (at, value)
    path.write_bytes(before + b"\n")
    assert verify(copy)[0] == 10
