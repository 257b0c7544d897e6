"""What a reader should know beside the gates: the judge, endpoints, drift, other conditions than the baseline's."""

from __future__ import annotations

from typing import Any

from pytest_qbench.report.finished_run import Finished
from pytest_qbench.report.labels import number

SHOWN = 10  # conditions


def remarks(run: Finished) -> list[tuple[str, bool]]:
    """Remarks in one line each, and whether one is a warning: another model than the baseline's, a bad judge."""
    lines = [*_judge(run), *((_usage(role, usage), False) for role, usage in run.summary.get("usage", {}).items())]
    if ray := run.summary.get("ray"):
        lines.append((_ray(ray), False))
    rows = {(m.name, m.dataset): m for m in run.metrics if m.slice is None}
    for one in run.summary.get("drifts", ()):
        m = rows[one["name"], one["dataset"]]
        text = f"drift of {m.name.partition('.')[0]} {m.dataset}: {number(m)}, {m.note}"
        lines.append((text + (": this is not the model of the baseline" if one["moved"] else ""), bool(one["moved"])))
    if differs := run.summary.get("made_otherwise"):
        rest = f" and {len(differs) - SHOWN} more in summary.json" if len(differs) > SHOWN else ""
        lines.append((f"made otherwise than the baseline: {'; '.join(differs[:SHOWN])}{rest}", False))
    return lines


def _judge(run: Finished) -> list[tuple[str, bool]]:
    """What the control set and the votes on unparsed replies say of the judge."""
    made = run.summary["fingerprint"]
    judge, control = made.get("judge"), made.get("judge_control")
    if not judge:
        return []
    lines = []
    if control and not control["failed"]:
        n = sum(len(rows) for rows in control["scores"].values())
        lines.append((f"judge {judge['name']}: right on its control set of {n} texts", False))
    elif not control:
        lines.append((f"judge {judge['name']}: of the project's own, put to no control set", False))
    else:
        lines.append((f"judge {judge['name']}: FAILED its control set: {control['failed']}", True))
    voted = [r for r in run.records.values() if r.task == "perception" and r.judge] if "unparsed" in made else []
    if voted:
        read = sum(r.status != "unparsed" for r in voted)
        text = f"judge {judge['name']}: read {read} of {len(voted)} replies that extraction left unparsed"
        lines.append((text, False))
    return lines


def _ray(ray: dict[str, Any]) -> str:
    cluster = "a cluster started for this run and stopped after it" if ray["started"] else "a cluster that was there"
    died = f"; processes died {ray['deaths']} times" if ray["deaths"] else ""
    return f"ray: {ray['replicas']} replicas on {ray['nodes']} nodes of {cluster}{died}"


def _usage(role: str, usage: dict[str, Any]) -> str:
    cost = "" if usage["cost"] is None else f", cost ${usage['cost']:.4f}"
    return (
        f"endpoint of the {role}: {usage['requests']} requests ({usage['retries']} repeats), {usage['cache_hits']} "
        f"from the cache, {usage['prompt_tokens']} + {usage['completion_tokens']} tokens{cost}"
    )
