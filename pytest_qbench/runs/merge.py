"""Merge the run folders of all shards into one run folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_qbench.data.sharding import shard_of
from pytest_qbench.errors import UsageError
from pytest_qbench.metrics.fingerprint import Fingerprint, JudgeControl, Selection
from pytest_qbench.metrics.results import Results
from pytest_qbench.records import RECORDS
from pytest_qbench.runs.endpoint_usage import total_usage
from pytest_qbench.runs.items_file import write_items
from pytest_qbench.runs.read import read_run, read_summary
from pytest_qbench.runs.summary import SUMMARY, Summary, summary_of
from pytest_qbench.runs.summary_parts import DataState
from pytest_qbench.untrusted.files import write_text

# Entries that may differ between shards. No record depends on the machine, and not every shard has a judge.
_MACHINE = ("machine",)
_JUDGED = ("judge", "judge_rounds")
_CONTROL = "judge_control"  # the control set depends on the items of the shard


def merge(folders: Sequence[Path], out: Path) -> Results:
    """Merge the runs of all shards of one selection into the new folder `out`, and return the results.

    Raises `UsageError` for runs that are not shards, for shards with different conditions or missing items, and if
    shards overlap or are missing.
    """
    shards = {folder: _shard(folder) for folder in folders}
    parts = {n for _, n in shards.values()}
    if len(parts) > 1:
        raise UsageError(f"shards of different splits: {', '.join(f'{f} is {i}/{n}' for f, (i, n) in shards.items())}")
    _check_complete(shards, parts.pop())
    runs = {folder: read_run(folder) for folder in sorted(folders, key=lambda folder: shards[folder])}
    _check_alike(runs)
    for folder, run in runs.items():
        _check_whole(folder, run, *shards[folder])
    first = next(iter(runs.values()))
    made = replace(_judged(first.fingerprint, list(runs.values())), selection=_unsharded(first.fingerprint))
    merged = Results(
        [record for run in runs.values() for record in run.records],
        {key: item for run in runs.values() for key, item in run.expected.items()},
        made,
        tuple(dict.fromkeys(entry for run in runs.values() for entry in run.left_out)),
        is_narrowed=made.is_narrowed,
    )
    _write(out, merged, [read_summary(folder) for folder in folders])
    return merged


def _unsharded(made: Fingerprint) -> Selection | None:
    return replace(made.selection, shard=None) if made.selection else None


def _judged(made: Fingerprint, runs: Sequence[Results]) -> Fingerprint:
    """Return the fingerprint with the judge of the first shard with descriptions."""
    for one in (run.fingerprint for run in runs):
        if one.judge is not None:
            return replace(made, judge=one.judge, judge_rounds=one.judge_rounds, judge_control=_control(runs))
    return made


def _control(runs: Sequence[Results]) -> JudgeControl:
    """Return the control scores of all shards. The judge has failed if it failed on one of them."""
    scores: dict[str, dict[str, Sequence[float | None]]] = {}
    found = [control for run in runs if (control := run.fingerprint.judge_control)]
    for kind, texts in (entry for control in found for entry in control.scores.items()):
        scores.setdefault(kind, {}).update(texts)
    return JudgeControl(scores, next((control.failed for control in found if control.failed), None))


def _shard(folder: Path) -> tuple[int, int]:
    selection = read_summary(folder).fingerprint.selection
    if selection is None or selection.shard is None:
        raise UsageError(f"{folder}: is no shard: it was run without --qbench-shard=I/N")
    return selection.shard


def _check_complete(shards: Mapping[Path, tuple[int, int]], parts: int) -> None:
    seen: dict[int, Path] = {}
    for folder, (part, _) in shards.items():
        if part in seen:
            raise UsageError(f"{folder} and {seen[part]} overlap: both are shard {part}/{parts}")
        seen[part] = folder
    if missing := [f"{part}/{parts}" for part in range(1, parts + 1) if part not in seen]:
        raise UsageError(f"shards are missing: {', '.join(missing)}; name their run folders too")


def _check_alike(runs: Mapping[Path, Results]) -> None:
    entries = {
        folder: replace(run.fingerprint, selection=_unsharded(run.fingerprint)).to_json()
        for folder, run in runs.items()
    }
    (first, one), *others = entries.items()
    for folder, other in others:
        for key in dict.fromkeys((*one, *other)):
            old, new = one.get(key), other.get(key)
            if key in (*_MACHINE, _CONTROL) or (key in _JUDGED and None in (old, new)):
                continue
            if old != new:
                raise UsageError(f"{first} and {folder} differ: {key}: {old} -> {new}")


def _check_whole(folder: Path, run: Results, part: int, parts: int) -> None:
    for task, item in run.expected:
        if shard_of(task, item, parts) != part:
            raise UsageError(f"{folder}: {item} does not belong to shard {part}/{parts}")
    if missing := [id_ for task in dict.fromkeys(t for t, _ in run.expected) for id_ in run.missing(task)]:
        raise UsageError(
            f"{folder}: {len(missing)} items were not measured (first: {missing[0]}); resume it first: "
            f"--qbench-resume --qbench-run-dir={folder}"
        )


def _write(out: Path, merged: Results, shards: Sequence[Summary]) -> None:
    verdict = "NOT GATED: joined from shards; judge it with qbench compare"
    metrics = (*merged.metrics, *merged.diagnostics)
    began = min(shard.began for shard in shards)
    shared = summary_of(merged, metrics, began=began, verdict=verdict, baseline=shards[0].baseline)
    summary = replace(
        shared,
        outputs_matched=dict(sum((Counter(shard.outputs_matched) for shard in shards), Counter())),
        usage=total_usage([shard.usage for shard in shards]),
        tracebacks={item: text for shard in shards for item, text in shard.tracebacks.items()},
        data=DataState(
            tuple(dict.fromkeys(text for shard in shards for text in shard.data.meaning)),
            tuple(dict.fromkeys(name for shard in shards for name in shard.data.direction_stated)),
        ),
        seconds=round(sum(shard.seconds or 0.0 for shard in shards), 3),
    )
    try:
        out.mkdir(parents=True)
        write_text(out / RECORDS, (record.to_json() + "\n" for record in merged.records))
        write_items(out, merged.expected.values())
        write_text(out / SUMMARY, summary.as_text())
    except FileExistsError as e:
        raise UsageError(f"--out={out}: exists; name a new folder") from e
    except OSError as e:
        raise UsageError(f"--out={out}: cannot be written: {e.strerror}") from e
