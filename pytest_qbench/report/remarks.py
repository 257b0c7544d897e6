"""What a reader should know beside the gates: drift of the probabilities, other conditions than the baseline's."""

from __future__ import annotations

from typing import Any

from pytest_qbench.report.finished import Finished
from pytest_qbench.report.labels import number

SHOWN = 10  # conditions


def remarks(run: Finished) -> list[tuple[str, bool]]:
    """Remarks in one line each, and whether one is a warning: the model is not the one of the baseline."""
    lines = _judge(run)
    lines += [(_usage(role, usage), False) for role, usage in (run.summary.get("usage") or {}).items()]
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
    judge, control = (run.summary["fingerprint"].get(key) for key in ("judge", "judge_control"))
    if not judge:
        return []
    lines = []
    if control and not control["failed"]:
        n = sum(len(rows) for rows in control["scores"].values())
        lines.append((f"judge {judge['name']}: passed its control set of {n} texts", False))
    elif control:
        lines.append((f"judge {judge['name']}: FAILED its control set: {control['failed']}", True))
    if votes := run.summary.get("votes"):
        told = f"read {votes['read']} of {votes['asked']} replies that extraction left unparsed"
        lines.append((f"judge {judge['name']}: {told}", False))
    return lines


def _usage(role: str, usage: dict[str, Any]) -> str:
    cost = "" if usage["cost"] is None else f", cost ${usage['cost']:.4f}"
    return (
        f"endpoint of the {role}: {usage['requests']} requests ({usage['retries']} repeats), {usage['cache_hits']} "
        f"from the cache, {usage['prompt_tokens']} + {usage['completion_tokens']} tokens{cost}"
    )
