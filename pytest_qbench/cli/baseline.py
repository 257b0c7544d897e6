"""`qbench baseline RUN`: record a finished run, or merged shards, as a baseline. `qbench baseline log`: its chain."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_qbench.baseline.remote import BASELINES, split_location
from pytest_qbench.cli import published
from pytest_qbench.cli.command import Commands, show
from pytest_qbench.errors import UsageError

if TYPE_CHECKING:
    from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
    from pytest_qbench.baseline.lineage import Ancestor
    from pytest_qbench.gates.evaluate import GateResult
    from pytest_qbench.metrics.results import Results
    from pytest_qbench.runs.summary import Summary

LOG = "log"


def add(commands: Commands) -> None:
    """Add the parser of the command."""
    parser = commands.add_parser("baseline", help="record a finished run (or merged shards) as a baseline")
    parser.add_argument(
        "run_folder", type=Path, nargs="*", metavar="RUN|log",
        help="a run folder, or recorded outputs; several runs of one model give a baseline that holds the answers of "
        "all; log NAME shows the chain of a baseline",
    )  # fmt: skip
    parser.add_argument("--name", help="name of the baseline. Default: the name that the run was compared with")
    parser.add_argument(
        "--baseline-dir", type=split_location, default=split_location(BASELINES), metavar="DIR",
        help="the folder of baselines, or an address such as s3://bucket/baselines. Default: baselines",
    )  # fmt: skip
    parser.add_argument("--reason", metavar="TEXT", help="store this text in the baseline")
    parser.add_argument(
        "--accept-regression", action="store_true", help="record the run even if it is worse; needs --reason"
    )
    parser.add_argument(
        "--accept-lost-items", action="store_true", help="record the run even if it lacks items of the old baseline"
    )
    parser.add_argument(
        "--new-anchor", action="store_true", help="let the new baseline be its own anchor; needs --reason"
    )
    parser.add_argument("--max-errors", type=float, default=0.0, metavar="SHARE", help="tolerated. Default: 0")
    parser.add_argument("--max-unparsed", type=float, default=0.05, metavar="SHARE", help="tolerated. Default: 0.05")
    parser.add_argument("--max-cut", type=float, default=0.05, metavar="SHARE", help="tolerated. Default: 0.05")
    published.add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Record the baseline and print the changes, or print its chain. Return 1 if the run is not eligible."""
    folders = arguments.run_folder
    if arguments.published is not None:
        published.check_published(arguments.published, folders)
    elif not folders:
        raise UsageError("baseline: name a run folder, or log")
    return _show_log(arguments) if folders and folders[0] == Path(LOG) else _record(arguments)


def _record(arguments: argparse.Namespace) -> int:
    from pytest_qbench.baseline.align import align
    from pytest_qbench.baseline.baseline import MissingBaseline, changes
    from pytest_qbench.baseline.lineage import Note
    from pytest_qbench.baseline.store import find_baseline, read_anchor, read_baseline, write_baseline
    from pytest_qbench.gates.promotion import accepted_drops
    from pytest_qbench.policy.git import head_commit

    reason = " ".join((arguments.reason or "").split()) or None
    for option in ("accept_regression", "new_anchor"):
        if getattr(arguments, option) and reason is None:
            raise UsageError(f'--{option.replace("_", "-")} needs --reason="why"; the baseline keeps it')
    results, default, summary = _results(arguments)
    if arguments.published and (reason_against := published.why_not_published(arguments.published, results)):
        show(f"NOT RECORDED: {reason_against}")
        return 1
    name = _plain_name(arguments.name or default, arguments.run_folder[0])
    baselines, store = arguments.baseline_dir
    path = find_baseline(baselines, name, store)
    stored: Baseline | MissingBaseline = read_baseline(path) if path else MissingBaseline("none")
    old, anchor = (
        each if isinstance(each, MissingBaseline) else align(each, results.expected)
        for each in (stored, stored if isinstance(stored, MissingBaseline) else read_anchor(stored))
    )
    gates = list(_judge(arguments, summary, results, old, anchor))
    if refusal := _why_ineligible(arguments, results, old, gates, summary.data.direction_stated if summary else ()):
        show(f"NOT RECORDED: {refusal}")
        return 1
    made_at = summary.commit if summary else None
    note = Note(made_at or head_commit(Path()), reason, accepted_drops(gates), arguments.new_anchor)
    written = write_baseline(baselines, name, results, note=note, store=store)
    folders = ", ".join(map(str, arguments.run_folder))
    show(f"BASELINE RECORDED: {written}, {len(results.records):,} items of {folders}")
    for line in changes(old, results):
        show(line)
    if results.fingerprint.answer != "generate" or any(r.logprobs for r in results.records):
        show("without a noise floor, so drift is not judged; --qbench-update-baseline measures one")
    return 0


def _results(arguments: argparse.Namespace) -> tuple[Results, str, Summary | None]:
    """Return the results of the named runs or recorded outputs, the default name, and the summary of the first run."""
    from pytest_qbench.baseline.sources import source_kind
    from pytest_qbench.runs.combine import combine_runs
    from pytest_qbench.runs.read import read_summary

    folders: list[Path] = arguments.run_folder
    if all(source_kind(folder) == "run" for folder in folders):
        summary = read_summary(folders[0])
        return combine_runs(folders), summary.baseline.name or "", summary
    if len(folders) > 1:
        raise UsageError("baseline: several sources must all be run folders; name recorded outputs alone")
    return *published.score(arguments), None


def _plain_name(name: str, folder: Path) -> str:
    if not name or Path(name).name != name or name.startswith("."):
        raise UsageError(f"--name={name}: a plain name is needed, such as --name={folder.resolve().name}")
    return name


def _judge(
    arguments: argparse.Namespace,
    summary: Summary | None,
    results: Results,
    old: Baseline | MissingBaseline,
    anchor: Baseline | MissingBaseline,
) -> Iterator[GateResult]:
    """Yield the verdicts of the run's own gates against the old baseline; without them, those of the suites' gates."""
    from pytest_qbench.baseline.baseline import MissingBaseline
    from pytest_qbench.gates.evaluate import Limits
    from pytest_qbench.gates.judge_again import judge_again, judge_by_default

    if summary is not None and any(gate.call for gate in summary.gates):
        yield from (found for _, found in judge_again(summary.gates, results, old, anchor))
    elif not isinstance(old, MissingBaseline):
        limits = Limits(arguments.max_errors, arguments.max_unparsed, arguments.max_cut)
        yield from judge_by_default(results, old, limits)


def _why_ineligible(
    arguments: argparse.Namespace,
    results: Results,
    old: Baseline | MissingBaseline,
    gates: Collection[GateResult],
    stated: Collection[str],
) -> str | None:
    """Return the reason why this run cannot become the baseline, or None."""
    from pytest_qbench.baseline.baseline import MissingBaseline
    from pytest_qbench.baseline.eligibility import why_incomplete
    from pytest_qbench.gates.promotion import lost_items, unexcluded_drop
    from pytest_qbench.metrics.direction import reversed_scales

    fingerprint, limits = results.fingerprint, (arguments.max_errors, arguments.max_unparsed, arguments.max_cut)
    if fingerprint.selection and fingerprint.selection.shard:
        return "it is one shard; join all of them first with qbench merge"
    if fingerprint.control:
        return f"it is a control ({fingerprint.control}), which no gate can judge"
    control = fingerprint.judge_control
    if control and control.failed and results.datasets("description"):
        return f"the judge failed its control set: {control.failed}"
    if reason := why_incomplete(results, *limits) or next(iter(reversed_scales(results.metrics, stated)), None):
        return reason
    if not isinstance(old, MissingBaseline) and not arguments.accept_lost_items and (lost := lost_items(old, results)):
        return f"{lost}; record it under another --name, or add --accept-lost-items"
    if arguments.accept_regression:
        return None
    if regressed := [gate.name for gate in gates if gate.verdict == "regressed"]:
        return f"{', '.join(regressed)} regressed; accept it with --accept-regression and --reason"
    if broken := [gate for gate in gates if gate.verdict == "invalid" and not (gate.incomparable or gate.nothing)]:
        return f"{broken[0].name}: {broken[0].reason}"
    return f"{drop}, or add --accept-regression and --reason" if (drop := unexcluded_drop(gates)) else None


def _show_log(arguments: argparse.Namespace) -> int:
    """Print the chain of a baseline, oldest first."""
    from pytest_qbench.baseline.lineage import Ancestor, totals
    from pytest_qbench.baseline.store import find_baseline, names_of_baselines, read_anchor, read_baseline

    names_given = [str(each) for each in arguments.run_folder[1:]]
    if len(names_given) > 1:
        raise UsageError(f"baseline log: {', '.join(names_given)}: name one baseline")
    (folder, store), name = arguments.baseline_dir, names_given[0] if names_given else arguments.name
    names = names_of_baselines(folder, store)
    if name is None and len(names) == 1:
        name = names[0]
    path = find_baseline(folder, name, store) if name and Path(name).name == name else None
    if path is None:
        raise UsageError(f"baseline log {name or 'NAME'}: not in {folder}/ (baselines: {', '.join(names) or 'none'})")
    found = read_baseline(path)
    lineage, anchor = found.lineage, read_anchor(found)
    current = Ancestor(found.recorded, "", lineage.note, totals(found.metrics))
    for entry in (*lineage.ancestors, current):
        show(_log_line(entry, entry.recorded == anchor.recorded, entry is current))
    return 0


def _log_line(entry: Ancestor, is_anchor: bool, is_current: bool) -> str:
    note = entry.note
    marks = [word for word, applies in (("anchor", is_anchor), ("current", is_current)) if applies]
    parts = [
        entry.recorded,
        note.commit[:9] if note.commit else "no commit",
        ", ".join(f"{name} {value:.4f}" for name, value in entry.values.items()) or "no totals",
        *([f"accepted: {'; '.join(note.accepted)}"] if note.accepted else []),
        note.reason or "no reason",
        *([f"({', '.join(marks)})"] if marks else []),
    ]
    return "  ".join(parts)
