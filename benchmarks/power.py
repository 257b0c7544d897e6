"""Write docs/power.md, the power of the accuracy gate by enumeration: `python benchmarks/power.py [FILE]`.

Nothing is simulated: the numbers are sums over all outcomes (`stats/power.py`), so every run gives the same. Judges,
correlations, photos and likelihoods need a simulation; it is in benchmarks/verdicts.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pytest_qbench.gates.evaluate import DEFAULT_MARGINS
from pytest_qbench.metrics.metric import ALPHA
from pytest_qbench.stats.power import items_to_pass, mcnemar_mde, mcnemar_power, pass_probability

MARGIN = DEFAULT_MARGINS["perception.accuracy"]
LEVEL = ALPHA / len(DEFAULT_MARGINS)
SIZES, DISCORDANCES = (60, 400, 1_495, 2_990), (0.02, 0.06, 0.20)
DROPS = (0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05)

PREFACE = f"""# Power of the gates

The tables show how often the accuracy gate passes and how often it is red. This depends on the true drop and on the
fraction of answers that differ between the two runs (*discordant*). `qbench plan --runs A B` prints this fraction for
your model. `python benchmarks/power.py` makes the tables by enumeration of all outcomes.

The margin is {MARGIN:g}. The gate is one of three in the default suite: its test has the level 0.05 / 3, its interval
0.05. The power can be higher: if judged scores and quality scores hardly change, the level of the test is 0.045
([one alpha for a run](verdict.md#one-alpha-for-a-run)). The tables are for answers alone. Where both runs have
likelihoods the gate decides more often ([simulated](verdict.md#simulated-error-rates)).

"""


def verdicts() -> list[str]:
    """The verdicts on LLVisionQA's dev split by the true drop."""
    lines = ["## 1,495 items, margin 0.01", "", "| discordant | true drop | passes | cannot tell | red |"]
    lines.append("| ---: | ---: | ---: | ---: | ---: |")
    for discordance in DISCORDANCES:
        for drop in DROPS:
            whole = max(discordance, drop)
            passed = pass_probability(drop, whole, 1_495, ALPHA, MARGIN)
            red = mcnemar_power(drop, whole, 1_495, LEVEL, MARGIN)
            open_ = max(0.0, 1 - passed - red)
            lines.append(f"| {100 * whole:g} % | {100 * drop:g} points | {passed:.3f} | {open_:.3f} | {red:.3f} |")
    return lines


def sizes() -> list[str]:
    """False alarms, false passes and the detectable drop by the number of items."""
    head = ["unchanged passes", "false alarm", "false pass at a drop of the margin", "drop that is red in 80 %"]
    lines = ["", "## Other numbers of items", "", f"| items | discordant | {' | '.join(head)} |"]
    lines.append("| ---: | ---: |" + " ---: |" * len(head))
    for n in SIZES:
        for discordance in DISCORDANCES:
            whole = max(discordance, MARGIN)
            mde = mcnemar_mde(discordance, n, LEVEL, 0.8, MARGIN)
            cells = [
                f"{pass_probability(0.0, discordance, n, ALPHA, MARGIN):.3f}",
                f"{mcnemar_power(0.0, discordance, n, LEVEL, MARGIN):.3f}",
                f"{pass_probability(MARGIN, whole, n, ALPHA, MARGIN):.3f}",
                "none" if mde is None else f"{100 * mde:.1f} points",
            ]
            lines.append(f"| {n:,} | {100 * discordance:g} % | {' | '.join(cells)} |")
    return lines


def margins() -> list[str]:
    """Items with which an unchanged model passes, by the margin."""
    lines = ["", "## Items with which an unchanged model passes in 80 %", ""]
    lines.append(f"| margin | {' | '.join(f'{100 * d:g} % discordant' for d in DISCORDANCES)} |")
    lines.append("| ---: |" + " ---: |" * len(DISCORDANCES))
    for margin in (0.005, 0.01, 0.015, 0.02, 0.03):
        cells = [f"{items_to_pass(margin, discordance, ALPHA):,}" for discordance in DISCORDANCES]
        lines.append(f"| {margin:g} | {' | '.join(cells)} |")
    return lines


def page() -> str:
    """The page, in Markdown."""
    return PREFACE + "\n".join([*verdicts(), *sizes(), *margins()]) + "\n"


if __name__ == "__main__":
    text = page()
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, encoding="utf-8")
    else:
        print(text)
