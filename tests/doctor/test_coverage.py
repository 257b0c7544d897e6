"""Gate coverage: the faults, their injection, and the command on the embedded model."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pytest_qbench.cli.main import main
from pytest_qbench.doctor.coverage import FaultResult, GateCoverage, share_caught, smallest_seen
from pytest_qbench.doctor.covered_gate import CoveredGate
from pytest_qbench.doctor.known_faults import KNOWN_FAULTS, KnownFault
from pytest_qbench.errors import UsageError
from pytest_qbench.gates.evaluate import GateResult, Limits
from pytest_qbench.judges.load import make_judge
from pytest_qbench.models.load import load_model, parse_spec
from pytest_qbench.models.transformers.model import TransformersModel
from tests.why.faults import sources


@pytest.fixture(scope="module")
def tiny(one_thread: None) -> TransformersModel:
    model = load_model(parse_spec("tiny"), {})
    assert isinstance(model, TransformersModel)
    return model


def result(fault: KnownFault, **verdicts: str) -> FaultResult:
    gates = (GateResult(name, verdict, "", ()) for name, verdict in verdicts.items())  # type: ignore[arg-type]
    return FaultResult(fault, tuple(gates))


def test_there_are_twenty_faults_and_each_image_fault_changes_an_image_more_with_its_strength() -> None:
    assert len({fault.name for fault in KNOWN_FAULTS}) == 20
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8)).resize((128, 96))
    pixels = np.asarray(image).astype(float)
    sizes: dict[str, list[float]] = {}
    for fault in KNOWN_FAULTS:
        if fault.image is not None:
            changed = fault.image(image)
            assert (changed.size, changed.mode) == (image.size, "RGB")
            sizes.setdefault(fault.family, []).append(float(np.abs(np.asarray(changed) - pixels).mean()))
    assert len(sizes) == 6
    assert all(own[0] > 0 and own == sorted(own) for own in sizes.values())


def test_noise_on_the_weights_is_undone(tiny: TransformersModel) -> None:
    before = {name: value.clone() for name, value in tiny.network.state_dict().items()}
    fault = next(fault for fault in KNOWN_FAULTS if fault.noise == 0.1)
    with fault.injected(tiny):
        weight = tiny.network.get_parameter("lm_head.weight").detach()
        added = weight - before["lm_head.weight"]
        assert float(added.std() / before["lm_head.weight"].std()) == pytest.approx(0.1, rel=0.02)
    assert all(torch.equal(value, before[name]) for name, value in tiny.network.state_dict().items())


def test_the_share_and_the_smallest_strengths() -> None:
    one, two, three = (KnownFault("blur", strength) for strength in ("1", "2", "3"))
    other = KnownFault("swap", "")
    found = [
        result(one, a="regressed", b="pass"), result(two, a="inconclusive", b="pass"),
        result(three, a="regressed", b="invalid"), result(other, a="pass", b="improved"),
    ]  # fmt: skip
    assert share_caught(found) == 0.5
    assert smallest_seen(found, "a") == {"blur": "3", "swap": None}  # the strength between them is missed
    assert smallest_seen(found, "b") == {"blur": "3", "swap": None}


def test_a_fault_is_caught_and_a_harmless_change_is_not(tiny: TransformersModel) -> None:
    """A bound that the model breaks without a fault would catch everything: it is refused."""
    items = [item for item in sources(200) if item.task == "perception"]
    judge = make_judge("lexicon")
    faults = (KNOWN_FAULTS[2], KnownFault("nothing", "", image=lambda image: image))
    gate = CoveredGate("perception.accuracy", margin=0.01)
    study = GateCoverage(tiny, items, [gate], Limits(), "likelihood", lambda: judge, faults=faults)
    broken, harmless = study.results()
    assert broken.caught_by == ("perception.accuracy",)
    assert harmless.caught_by == ()
    assert harmless.gates[0].verdict != "regressed"
    bound = replace(gate, margin=None, maximum=0.5)
    with pytest.raises(UsageError, match=r"^perception.accuracy is red for tiny without a fault: .*0\.5"):
        next(replace(study, items=items[:10], gates=[bound]).results())


@pytest.mark.parametrize("args, message", [
    ([], "name --model=SPEC, --faults, or both"),
    (["--faults", "--minimum=0.5"], "--minimum: needs --faults and --model=SPEC"),
    (["--model=tiny", "--suite=suites"], "--suite: needs --faults and --model=SPEC"),
    (["--faults", "--model=tiny", "--suite=a", "--gate=perception.accuracy=0.01"], "drop one of the two"),
    (["--faults", "--model=tiny", "--suite=missing"], "--suite=missing: no such file or folder"),
    (["--faults", "--model=tiny", "--minimum=2"], "--minimum=2: a share from 0 to 1"),
    (["--faults", "--model=random:0"], "has no weights to put faults into"),
    (["--faults", "--model=tiny", "--gate=description.sum=0.06"], "descriptions need a judge; add --judge=SPEC"),
    (["--faults", "--model=tiny", "--datasets=mini_a", "--gate=perception.accuracy=0.01"], "the data has no perception"),
])  # fmt: skip
def test_usage_errors_are_one_line(args: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", *args]) == 4
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


SUITE = """
def test_srcc(qbench_gate):
    qbench_gate("assessment.srcc", margin=0.03, dataset="mini_b")

def test_sum(qbench_gate):
    qbench_gate("description.sum", margin=0.06)
"""


@pytest.mark.campaign
def test_the_command_states_the_share_and_fails_below_the_minimum(tmp_path: Path) -> None:
    """By the gates of the project's suite; that of descriptions has no judge."""
    (tmp_path / "test_own.py").write_text(SUITE, "utf-8")
    command = [sys.executable, "-c", "import sys; from pytest_qbench.cli import main; sys.exit(main())", "doctor"]
    done = subprocess.run(
        [*command, "--faults", "--model=tiny", "--datasets=mini_b", "--limit=40", "--minimum=0.99"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "gates of test_own.py: assessment.srcc mini_b margin 0.03"
    assert lines[1] == "not judged: description.sum margin 0.06: the data has no description"
    assert lines[-1].startswith("FAILED: below --minimum=0.99")
    assert lines[-2].startswith("gate coverage: ")
    assert sum(" caught  " in line or " missed  " in line for line in lines) == 20
    assert "smallest strength that each gate sees:" in lines
