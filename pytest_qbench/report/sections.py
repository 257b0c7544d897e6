"""The sections of a run's page, except for the cards: headline, tiles, gates, metrics, heat maps, ranks, conditions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pytest_qbench.metrics.metric import Metric
from pytest_qbench.report import charts
from pytest_qbench.report.breakdowns import Cell, HeatMap, count_verdicts, make_heat_maps
from pytest_qbench.report.cards import address, outlier_cards
from pytest_qbench.report.details import flattened
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.headline import (
    JudgedRow,
    drift_lines,
    format_time,
    headline,
    judged_rows,
    level_text,
    next_step,
    subject,
    tile_rows,
    tone_of,
    totals,
    word_of,
)
from pytest_qbench.report.labels import (
    before_text,
    change_text,
    interval_text,
    own_interval,
    plural,
    size_text,
    slice_label,
    title_of,
    value_text,
)
from pytest_qbench.report.markup import Markup, joined, table, tag
from pytest_qbench.report.notices import error_kinds, notices
from pytest_qbench.report.outliers import outliers
from pytest_qbench.report.since_anchor import since_anchor
from pytest_qbench.stats.correlation import mid_ranks

POINTS = 2000  # maximum number of points in a scatter plot; more points do not change its look
PALE = 30  # a cell with fewer items is pale, because its accuracy is uncertain
FEW = 4  # maximum number of tiles without gates


def header(run: FinishedRun) -> Markup:
    """Return the head of the page: headline, subject, tiles, problems and notices."""
    word = word_of(run)
    summary = run.summary
    problems = [tag("li", note) for note in summary.notes]
    for kind in error_kinds(run):
        problems.append(tag("li", f"error: {kind.text} ({plural(kind.count, 'item')}, first {kind.items[0]})"))
    problems += [tag("li", f"missing: {item}") for item in summary.missing]
    known = [tag("li", text, class_="open") for text in drift_lines(run)]
    known += [tag("li", one.text, class_="open") for one in notices(run) if one.is_warning]
    known += [tag("li", tag("strong", "Next: "), step) for step in next_step(run)]
    return tag(
        "header",
        tag("p", f"Q-Bench · {format_time(summary.began)}", class_="eyebrow"),
        tag("h1", headline(run).replace(" -> ", " → "), id="verdict", class_=tone_of(word)),
        tag("p", " · ".join(subject(run)), id="about"),
        tag("p", anchor, id="anchor") if (anchor := since_anchor(run)) else "",
        tag("div", *_tiles(run), class_="tiles"),
        tag("ul", *problems, id="notes") if problems else "",
        tag("ul", *known, id="notices") if known else "",
    )


def _tiles(run: FinishedRun) -> Iterator[Markup]:
    rows = tile_rows(run)
    if not rows:
        for m in totals(run)[:FEW]:
            now = tag("p", value_text(m.name, m.value), class_="now")
            yield tag("div", tag("h3", title_of(m)), now, tag("p", own_interval(m), class_="soft"), class_="tile")
    for one in rows:
        assert one.row is not None
        m = one.row
        parts = [tag("h3", title_of(m), chip(one)), tag("p", value_text(m.name, m.value), class_="now")]
        if m.delta is not None:
            was = tag("span", f" from {before_text(m)}", class_="soft")
            parts.append(tag("p", tag("strong", change_text(m.name, m.delta)), was))
            parts.append(_bar(one, _reach(rows)))
        yield tag("div", *parts, class_=f"tile {one.tone}")
    for text in drift_lines(run):
        size, _, rest = text.partition(": ")
        what = tag("p", size.removeprefix("drift "), class_="now words")
        yield tag("div", tag("h3", "drift"), what, tag("p", rest, class_="soft"), class_="tile open")


def chip(one: JudgedRow) -> Markup:
    """Return the verdict as a coloured word."""
    return tag("span", "identical" if one.is_identical else one.verdict, class_=f"chip {one.tone}")


def _reach(rows: Iterable[JudgedRow]) -> float:
    """Return the half-width of the bars of a table in margins: enough for all intervals, at most `charts.FARTHEST`."""
    ends = [1.5]
    for one in rows:
        m = one.row
        if m is not None and m.margin and m.delta is not None and not one.is_identical:
            ends += [abs(end) / m.margin * 1.1 for end in (m.delta, *(m.delta_ci or ()))]
    return min(charts.FARTHEST, max(ends))


def _bar(one: JudgedRow, reach: float) -> Markup:
    m = one.row
    if m is None or m.delta is None or not m.margin:
        return Markup("")
    interval = None if one.is_identical or m.delta_ci is None else (m.delta_ci[0] / m.margin, m.delta_ci[1] / m.margin)
    label = (
        f"{title_of(m)}: change {change_text(m.name, m.delta)} {interval_text(m)}, margin {size_text(m.name, m.margin)}"
    )
    return charts.change_bar(m.delta / m.margin, interval, reach, one.tone, label)


def gates(run: FinishedRun) -> Markup | None:
    """Return a table with one row per gate and dataset, and the folded reasons. None without gates."""
    rows = judged_rows(run)
    if not rows:
        return None
    reach = _reach(rows)
    level = level_text([one.row for one in rows if one.row is not None])
    head = ["verdict", "gate", "before", "now", "change", level, "worse ← | → better", "margin", "sees drops from"]
    body = [_gate_cells(one, reach) for one in rows]
    note = (
        "Change and interval are drawn in units of the margin: the orange line is the allowed drop, the shaded side is "
        "worse. A hollow point means that every item has the same result as before. An arrow means that the interval "
        "continues."
    )
    odds = [
        [title_of(m), size_text("", m.p_value), size_text("", m.alpha), f"{m.n:,}", m.note or ""]
        for m in (one.row for one in rows)
        if m is not None and m.p_value is not None
    ]
    reasons = [tag("li", tag("strong", f"{gate.name}: {gate.word}. "), gate.reason) for gate in run.gates]
    folded = tag("ul", *reasons)
    if odds:
        folded = joined(folded, table(["gate", "p", "alpha", "items", "note"], odds))
    details = tag("details", tag("summary", "Reasons, p-values and levels"), folded)
    return joined(table([*head], body, class_="gates"), tag("p", note, class_="soft"), details)


def _gate_cells(one: JudgedRow, reach: float) -> list[Markup | str]:
    m = one.row
    if m is None:
        return [chip(one), one.gate.name, "", "", "", "", tag("span", one.gate.reason, class_="words"), "", ""]
    return [
        chip(one), title_of(m), before_text(m), value_text(m.name, m.value),
        tag("strong", change_text(m.name, m.delta)), "" if one.is_identical else interval_text(m), _bar(one, reach),
        size_text(m.name, m.margin),
        size_text(m.name, m.mde),
    ]  # fmt: skip


def metrics(run: FinishedRun) -> Markup:
    """Return tables of accuracy, judged means and correlations with intervals, and a folded table of all metrics."""
    families = [
        ("Accuracy", run.of("perception.accuracy"), (0.0, 1.0)),
        ("Descriptions: points of the judge", [m for n in _JUDGED for m in run.of(n)], (0.0, 2.0)),
        ("Correlation with MOS", [m for n in ("assessment.srcc", "assessment.plcc") for m in run.of(n)], (-1.0, 1.0)),
    ]
    parts = []
    for title, rows, limits in families:
        cells = [_metric_cells(m, limits) for m in rows if m.value is not None]
        if cells:
            head = ["", "before", "now", "change", "95 % interval", "", "items"]
            parts.append(joined(tag("h3", title), table(head, cells, class_="numbers")))
    every = [
        [title_of(m), value_text(m.name, m.value), before_text(m), change_text(m.name, m.delta), own_interval(m),
         f"{m.n:,}", m.note or ""]
        for m in run.metrics
    ]  # fmt: skip
    head = ["metric", "value", "before", "change", "95 % interval", "items", "note"]
    parts.append(tag("details", tag("summary", "All metrics"), table(head, every)))
    return joined(*parts)


_JUDGED = ("description.completeness", "description.preciseness", "description.relevance")


def _metric_cells(m: Metric, limits: tuple[float, float]) -> list[Markup | str]:
    assert m.value is not None
    low = 0.0 if limits[0] == -1 and min(m.value, *(m.ci or (0.0,))) >= 0 else limits[0]
    bar = charts.value_bar(m.value, m.ci, m.baseline, (low, limits[1]), f"{title_of(m)} {value_text(m.name, m.value)}")
    return [
        title_of(m), before_text(m), value_text(m.name, m.value), change_text(m.name, m.delta), own_interval(m), bar,
        f"{m.n:,}",
    ]  # fmt: skip


def heat_maps(run: FinishedRun) -> Markup | None:
    """Return heat maps of the change of accuracy by type and concern, or of accuracy without a comparison."""
    found = make_heat_maps(run.records.values(), run.before.values())
    if not found:
        return None
    note = "Red: fewer right answers than before; green: more. Bold: p < 0.05 by an exact test. "
    note += f"Pale: fewer than {PALE} items."
    return joined(*(_heat(one) for one in found), tag("p", note, class_="soft"))


def _heat(one: HeatMap) -> Markup:
    words = [slice_label(f"concern={name}").removeprefix("concern ") for name in one.concerns]
    rows = [
        [
            tag("td", slice_label(name), scope="row"),
            *(_heat_cell(cell, word) for cell, word in zip(cells, words, strict=True)),
        ]
        for name, cells in zip(one.types, one.cells, strict=True)
    ]
    return joined(tag("h3", one.dataset), table(["", *words], rows, class_="heat"))


def _heat_cell(cell: Cell, column: str) -> Markup:
    if not cell.n:
        return tag("td", "", data_column=column)
    share = f"{100 * cell.right / cell.n:.1f} %"
    classes = ["pale"] if cell.n < PALE else []
    if cell.change is None:
        return tag("td", share, tag("small", f"{cell.n:,} items"), class_=" ".join(classes) or None, data_column=column)
    if cell.is_clear:
        classes.append("clear")
    strength = min(1.0, abs(cell.change) / 0.1)
    shade = f"--shade: {round(60 * strength)}%" if cell.change else None
    classes.append("worse" if cell.change < 0 else "better" if cell.change > 0 else "same")
    text = change_text("perception.accuracy", cell.change)
    small = tag("small", f"{share}, {cell.n:,} items")
    return tag("td", text, small, class_=" ".join(classes), style=shade, data_column=column)


def answer_bias(run: FinishedRun) -> Markup | None:
    """Return a table of yes rate, accuracy by position and position bias, or None without perception items."""
    rows = []
    for name in ("yes_rate", "true_yes_rate", "accuracy_yes", "accuracy_no", "accuracy_at", "position_bias"):
        for m in run.of(f"perception.{name}"):
            if m.value is not None:
                limits = (-0.2, 0.2) if m.slice and name == "position_bias" else (0.0, 1.0)
                rows.append(_metric_cells(m, limits))
    if not rows:
        return None
    return table(["", "before", "now", "change", "95 % interval", "", "items"], rows, class_="numbers")


def flaky(run: FinishedRun) -> Markup | None:
    """Return a table of the questions whose answers differ between the passes, or None without such questions."""
    repeats = run.summary.repeats
    if repeats is None or not repeats.flaky:
        return None
    rows = [[one.item, f"{one.right} of {len(one.answers)}", ", ".join(one.answers)] for one in repeats.flaky]
    listed = table(["item", "right", "answers, pass by pass"], rows)
    more = repeats.flaky_count - len(rows)
    return joined(listed, tag("p", f"and {more:,} more", class_="soft")) if more else listed


def judge(run: FinishedRun) -> Markup | None:
    """Return a table of the dimensions on which the judge's rounds disagree, or None if they all agree."""
    differing = [one for one in count_verdicts(run.records.values()) if one["differ"]]
    if not differing:
        return None
    rows = []
    for one in differing:
        name = f"{one['dimension']} {one['dataset']}"
        for i, counts in enumerate(one["rounds"]):
            rows.append([name if i == 0 else "", str(i + 1), *(str(count) for count in counts)])
        rows.append(["", "rounds differ", f"{one['differ']} of {one['n']}", "", "", ""])
    return table(["dimension", "round", "0", "1", "2", "unreadable"], rows)


def ranks(run: FinishedRun, pictures: Sequence[str]) -> Markup | None:
    """Return, per dataset, a scatter plot of the ranks of scores and MOS, and the outliers. None without scores."""
    odd = outliers(run.records.values())
    if not odd:
        return None
    panels = []
    for dataset, found in odd.items():
        group = [r for r in run.of_dataset("assessment", dataset) if r.score is not None and r.target is not None]
        scores, mos = _relative_ranks(r.score for r in group), _relative_ranks(r.target for r in group)
        place = {r.item: (x, y) for r, x, y in zip(group, mos, scores, strict=True)}
        step = max(1, -(-len(group) // POINTS))
        items = [(run.items[r.task, r.item], moved) for r, moved in found]
        marked = [(*place[item.id], address(item), item.id) for item, _ in items if item.id in place]
        part = "all" if step == 1 else f"every {step}th"
        chart = charts.scatter(list(place.values())[::step], marked, f"ranks of {dataset}: scores against MOS")
        note = tag("p", f"{part} of {len(group):,} images; diamonds are farthest from the diagonal", class_="soft")
        split = tag("div", tag("div", chart, note), outlier_cards(run, items[:12], pictures), class_="split")
        panels.append(tag("section", tag("h3", dataset), split, class_="panel", data_tab=dataset))
    return tag("div", *panels, class_="tabs")


def _relative_ranks(values: Iterable[float | str | None]) -> list[float]:
    """Return the ranks of the values, divided by their number, in (0, 1]."""
    numbers = [float(v) for v in values if v is not None]
    return [round(float(rank) / len(numbers), 4) for rank in mid_ranks(numbers)]


def conditions(run: FinishedRun) -> Markup:
    """Return the notices, all conditions of the run, and the entries of the data that were left out."""
    rows = [[name, tag("span", value, class_="words")] for name, value in flattened(run.summary.fingerprint.to_json())]
    rows.append(["run folder", tag("span", str(run.folder), class_="words")])
    left = run.summary.left_out
    known = tag("ul", *(tag("li", one.text) for one in notices(run)))
    every = tag("details", tag("summary", "All conditions"), table(["condition", "value"], rows))
    parts = [known, every]
    if left:
        names = [tag("li", f"{e.dataset} {e.entry}: {e.reason}") for e in left[:500]]
        title = "1 entry of the data left out" if len(left) == 1 else f"{len(left):,} entries of the data left out"
        parts.append(tag("details", tag("summary", title), tag("ul", *names), id="left-out"))
    return joined(*parts)
