"""The page's cards: one for each changed item, the most harmful first, and one for each outlier."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from urllib.parse import quote

from pytest_qbench.items import TASKS, Item
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.labels import TASK_NAMES, slice_label
from pytest_qbench.report.markup import Markup, joined, tag
from pytest_qbench.runs.summary_parts import Flip

OPEN = 6  # cards of a tab that are visible at once; the others are folded
LISTED = 60  # maximum number of cards of a tab
TEXT_SHOWN = 600  # maximum length of a description in characters


def address(item: Item) -> str:
    """Return the link to an item within the page."""
    return "#item=" + quote(f"{item.task}/{item.id}", safe="")


def changed_items(run: FinishedRun, pictures: Sequence[str]) -> list[Markup]:
    """Return a panel for each task with lost or gained items. `pictures` are the names of the page's thumbnails."""
    panels = []
    for task in TASKS:
        gates = [g for g in run.gates if g.task == task and (g.lost_count or g.gained_count)]
        if not gates:
            continue
        lost = list(dict.fromkeys(f for g in gates for f in g.lost))
        gained = list(dict.fromkeys(f for g in gates for f in g.gained))
        counts = max(g.lost_count for g in gates), max(g.gained_count for g in gates)
        title = f"{TASK_NAMES[task]}: {counts[0]:,} lost, {counts[1]:,} gained"
        kept = LISTED - min(len(gained), LISTED // 3)
        chosen = [(f, "lost") for f in lost[:kept]]
        chosen += [(f, "gained") for f in gained[: LISTED - len(chosen)]]
        cards = [_card(run, task, flip, way, pictures) for flip, way in chosen]
        panels.append(
            tag(
                "section", tag("h3", title), _note(task, len(chosen), sum(counts)), _folded(cards),
                class_="panel", id=f"changed-{task}", data_tab=title,
            )
        )  # fmt: skip
    return panels


def _note(task: str, shown: int, count: int) -> Markup:
    explanation = {
        "perception": "Lost: the answer was right before and is not now. Gained: the reverse.",
        "description": "The judge gives the new text fewer points (lost) or more (gained). "
        "Words that changed are marked.",
        "assessment": "The rank of the score moved away from the rank of the MOS (lost) or towards it (gained). "
        "100 % is the best image of the dataset.",
    }[task]
    cut = (
        f" The {shown:,} most harmful of {count:,} are shown; the list of items below holds all."
        if shown < count
        else ""
    )
    return tag("p", explanation + cut, class_="soft")


def _folded(cards: Sequence[Markup]) -> Markup:
    more = cards[OPEN:]
    rest = tag("details", tag("summary", f"Show {len(more)} more"), tag("div", *more, class_="cards")) if more else ""
    return joined(tag("div", *cards[:OPEN], class_="cards"), rest)


def _card(run: FinishedRun, task: str, flip: Flip, way: str, pictures: Sequence[str]) -> Markup:
    item = run.items[task, flip.item]
    content = {"perception": _question, "description": _texts, "assessment": _ranks}[task](run, item, flip)
    head = tag(
        "p",
        tag("a", item.id, href=address(item)),
        tag("span", way, class_=f"chip {'bad' if way == 'lost' else 'good'}"),
    )
    slices = ", ".join(slice_label(f"{k}={v}") for k, v in item.slices.items())
    return tag(
        "article", picture(item, pictures), tag("div", head, *content), class_=f"card {way}", data_slices=slices or None
    )


def picture(item: Item, pictures: Sequence[str]) -> Markup:
    """Return a reference to an item's thumbnail, or a box with the image's name if the page has no thumbnail of it."""
    name = item.images[0].name if item.images else None
    if name in pictures:
        use = tag("use", href=f"#picture{pictures.index(name)}")
        return tag(
            "a", tag("svg", use, class_="thumb", viewBox="0 0 200 200", role="img", aria_label=name), href=address(item)
        )
    return tag("div", f"no thumbnail: {name}" if name else "no image", class_="thumb none")


def _question(run: FinishedRun, item: Item, flip: Flip) -> Iterable[Markup]:
    yield tag("p", item.question)
    lines = []
    for option in item.options:
        tags = [
            tag("span", word, class_=f"chip {tone}")
            for word, tone, applies in (
                ("right", "good", option in item.right_options), ("before", "soft", option == flip.before),
                ("now", "bad" if option not in item.right_options else "good", option == flip.after),
            )
            if applies
        ]  # fmt: skip
        lines.append(tag("li", option, *tags, class_="right" if option in item.right_options else None))
    if lines:
        yield tag("ul", *lines, class_="options")
    for word, said in (("before", flip.before), ("now", flip.after)):
        if said not in item.options:
            yield tag("p", tag("span", f"{word}: ", class_="soft"), _cut(said or "no reply"))


def _texts(run: FinishedRun, item: Item, flip: Flip) -> Iterable[Markup]:
    yield tag(
        "p", tag("span", "points before ", class_="soft"), flip.before, tag("span", ", now ", class_="soft"), flip.after
    )
    key = (item.task, item.id)
    old, new = (records[key].response if key in records else None for records in (run.before, run.records))
    before, after = mark_differences(_cut(old or ""), _cut(new or ""))
    yield tag("p", tag("span", "before: ", class_="soft"), before, class_="said")
    yield tag("p", tag("span", "now: ", class_="soft"), after, class_="said")


def _ranks(run: FinishedRun, item: Item, flip: Flip) -> Iterable[Markup]:
    yield tag(
        "p", tag("span", "rank before ", class_="soft"), flip.before, tag("span", ", now ", class_="soft"),
        tag("strong", flip.after),
    )  # fmt: skip
    yield tag("p", flip.question, class_="soft")


def mark_differences(old: str, new: str) -> tuple[Markup, Markup]:
    """Return both texts: `old` with its own words marked as deleted, `new` with its own words marked as inserted."""
    a, b = (re.findall(r"\S+\s*|\s+", text) for text in (old, new))
    before, after = [], []
    for way, i, j, k, m in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        gone, come = "".join(a[i:j]), "".join(b[k:m])
        before.append(gone if way == "equal" else tag("del", gone) if gone else "")
        after.append(come if way == "equal" else tag("ins", come) if come else "")
    return joined(*before), joined(*after)


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_SHOWN else text[: TEXT_SHOWN - 1] + "…"


def outlier_cards(run: FinishedRun, found: Sequence[tuple[Item, float]], pictures: Sequence[str]) -> Markup:
    """Return a card for each of the (item, difference of ranks) pairs `found`."""
    cards = [
        tag(
            "article", picture(item, pictures),
            tag(
                "div", tag("p", tag("a", item.id, href=address(item))),
                tag("p", f"ranked {abs(100 * moved):.0f} % too {'high' if moved > 0 else 'low'}"),
                tag("p", f"MOS {item.target:g}", class_="soft"),
            ),
            class_="card small",
        )
        for item, moved in found
    ]  # fmt: skip
    return _folded(cards)
