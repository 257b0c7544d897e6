"""Notices about a run besides its gates: judge, endpoints, drift, errors, conditions that differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_qbench.baseline.align import count_by_rule, describe_match
from pytest_qbench.metrics.direction import reversed_scales
from pytest_qbench.metrics.prompt_fingerprint import are_changed_by_project
from pytest_qbench.records import Record, error_kind
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.labels import change_text, short_name, shortened_id, value_text
from pytest_qbench.report.repeats import repeats_lines
from pytest_qbench.runs.endpoint_usage import EndpointUsage
from pytest_qbench.runs.summary_parts import RayReport

SHOWN = 10  # conditions that are listed


@dataclass(frozen=True, slots=True)
class Notice:
    """One line about a run. Without -v, only warnings and those with `is_always_shown` appear."""

    text: str
    is_warning: bool = False
    is_always_shown: bool = False


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """Items that failed in the same way: the first message, the number of items, their ids, one traceback if known."""

    text: str
    count: int
    items: tuple[str, ...]
    traceback: str | None


def notices(run: FinishedRun) -> list[Notice]:
    """Return all notices about a run."""
    lines = [*_judge(run)]
    lines += [Notice(_usage(role, usage), is_always_shown=True) for role, usage in run.summary.usage.items()]
    if run.summary.ray:
        lines.append(Notice(_ray(run.summary.ray), is_always_shown=True))
    lines += [Notice(text, is_always_shown=True) for text in _smoothed_changes(run)]
    rows = {(m.name, m.dataset): m for m in run.metrics if m.slice is None}
    for one in run.summary.drifts:
        m = rows[one.name, one.dataset]
        text = f"drift of {m.name.partition('.')[0]} {m.dataset}: {value_text(m.name, m.value)}, {m.note}"
        lines.append(Notice(text + (": this is not the model of the baseline" if one.moved else "")))
    lines += [Notice(text) for text in run.summary.data.meaning]
    lines += [Notice(text, True, True) for text in reversed_scales(run.metrics)]
    if run.summary.fingerprint.option_order and not _shows_options(run):
        text = "the prompts show no options, so their order changes nothing: ask with --qbench-answer=generate"
        lines.append(Notice(text, True, True))
    if outputs := run.summary.outputs_matched:
        lines.append(Notice(f"outputs matched with the items: {count_by_rule(outputs)}"))
    if matched := describe_match(run.summary.baseline.matched or {}):
        lines.append(Notice(matched))
    selection = run.summary.fingerprint.selection
    if selection is not None and selection.limit_by:
        weights = [record.weight for record in run.records.values()]
        each = f"{min(weights):.2g} to {max(weights):.2g} items"
        text = f"{len(weights)} items drawn by the uncertainty of the baseline's answers; each counts for {each}"
        lines.append(Notice(text, is_always_shown=True))
    if repeats := run.summary.repeats:
        lines += [Notice(text, is_warning, is_always_shown=True) for text, is_warning in repeats_lines(repeats)]
    if differs := run.summary.differing_conditions:
        rest = f" and {len(differs) - SHOWN} more in summary.json" if len(differs) > SHOWN else ""
        listed = "; ".join(shortened_id(one) for one in differs[:SHOWN])
        lines.append(Notice(f"differs from the baseline: {listed}{rest}"))
    return lines


def _smoothed_changes(run: FinishedRun) -> list[str]:
    """Return a line for each metric whose printed change is not that of the printed values, as it is smoothed."""
    names = {
        m.name
        for gate in run.gates
        for m in gate.rows
        if m.is_smoothed and None not in (m.value, m.baseline)
        and change_text(m.name, m.delta) != change_text(m.name, (m.value or 0.0) - (m.baseline or 0.0))
    }  # fmt: skip
    return [
        f"change of {short_name(name)}: smoothed over the likelihoods of the options; not exactly now minus before"
        for name in sorted(names)
    ]


def error_kinds(run: FinishedRun) -> list[ErrorKind]:
    """Return the errors of a run by kind (see `error_kind`), the most frequent first."""
    if not run.summary.items.errors:
        return []
    found: dict[str, list[Record]] = {}
    for record in run.records.values():
        if record.status == "error":
            found.setdefault(error_kind(record.error or "", record.item), []).append(record)
    tracebacks = run.summary.tracebacks
    kinds = [
        ErrorKind(
            records[0].error or "", len(records), tuple(r.item for r in records),
            next((tracebacks[r.item] for r in records if r.item in tracebacks), None),
        )
        for records in found.values()
    ]  # fmt: skip
    return sorted(kinds, key=lambda kind: -kind.count)


def _shows_options(run: FinishedRun) -> bool:
    """Return whether the prompts of questions have the options, as far as their templates tell it."""
    prompts = run.summary.fingerprint.prompts
    if not isinstance(prompts, Mapping) or are_changed_by_project(prompts) or not run.of("perception.accuracy"):
        return True
    return "{options}" in prompts["perception"]["text"]


def _judge(run: FinishedRun) -> list[Notice]:
    """Return the notices about the judge: its control set and its votes on unparsed replies."""
    made = run.summary.fingerprint
    judge, control = made.judge_name, made.judge_control
    if not made.judge:
        return []
    lines = []
    if control and not control.failed:
        n = sum(len(rows) for rows in control.scores.values())
        lines.append(Notice(f"judge {judge}: passed its control set of {n} texts"))
    elif not control:
        lines.append(Notice(f"judge {judge}: supplied by the project; control set not run"))
    else:
        lines.append(Notice(f"judge {judge}: FAILED its control set: {control.failed}", is_warning=True))
    reads_unparsed = made.unparsed is not None
    voted = [r for r in run.records.values() if r.task == "perception" and r.judge] if reads_unparsed else []
    if voted:
        read = sum(r.status != "unparsed" for r in voted)
        text = f"judge {judge}: read {read} of {len(voted)} replies that extraction left unparsed"
        lines.append(Notice(text, is_always_shown=True))
    return lines


def _ray(ray: RayReport) -> str:
    cluster = "a cluster started for this run and stopped after it" if ray.started else "an existing cluster"
    died = f"; processes died {ray.deaths} times" if ray.deaths else ""
    return f"ray: {ray.replicas} replicas on {ray.nodes} nodes of {cluster}{died}"


def _usage(role: str, usage: EndpointUsage) -> str:
    cost = "" if usage.cost is None else f", cost ${usage.cost:.4f}"
    return (
        f"endpoint of the {role}: {usage.requests} requests ({usage.retries} repeats), {usage.cache_hits} "
        f"from the cache, {usage.prompt_tokens} + {usage.completion_tokens} tokens{cost}"
    )
