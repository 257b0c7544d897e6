"""What a run's numbers are compared with: chance, the true share of yes, and published rows. As text and as a page."""

from __future__ import annotations

from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.labels import own_interval, row_label, slice_label, value_text
from pytest_qbench.report.markup import Markup, joined, table, tag
from pytest_qbench.report.published_rows import PublishedTable, published_tables, withheld_tables
from pytest_qbench.report.text_table import aligned_parts, filled


def published_text(run: FinishedRun, width: int | None) -> list[list[str]]:
    """Return the published tables as lines, and a line per reason why others are withheld."""
    blocks = [
        [*_text(one, width), f"  source: {one.source}"]
        for one in published_tables(run.metrics, run.summary.fingerprint)
    ]
    return [*blocks, *([f"  {text}"] for text in _withheld(run))]


def _withheld(run: FinishedRun) -> list[str]:
    return [
        f"published rows of {', '.join(one.places)} are not shown: {one.reason}"
        for one in withheld_tables(run.metrics, run.summary.fingerprint)
    ]


def _text(one: PublishedTable, width: int | None) -> list[str]:
    head = [f"published {one.title}", *one.columns]
    return aligned_parts([head, *([name, *cells] for name, cells in one.rows)], width)


def reference_lines(run: FinishedRun) -> list[str]:
    """Return chance and the true share of yes per dataset, and the published tables, for `qbench compare`."""
    lines = []
    for dataset in dict.fromkeys(m.dataset for m in run.of("perception.chance")):
        found = [m for m in run.of("perception.chance") if m.dataset == dataset]
        values = [f"{slice_label(m.slice) if m.slice else 'all'} {value_text(m.name, m.value)}" for m in found]
        lines += [f"chance of {dataset}:", *filled(values, 118)]
    for m in run.of("perception.true_yes_rate"):
        if m.value is not None:
            lines.append(f"true share of yes of {m.dataset}: {value_text(m.name, m.value)}")
    for dataset in dict.fromkeys(m.dataset for m in run.of("perception.degradation")):
        lines += degradation_lines(run, dataset, 118)
    return lines + [line for block in published_text(run, None) for line in block]


def degradation_lines(run: FinishedRun, dataset: str | None, width: int) -> list[str]:
    """Return lines on what degradation costs on a dataset: in total and per severity, with intervals and pairs."""
    found = [m for m in run.of("perception.degradation") if m.dataset == dataset]
    parts = [
        f"{slice_label(m.slice) if m.slice else f'clean minus degraded {dataset}'} {value_text(m.name, m.value)} "
        f"{own_interval(m)} ({'; '.join(filter(None, (f'{m.n:,} pairs', m.note)))})"
        for m in found
    ]
    return filled(parts, width)


def reference_section(run: FinishedRun) -> Markup | None:
    """Return tables of accuracy beside chance and of published rows; None if the run has neither."""
    chance = {(m.dataset, m.slice): m for m in run.of("perception.chance")}
    rows = [
        [row_label(m), value_text(m.name, m.value), own_interval(m), value_text("perception.chance", odds.value),
         f"{odds.n:,}"]
        for m in run.of("perception.accuracy")
        if (odds := chance.get((m.dataset, m.slice))) is not None
    ]  # fmt: skip
    parts = []
    if twins := run.of("perception.degradation"):
        cells = [[row_label(m), value_text(m.name, m.value), own_interval(m), f"{m.n:,}", m.note or ""] for m in twins]
        head = ["", "clean minus degraded", "95 % interval", "pairs", "note"]
        parts.append(joined(tag("h3", "Degradation"), table(head, cells, class_="numbers")))
    if rows:
        note = "Chance is the mean of 1 / number of options: what a random choice scores on average."
        head = ["", "accuracy", "95 % interval", "chance", "items"]
        parts.append(joined(tag("h3", "Chance"), table(head, rows, class_="numbers"), tag("p", note, class_="soft")))
    for one in published_tables(run.metrics, run.summary.fingerprint):
        body = [[tag("strong", name) if i == 0 else name, *cells] for i, (name, cells) in enumerate(one.rows)]
        parts.append(
            joined(
                tag("h3", f"Published: {one.title}"), table(["", *one.columns], body, class_="numbers"),
                tag("p", f"Source: {one.source}", class_="soft"),
            )
        )  # fmt: skip
    if withheld := _withheld(run):
        parts.append(tag("ul", *(tag("li", text) for text in withheld)))
    return joined(*parts) if parts else None
