"""`qbench verify RUN --signers=FILE`: check a signed run, its suites and its baseline, and judge it again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qbench.baseline.remote import BASELINES, RemoteStore, split_location
from pytest_qbench.cli.command import Commands, show
from pytest_qbench.errors import CANNOT_TELL, NOT_MEASURED

if TYPE_CHECKING:
    from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
    from pytest_qbench.metrics.results import Results
    from pytest_qbench.runs.summary import Summary


class _Refused(Exception):
    """The run is no evidence; the message gives the reason."""


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("verify", help="check a signed run and judge it again, without model and data")
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="the signed run folder")
    parser.add_argument(
        "--signers", type=Path, required=True, metavar="FILE",
        help="the allowed signers: a name and a public key per line, as git's gpg.ssh.allowedSignersFile",
    )  # fmt: skip
    parser.add_argument("--signer", metavar="NAME", help="accept only this name. Default: any of the file")
    parser.add_argument(
        "--baseline-dir", type=split_location, default=split_location(BASELINES), metavar="DIR",
        help="the folder of baselines, or an address such as s3://bucket/baselines. Default: baselines",
    )  # fmt: skip
    parser.add_argument(
        "--rootdir",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="the folder that holds the suites. Default: this one",
    )
    parser.add_argument("--strict", action="store_true", help="exit with 11 if a gate is inconclusive")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print who signed the run and its verdict. Return the exit status of a run, 10 for a run that is refused."""
    from pytest_qbench.evidence.manifest import verify_run
    from pytest_qbench.evidence.ssh import BadSignatureError
    from pytest_qbench.runs.read import read_run, read_summary

    folder = arguments.run_folder
    try:
        signer = verify_run(folder, arguments.signers.expanduser(), arguments.signer)
        summary, results = read_summary(folder), read_run(folder)
        _check_suites(summary, arguments.rootdir)
        baseline, anchor = _baseline(summary, *arguments.baseline_dir)
        show(f"VERIFIED: signed by {signer}; run, baseline and {len(summary.suites)} files of suites are as they were")
        return _judge(summary, results, baseline, anchor, arguments.strict)
    except (BadSignatureError, _Refused) as e:
        show(f"REFUSED: {e}")
        return NOT_MEASURED


def _check_suites(summary: Summary, rootdir: Path) -> None:
    from pytest_qbench.evidence.suite_files import changed_suite

    if not summary.suites and summary.gates:
        raise _Refused("the run is of an earlier version, which did not note its suites; run again")
    if reason := changed_suite(summary.suites, rootdir.resolve()):
        raise _Refused(reason)


def _baseline(
    summary: Summary, folder: Path, store: RemoteStore | None
) -> tuple[Baseline | MissingBaseline, Baseline | MissingBaseline]:
    """Return the baseline that the run was compared with, or has recorded, and its anchor.

    Raises `_Refused` for any other one.
    """
    from pytest_qbench.baseline.baseline import MissingBaseline
    from pytest_qbench.baseline.store import find_baseline, read_anchor, read_baseline
    from pytest_qbench.errors import UsageError

    state = summary.baseline
    digest = state.written_digest or state.digest
    name = Path(state.written).name if state.written else state.name
    if digest is None:
        missing = MissingBaseline(state.missing or "the run was compared with no baseline")
        return missing, missing
    path = find_baseline(folder, name or "", store)
    if path is None:
        raise _Refused(f"baseline {name} of the run is not in {folder}")
    try:
        found = read_baseline(path)
        anchor = read_anchor(found)
    except UsageError as e:
        raise _Refused(str(e)) from e
    if found.digest != digest:
        raise _Refused(f"baseline {path} is not the one of the run: it was changed or replaced")
    return found, anchor


def _judge(
    summary: Summary,
    results: Results,
    baseline: Baseline | MissingBaseline,
    anchor: Baseline | MissingBaseline,
    strict: bool,
) -> int:
    """Print each gate, judged again, and the verdict. Return the exit status."""
    from pytest_qbench.baseline.align import align
    from pytest_qbench.baseline.baseline import Baseline
    from pytest_qbench.gates.evaluate import Limits
    from pytest_qbench.gates.judge_again import judge_again, judge_by_default

    if results.stop:
        raise _Refused(f"it was {results.stop}, and only whole runs are judged again; the run said: {summary.verdict}")
    made = results.fingerprint
    if made.control or (made.selection and made.selection.shard):
        raise _Refused("a control or a shard decides nothing; join shards with qbench merge, then sign the joined run")
    if summary.stopped is not None:
        raise _Refused("the run was stopped early; only a run of all items is judged again")
    if summary.baseline.written:
        show(f"the run recorded this baseline; {summary.verdict}")
        return 0 if summary.verdict.startswith("BASELINE RECORDED") else _status_of(summary.verdict, strict)
    old = align(baseline, results.expected) if isinstance(baseline, Baseline) else baseline
    if not summary.gates:  # joined shards
        judged = judge_by_default(results, old, Limits())
        for gate in judged:
            show(f"gate {gate.name}: {gate.verdict} ({gate.reason})")
        return _status({gate.verdict for gate in judged if not gate.nothing}, strict)
    if any(gate.call is None for gate in summary.gates):
        raise _Refused("the run is of an earlier version, which did not note the bounds of its gates; run again")
    against = align(anchor, results.expected) if isinstance(anchor, Baseline) else anchor
    again = judge_again(summary.gates, results, old, against)
    for signed, found in again:
        show(f"gate {found.name}: {found.verdict} ({found.reason})")
        if signed.verdict != found.verdict:
            raise _Refused(
                f"{found.name} is {signed.verdict} in the signed run and {found.verdict} here; use its version"
            )
    show(f"signed verdict: {summary.verdict}")
    if summary.verdict.startswith("NOT GATED"):  # measured with --qbench-no-gates, judged here
        return _status({found.verdict for _, found in again if not found.nothing}, strict)
    if any(gate.verdict == "regressed" and gate.outcome == "fail" for gate in summary.gates):
        return 1
    return _status_of(summary.verdict, strict)


def _status(verdicts: set[str], strict: bool) -> int:
    if "regressed" in verdicts:
        return 1
    if not verdicts or "invalid" in verdicts:
        return NOT_MEASURED
    return CANNOT_TELL if strict and "inconclusive" in verdicts else 0


def _status_of(verdict: str, strict: bool) -> int:
    """Return the exit status of a signed verdict: also what no gate shows, such as items in error, is not green."""
    word = verdict.partition(":")[0]
    if word == "PASS":
        return 0
    if word in ("CANNOT TELL", "INCONCLUSIVE"):
        return CANNOT_TELL if strict or word == "INCONCLUSIVE" else 0
    return 1 if word in ("REGRESSED", "OUT OF BOUNDS", "FAILED") else NOT_MEASURED
