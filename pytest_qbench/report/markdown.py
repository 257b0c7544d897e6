"""A finished run as Markdown: the step summary of a CI job, a comment on a change.

Whatever a model, a data file or a user's folder says stands in code spans, where nothing is markup.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_qbench.gates.flips import Flip
from pytest_qbench.metrics.metrics import Metric
from pytest_qbench.report.finished_run import Finished, Gate
from pytest_qbench.report.labels import JUDGED, interval, judged, name_of, number, row_label, signed, was
from pytest_qbench.report.notices import remarks

FLIPS_SHOWN = 10  # each way and gate: a step summary holds 1 MiB
TEXT_SHOWN = 200  # characters of a foreign text
SIGNS = {"pass": "✅", "fail": "❌", "inconclusive": "❔", "not gated": "➖"}


def markdown(run: Finished) -> str:
    """The report in GitHub's Markdown."""
    summary, counts = run.summary, run.summary["items"]
    missing = counts["total"] - counts["scored"] - counts["unparsed"] - counts["errors"]
    model, data = (summary["model"] or {}).get("name"), summary["fingerprint"].get("data")
    note = " (embedded trial data, not Q-Bench)" if data == "mini" else ""
    baseline = summary["baseline"]
    told = [
        f"## Q-Bench: {code(str(summary['verdict']))}",
        f"Model {code(str(model))}, data {code(str(data))}{note}, baseline {code(str(baseline['name']))}"
        + (f" of {baseline['recorded']}" if "recorded" in baseline else " (none)"),
        f"{counts['scored']} of {counts['total']} items scored, {counts['unparsed']} unparsed, "
        f"{counts['errors']} errors, {missing} missing",
        *_gates(run.gates),
        *_metrics(run.metrics),
        *(part for gate in run.gates for part in _flips(gate)),
        *_notes(run),
    ]
    return "\n\n".join(told) + "\n"


def code(text: str) -> str:
    """A foreign text as a code span: on one line, cut to a readable length, its backticks and bars kept."""
    flat = re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", text).strip() or " "
    cut = flat if len(flat) <= TEXT_SHOWN else flat[: TEXT_SHOWN - 1] + "…"
    fence = "`" * (max((len(run) for run in re.findall("`+", cut)), default=0) + 1)
    pad = " " if "`" in cut else ""
    return f"{fence}{pad}{cut}{pad}{fence}".replace("|", "\\|")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table; cells are Markdown already."""
    lines = [head, ["---" if i < left else "---:" for i in range(len(head))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _gates(gates: Sequence[Gate]) -> list[str]:
    if not gates:
        return []
    rows = []
    for gate in gates:
        rows.append([f"{SIGNS[gate.outcome]} {code(gate.name)}", gate.verdict, "", "", "", "", code(gate.reason)])
        rows += [["↳ " + code(row_label(row)), *judged(row), ""] for row in gate.rows if row.margin is not None]
    return ["### Gates", table(["gate", *JUDGED, "reason"], rows, left=2)]


def _metrics(metrics: Sequence[Metric]) -> list[str]:
    rows = [
        [
            code(f"{name_of(m)} {row_label(m)}"), number(m), was(m), signed(m.delta), interval(m), str(m.n),
        ]
        for m in metrics
    ]  # fmt: skip
    head = ["metric", "value", "baseline", "delta", "95 % interval", "items"]
    return ["### Metrics", table(head, rows)] if rows else []


def _flips(gate: Gate) -> list[str]:
    if not gate.lost and not gate.gained:
        return []
    rows = [row for way in ("lost", "gained") for row in _moved(way, getattr(gate, way))]
    title = f"### Items behind {code(gate.name)}: {len(gate.lost)} lost, {len(gate.gained)} gained"
    return [title, table(["", "item", "question", "before", "now"], rows, left=5)]


def _moved(way: str, moved: Sequence[Flip]) -> list[list[str]]:
    rows = [
        [way, code(m.item), code(m.question), code(m.before or "-"), code(m.after or "-")] for m in moved[:FLIPS_SHOWN]
    ]
    more = len(moved) - len(rows)
    return [*rows, *([[way, f"{more} more", "", "", ""]] if more else [])]


def _notes(run: Finished) -> list[str]:
    summary = run.summary
    lines = [f"- {code(note)}" for note in summary["notes"]]
    lines += [f"- error: {code(str(e['error']))}" for e in summary.get("errors", ())]
    lines += [f"- missing: {code(item)}" for item in summary.get("missing", ())]
    lines += [f"- {code(text)}" for text, _ in remarks(run)]
    left_out = summary["left_out"]
    lines += [f"- left out: {code(e['entry'])}: {code(e['reason'])}" for e in left_out[:FLIPS_SHOWN]]
    if len(left_out) > FLIPS_SHOWN:
        lines.append(f"- left out: {len(left_out) - FLIPS_SHOWN} more, in `summary.json`")
    lines.append(f"- files: {code(str(run.folder))}")
    return ["### Notes", "\n".join(lines)]
