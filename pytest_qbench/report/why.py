"""Why two sides differ, as text for the terminal, as Markdown and as a part of a page."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qbench.report import markdown
from pytest_qbench.report.labels import shortened_id
from pytest_qbench.report.markup import Markup, joined, table, tag, void
from pytest_qbench.report.text_table import aligned
from pytest_qbench.runs.explanation import DIFFERS, FOLLOWS, UNSEEN, Explanation, Layer, Stage

_TONES = {DIFFERS: "bad", FOLLOWS: "open", UNSEEN: "none"}
_HEAD = ["stage", "state", "items", "difference", "noise", ""]


def why_lines(found: Explanation) -> list[str]:
    """Return the explanation as lines for the terminal, the verdict first."""
    rows = [_HEAD[:5], *(_cells(stage)[:5] for stage in found.stages)]
    lines = [f"A: {found.a}", f"B: {found.b}", f"why: {found.verdict}", *aligned(rows, left=2)]
    lines += [f"also on its own: {stage}" for stage in found.also]
    lines += [f"cause: {text}" for text in found.causes]
    lines += [f"differs: {shortened_id(text)}" for text in found.conditions if not any(text in c for c in found.causes)]
    lines += [f"not seen: {text}" for text in found.unseen]
    lines += [f"  {e.item}: A {e.a!r}, B {e.b!r}" for e in found.examples if e.a != e.b][:3]
    return lines


def why_markdown(found: Explanation) -> list[str]:
    """Return the explanation as blocks of Markdown, without pictures."""
    code = markdown.code
    rows = [[cell if i in (0, 1, 2) or not cell else code(cell) for i, cell in enumerate(_cells(s))] for s in found.stages]
    blocks = [f"### Why\n\n{code(found.verdict)}", f"A: {code(found.a)}, B: {code(found.b)}"]
    if lines := [
        *(f"- also on its own: {stage}" for stage in found.also),
        *(f"- {code(text)}" for text in found.causes),
        *(f"- differs: {code(text)}" for text in found.conditions),
        *(f"- not seen: {code(text)}" for text in found.unseen),
    ]:
        blocks.append("\n".join(lines))
    return [*blocks, markdown.table(_HEAD, rows, left=2)]


def why_section(found: Explanation) -> Markup:
    """Return the explanation as a part of a page: verdict, causes, pictures, stages, parts and replies."""
    rows = [
        [tag("strong", cells[0]), tag("span", cells[1], class_=f"chip {_TONES.get(stage.state, 'good')}"), *cells[2:5],
         tag("span", cells[5], class_="words")]
        for stage in found.stages
        for cells in [_cells(stage)]
    ]  # fmt: skip
    causes = [tag("li", text) for text in found.causes]
    differing = [tag("li", text) for text in found.conditions]
    unseen = [tag("li", f"not seen: {text}") for text in found.unseen]
    pictures = [
        tag("figure", void("img", src=one.url, alt=one.caption), tag("figcaption", one.caption, class_="soft"))
        for one in found.pictures
    ]
    also = f"On its own departs also: {', '.join(found.also)}." if found.also else ""
    return joined(
        tag("p", tag("strong", found.verdict), class_="bad" if found.first else "good"),
        tag("p", f"A: {found.a}. B: {found.b}. {also}", class_="soft"),
        tag("ul", *causes) if causes else "",
        tag("div", *pictures, class_="why") if pictures else "",
        table(_HEAD, rows, class_="stages"),
        tag("ul", *unseen, class_="soft") if unseen else "",
        _folded(f"Settings that differ ({len(differing)})", tag("ul", *differing)) if differing else "",
        _folded(f"All {len(found.layers)} parts of the models", _layers(found.layers)) if found.layers else "",
        _folded("Replies to the items that differ most", _examples(found)) if found.examples else "",
    )


def why_page(found: Explanation) -> str:
    """Return a whole page with one explanation."""
    from pytest_qbench.report.page import assemble  # imports this module

    title = f"why {found.b} differs from {found.a}"
    head = tag("header", tag("p", "Q-Bench", class_="eyebrow"), tag("h1", title, class_="bad" if found.first else "good"))
    return assemble(title, joined(head, tag("main", tag("section", why_section(found), id="why"))))


def _folded(title: str, content: Markup) -> Markup:
    return tag("details", tag("summary", title), content)


def _cells(stage: Stage) -> list[str]:
    if stage.state == UNSEEN:
        return [stage.name, stage.state, "", "", "", stage.detail]
    items = f"{stage.differing} of {stage.compared}"
    numbers = ["" if value is None else f"{value:.2g}" for value in (stage.difference, stage.noise)]
    return [stage.name, stage.state, items, *numbers, stage.detail if stage.state in (DIFFERS, FOLLOWS) else ""]


def _layers(layers: Sequence[Layer]) -> Markup:
    rows: list[list[Markup | str]] = [
        [layer.name, layer.stage, f"{layer.difference:.2g}", f"{layer.noise:.2g}",
         tag("span", "departs", class_="chip bad") if layer.departs else ""]
        for layer in layers
    ]  # fmt: skip
    return table(["part", "stage", "difference", "noise", ""], rows)


def _examples(found: Explanation) -> Markup:
    rows: list[list[Markup | str]] = [
        [one.item, *(tag("span", text, class_="words") for text in (one.asked, one.a, one.b))] for one in found.examples
    ]
    return table(["item", "question", "A", "B"], rows)
