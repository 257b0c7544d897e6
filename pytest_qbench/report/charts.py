"""Draw the pages' charts as inline SVG. The page's style sheet colours them, also in dark mode and in print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from pytest_qbench.report.markup import Markup, tag

FARTHEST = 8.0  # largest half-width of a bar in margins; a longer interval ends in an arrow


def change_bar(
    change: float, interval: tuple[float, float] | None, reach: float, tone: str, label: str, width: int = 240
) -> Markup:
    """Draw a change and its interval in units of the margin, with marks at 0 and -1 and shading below -1.

    The scale ends `reach` margins on either side of 0. Without an interval, the marker is hollow.
    """
    height, middle = 26, 13

    def x(value: float) -> float:
        return round(width / 2 + max(-reach, min(reach, value)) / reach * (width / 2 - 6), 1)

    parts = [
        tag("rect", x=0, y=0, width=x(-1), height=height, class_="beyond"),
        tag("line", x1=x(-1), x2=x(-1), y1=2, y2=height - 2, class_="margin"),
        tag("line", x1=x(0), x2=x(0), y1=2, y2=height - 2, class_="zero"),
    ]
    if interval is not None:
        lower, upper = interval
        parts.append(tag("line", x1=x(lower), x2=x(upper), y1=middle, y2=middle, class_=f"range {tone}"))
        for bound, way in ((lower, -1), (upper, 1)):
            parts.append(_end(x(bound), middle, way if abs(bound) > reach else 0, tone))
    hollow = " hollow" if interval is None else ""
    parts.append(tag("circle", cx=x(change), cy=middle, r=5, class_=f"point {tone}{hollow}"))
    return _svg(parts, width, height, label, "bar")


def _end(x: float, y: float, way: int, tone: str) -> Markup:
    """Draw the end of an interval: a bar, or an arrow if it continues beyond the chart."""
    if way == 0:
        return tag("line", x1=x, x2=x, y1=y - 4, y2=y + 4, class_=f"range {tone}")
    return tag("path", d=f"M{x - 5 * way} {y - 4}L{x} {y}L{x - 5 * way} {y + 4}", class_=f"range {tone} open-end")


def value_bar(
    value: float, interval: tuple[float, float] | None, before: float | None, limits: tuple[float, float], label: str
) -> Markup:
    """Draw a value and its interval on the scale `limits`, with a tick at the baseline's value `before`."""
    width, height, middle = 220, 22, 11
    low, high = limits

    def x(at: float) -> float:
        return round(4 + (min(max(at, low), high) - low) / (high - low) * (width - 8), 1)

    parts = [tag("line", x1=x(low), x2=x(high), y1=middle, y2=middle, class_="axis")]
    if low < 0 < high:
        parts.append(tag("line", x1=x(0), x2=x(0), y1=3, y2=height - 3, class_="zero"))
    if interval is not None:
        parts.append(tag("line", x1=x(interval[0]), x2=x(interval[1]), y1=middle, y2=middle, class_="range now"))
    if before is not None:
        parts.append(tag("line", x1=x(before), x2=x(before), y1=3, y2=height - 3, class_="was"))
    parts.append(tag("circle", cx=x(value), cy=middle, r=4, class_="point now"))
    return _svg(parts, width, height, label, "bar")


def scatter(
    points: Sequence[tuple[float, float]], marked: Sequence[tuple[float, float, str, str]], label: str
) -> Markup:
    """Draw points (x, y) in the unit square with its diagonal. `marked` are larger, each with a link and a title."""
    side, edge = 320, 24

    def at(x: float, y: float) -> tuple[int, int]:
        return round(edge + x * side), round(side - y * side) + 8

    places = dict.fromkeys(at(x, y) for x, y in points)
    path = "".join(f"M{x} {y}h0" for x, y in places)
    parts = [
        tag("rect", x=edge, y=8, width=side, height=side, class_="frame"),
        tag("line", x1=edge, y1=side + 8, x2=side + edge, y2=8, class_="zero"),
        tag("path", d=path, class_="cloud"),
    ]
    for px, py, address, title in marked:
        x, y = at(px, py)
        diamond = tag("path", tag("title", title), d=f"M{x} {y - 5}L{x + 5} {y}L{x} {y + 5}L{x - 5} {y}Z", class_="odd")
        parts.append(tag("a", diamond, href=address))
    parts += [
        tag("text", "rank by MOS →", x=edge, y=side + 24, class_="small"),
        tag("text", "rank by score →", x=-(side + 8), y=16, transform="rotate(-90)", class_="small"),
    ]
    return _svg(parts, side + edge + 8, side + 32, label, "square")


@dataclass(frozen=True, slots=True)
class Point:
    """A run in a chart over time. `at` is its position among the runs, `tone` its colour, `title` its tooltip."""

    at: int
    value: float
    interval: tuple[float, float] | None
    tone: str
    title: str


def line_chart(series: Sequence[tuple[str, Sequence[Point]]], count: int, marks: Sequence[int], label: str) -> Markup:
    """Draw one line per series over `count` runs, with points coloured by verdict.

    `marks` are the positions of runs whose baseline differs from the one before.
    """
    width, height, left, right, top, bottom = 560, 240, 46, 110, 14, 24
    every = [p for _, points in series for p in points]
    bounds = [v for p in every for v in (p.interval or (p.value, p.value))]
    ticks = nice_ticks(min(bounds), max(bounds))
    low, high = ticks[0], ticks[-1]

    def x(at: float) -> float:
        return round(left + 10 + (at / (count - 1) if count > 1 else 0.5) * (width - left - right - 20), 1)

    def y(value: float) -> float:
        return round(top + (high - value) / (high - low) * (height - top - bottom), 1)

    parts = []
    for tick in ticks:
        parts.append(tag("line", x1=left, x2=width - right, y1=y(tick), y2=y(tick), class_="grid"))
        parts.append(tag("text", f"{tick:.6g}", x=left - 6, y=y(tick) + 4, class_="small end"))
    for mark in marks:
        parts.append(tag("line", x1=x(mark - 0.5), x2=x(mark - 0.5), y1=top, y2=height - bottom, class_="margin"))
        parts.append(tag("text", "other baseline", x=x(mark - 0.5), y=top - 3, class_="small middle"))
    for at in sorted({p.at for p in every}):
        parts.append(tag("text", at + 1, x=x(at), y=height - 8, class_="small middle"))
    for k, (_, points) in enumerate(series):
        hue = f"hue{k % 6}"
        if len(points) > 1:
            parts.append(
                tag("polyline", points=" ".join(f"{x(p.at)},{y(p.value)}" for p in points), class_=f"series {hue}")
            )
        for p in points:
            shape = []
            if p.interval is not None:
                shape.append(
                    tag("line", x1=x(p.at), x2=x(p.at), y1=y(p.interval[0]), y2=y(p.interval[1]), class_=f"thin {hue}")
                )
            shape.append(tag("circle", cx=x(p.at), cy=y(p.value), r=5, class_=f"point {p.tone}"))
            parts.append(tag("g", tag("title", p.title), *shape))
    heights = _apart([y(points[-1].value) for _, points in series])
    for k, ((name, _), place) in enumerate(zip(series, heights, strict=True)):
        text = name if len(name) <= 17 else name[:16] + "…"
        parts.append(tag("text", text, x=width - right + 8, y=place + 4, class_=f"small text-hue{k % 6}"))
    return _svg(parts, width, height, label, "wide")


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return about `most` round numbers, which cover the range from `low` to `high`."""
    if high <= low:
        low, high = low - 0.5 * (abs(low) or 1.0) * 0.1, high + 0.5 * (abs(high) or 1.0) * 0.1
    rough = (high - low) / (most - 1)
    power = 10.0 ** floor(log10(rough))
    step = next(power * f for f in (1, 2, 2.5, 5, 10) if power * f >= rough * 0.999)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, max(last, first + 1) + 1)]


def _apart(places: Sequence[float], least: float = 13.0) -> list[float]:
    """Return the heights `places`, moved so that neighbours are at least `least` pixels apart."""
    moved = list(places)
    previous = -1e9
    for i in sorted(range(len(places)), key=lambda i: places[i]):
        moved[i] = previous = max(places[i], previous + least)
    return moved


def _svg(parts: Sequence[Markup], width: int, height: int, label: str, class_: str) -> Markup:
    return tag(
        "svg",
        *parts,
        viewBox=f"0 0 {width} {height}",
        width=width,
        height=height,
        role="img",
        aria_label=label,
        class_=class_,
    )
