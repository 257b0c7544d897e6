"""Q-Bench's output in pytest's terminal: the header line and the section at the end.

What only the section needs is imported there, as `--collect-only` shows none.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pytest_qbench.errors import UsageError
from pytest_qbench.escaping import printable
from pytest_qbench.session.pace_of_last_run import in_words

if TYPE_CHECKING:
    from pytest_qbench.gates.written_gate import WrittenGate
    from pytest_qbench.report.finished_run import FinishedRun
    from pytest_qbench.session.run import Run

NOT_QBENCH = "mini (embedded trial data: it is not Q-Bench)"


def header(run: Run) -> list[str]:
    """Return the header lines: model and data, and the baseline if other processes collect the tests."""
    settings = run.request.settings
    data = NOT_QBENCH if settings.data == "mini" else settings.data
    blind = ", blind (grey images)" if settings.blind else ""
    order = f", options {settings.option_order}" if settings.option_order else ""
    ray = f", ray {settings.ray}" if settings.ray else ""
    model = settings.model or "of the fixture qbench_model"
    lines = [f"qbench: model {model}, data {data}{blind}{order}{ray}"]
    if run.recorder.role.is_controller:
        lines += baseline_lines(run)
    return [printable(line) for line in lines]


def baseline_lines(run: Run) -> list[str]:
    """Return lines that name the baseline, or the consequence if it is missing; empty if it is not known yet."""
    from pytest_qbench.baseline.baseline import Baseline

    try:
        if not run.knows_baseline_name:
            return []
        name, stored = run.baseline_name, run.stored_baseline
    except UsageError:  # of the model or the data: collection tells it
        return []
    if run.request.settings.update_baseline:
        text = f"{name}, {'replaced' if isinstance(stored, Baseline) else 'recorded'} by this run"
    elif isinstance(stored, Baseline):
        text = f"{name} ({datetime.fromisoformat(stored.recorded):%d %b %Y}, {len(stored.records):,} items)"
    elif run.gating.not_gated:
        text = "none"
    else:
        text = stored.reason if stored.is_broken else f"none: {stored.reason}; until then gates are invalid"
    return [printable(f"qbench: baseline {text}")]


def plan(run: Run, gates: Sequence[WrittenGate]) -> str:
    """Return a line with the number of items, the gates and, if known, the duration of the run."""
    request = run.request
    items = len(request.expected)
    # Several datasets or bounds of one metric are one entry.
    names = dict.fromkeys(_gate(gate) for gate in gates if gate.task in request.tasks)
    parts = [f"{items:,} items", f"gates: {', '.join(names) or 'none'}" if not run.gating.not_gated else "no gates"]
    if request.spec and (pace := run.recorder.pace(items)):
        parts.append(f"about {in_words(pace.seconds * items)}, by the run of {pace.day} ({pace.seconds:.2g} s an item)")
    return printable(f"qbench: {'; '.join(parts)}")


def _gate(gate: WrittenGate) -> str:
    bounds = [f"{key} {value:g}" for key, value in gate.arguments.items() if isinstance(value, float | int) and value]
    places = [value for key, value in gate.arguments.items() if isinstance(value, str)]
    return " ".join([gate.metric, *places, *(b for b in bounds if not b.startswith("each_dataset"))])


def show(reporter: Any, run: FinishedRun) -> None:
    """Write the section of a finished run with pytest's terminal writer."""
    from pytest_qbench.report.headline import tone_of, word_of
    from pytest_qbench.report.terminal import COLOURS, section

    width = reporter._tw.fullwidth
    word = word_of(run)
    reporter.write_sep("=", f"Q-Bench: {word}", **{COLOURS[tone_of(word)]: True, "bold": True})
    for line in section(run, width, reporter.verbosity):
        # In a log each line stays whole, so that it can be searched for.
        for text in wrapped(line.text, width) if reporter.isatty else [line.text]:
            reporter.write_line(text, **dict.fromkeys(line.marks, True))


def wrapped(text: str, width: int) -> list[str]:
    """Return a text as lines of at most `width` characters, all but the first indented."""
    if len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
