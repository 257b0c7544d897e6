"""Draw docs/verdict.svg: intervals, the margin and the verdict of each. Call: `python tools/verdict_picture.py`"""

from __future__ import annotations

from pathlib import Path

from pytest_qbench.gates.verdict import decide
from pytest_qbench.stats.paired import Paired

MARGIN, ALPHA = 0.01, 0.05
# Change, lower and upper bound, p-value of a drop.
CASES = (
    (0.030, 0.014, 0.046, 0.999),
    (0.004, -0.006, 0.014, 0.75),
    (-0.006, -0.0095, -0.0025, 0.003),
    (-0.008, -0.034, 0.018, 0.30),
    (-0.018, -0.040, 0.004, 0.09),
    (-0.030, -0.046, -0.014, 0.001),
)
COLOURS = {"pass": "#2da44e", "improved": "#0969da", "inconclusive": "#bf8700", "regressed": "#cf222e"}
WHY = {
    0: "the whole interval lies above zero",
    1: "the whole interval lies above the margin",
    2: "a drop is shown, but it is within the margin",
    3: "a drop beyond the margin is not excluded",
    4: "beyond the margin, but noise may explain it",
    5: "beyond the margin, and noise does not explain it",
}
WIDTH, HEIGHT, LEFT, RIGHT = 960, 330, 150, 510


def x(value: float) -> float:
    return LEFT + (value + 0.05) / 0.1 * (WIDTH - LEFT - RIGHT + 100)


def main() -> None:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="14">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<rect x="{x(-0.05)}" y="40" width="{x(-MARGIN) - x(-0.05)}" height="240" fill="#fdeaea"/>',
    ]
    for value, text in ((-MARGIN, "-margin"), (0.0, "no change")):
        parts.append(
            f'<line x1="{x(value)}" y1="40" x2="{x(value)}" y2="280" stroke="#57606a" stroke-dasharray="4 3"/>'
        )
        anchor = "end" if value < 0 else "start"
        parts.append(f'<text x="{x(value)}" y="30" text-anchor="{anchor}" fill="#57606a">{text}</text>')
    for row, (delta, lower, upper, p_value) in enumerate(CASES):
        y = 64 + 38 * row
        verdict = decide(Paired(delta, lower, upper, p_value, 1 - p_value, 0.0, 1), MARGIN, ALPHA, p_value, 1 - p_value)
        colour = COLOURS[verdict]
        parts += [
            f'<text x="{LEFT - 20}" y="{y + 5}" text-anchor="end" font-weight="bold" fill="{colour}">{verdict}</text>',
            f'<line x1="{x(lower)}" y1="{y}" x2="{x(upper)}" y2="{y}" stroke="{colour}" stroke-width="3"/>',
            *(
                f'<line x1="{x(b)}" y1="{y - 7}" x2="{x(b)}" y2="{y + 7}" stroke="{colour}" stroke-width="3"/>'
                for b in (lower, upper)
            ),
            f'<circle cx="{x(delta)}" cy="{y}" r="5" fill="{colour}"/>',
            f'<text x="{x(0.05) + 15}" y="{y + 5}" fill="#1f2328">{WHY[row]}; p = {p_value:g}</text>',
        ]
    parts.append(
        f'<text x="{x(0)}" y="310" text-anchor="middle" fill="#57606a">candidate - baseline (more is better), margin {MARGIN:g}, '
        f"alpha {ALPHA:g}</text></svg>"
    )
    (Path(__file__).parents[1] / "docs" / "verdict.svg").write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
