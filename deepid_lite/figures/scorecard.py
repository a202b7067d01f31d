"""The scorecard as one picture: a line a claim, with the paper's mark, our interval and the comparison's mark.

Each line has a scale of its own, with the better end on the right, for the claims have no common unit. Both answers
stand beside it as words; their colours say the same.
"""

import textwrap

import matplotlib.pyplot as plt
import numpy as np

from deepid_lite.figures.style import COLOURS
from deepid_lite.registry import SECTIONS, figure
from deepid_lite.studies.claims import compared, judge, theirs

WIDTH, LINE, STRIP = 4.4, 0.135, 0.37  # inches: a phone shows the picture at nearly its own size
LEFT, RIGHT = 0.03, 0.71  # of the width: where a strip begins and ends; the answers stand right of it
HEAD = 3.4 * LINE  # the legend's lines
INK, PALE = "#222222", "#6f6f6f"
WORDS = {
    "passed": COLOURS[2], "inside": COLOURS[0], "missed": COLOURS[3],
    "yes": COLOURS[2], "no": COLOURS[3], "inconclusive": PALE,
}  # fmt: skip


@figure("fig-scorecard")
def figure_scorecard(verdicts=None, sections=SECTIONS[:4]):
    """One line a claim that was tested, section by section; verdicts: of `judge`, by default the reference scale's."""
    verdicts = judge("reference") if verdicts is None else verdicts
    rows = []
    for section in sections:
        tested = [v for v in verdicts if v.claim.section == section and not v.why]
        rows += [section] * bool(tested) + tested
    heights = [2.4 * LINE if isinstance(row, str) else _height(row) for row in rows]
    total = sum(heights) + HEAD
    fig = plt.figure(figsize=(WIDTH, total))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 1), ylim=(total, 0))
    ax.axis("off")
    _legend(ax)
    top = HEAD
    for row, height in zip(rows, heights, strict=True):
        if isinstance(row, str):
            ax.text(LEFT, top + 1.7 * LINE, row[0].upper() + row[1:], fontsize=10, weight="bold", color=INK)
        else:
            _line(ax, row, top)
        top += height
    return fig


def _statement(verdict):
    claim = verdict.claim
    return textwrap.wrap(f"{claim.name}{' †' * claim.leans_on_lbp}  {claim.statement}", 66)


def _numbers(verdict):
    """Ours, the paper's and the comparison's numbers as lines of text."""
    claim = verdict.claim
    ours = "; ".join(f"{place} {claim.unit.format(x.value)}".strip() for place, x in _places(verdict.ours).items())
    bar = "" if claim.bar() == "no number" else f" · {'bar' if claim.own_bar else 'paper'} {_bar_text(claim)}"
    return textwrap.wrap(f"ours {ours}{bar} · {compared(verdict)}", 78)


def _bar_text(claim):
    return claim.bar().removesuffix(" (ours)").removeprefix("at least ").removeprefix("at most ").removeprefix("from ")


def _places(found):
    return found if isinstance(found, dict) else {"": found}


def _height(verdict):
    return LINE * (len(_statement(verdict)) + len(_numbers(verdict))) + STRIP


def _line(ax, verdict, top):
    """Statement, strip with its marks and answers, and the numbers below it."""
    claim, statement, numbers = verdict.claim, _statement(verdict), _numbers(verdict)
    for i, text in enumerate(statement):
        ax.text(LEFT, top + (i + 0.9) * LINE, text, fontsize=7.6, color=INK)
    y = top + len(statement) * LINE + 0.42 * STRIP
    ours = list(_places(verdict.ours).values())
    others = [claim.times * x for x in _places(theirs(verdict)).values()]
    bars = _bars(claim, len(ours))
    at = _scale(ours, others, [b for pair in bars for b in pair], claim.down)
    ax.plot([LEFT, RIGHT], [y, y], color="#dddddd", linewidth=0.8, zorder=0)
    for i, (found, other, pair) in enumerate(zip(ours, others, bars, strict=True)):
        yi = y + (i - (len(ours) - 1) / 2) * 0.09
        ends = np.clip([at(found.low), at(found.high)], LEFT, RIGHT)
        ax.plot(ends, [yi, yi], color=INK, linewidth=2.6, solid_capstyle="butt")
        ax.plot(at(found.value), yi, "o", color=INK, markersize=4.5)
        ax.plot(at(other), yi, "x", color=COLOURS[1], markersize=5.5, markeredgewidth=1.6)
        for bar in pair:
            ax.plot(at(bar), yi - 0.045, marker="v", markersize=6, markeredgecolor=COLOURS[4], linestyle="",
                    markerfacecolor="white" if claim.own_bar else COLOURS[4])  # fmt: skip
    for question, word, place in (("number", verdict.number, -0.2), ("more", verdict.more, 0.28)):
        if word != "no number":
            ax.text(RIGHT + 0.025, y + place * STRIP, f"{question}: {word}", fontsize=7.4, color=WORDS[word],
                    weight="bold", va="center")  # fmt: skip
    for i, text in enumerate(numbers):
        ax.text(LEFT, y + 0.36 * STRIP + (i + 0.75) * LINE, text, fontsize=6.4, color=PALE)


def _bars(claim, places):
    """The ends of the bar at each place: none, one or two numbers."""
    if isinstance(claim.at_least, tuple):
        return [(bar,) for bar in claim.at_least]
    ends = claim.between or tuple(b for b in (claim.at_least, claim.at_most) if b is not None)
    return [ends] * places


def _scale(ours, others, bars, down):
    """A function from a claim's numbers to places on its strip, the better ones on the right."""
    shown = [end for found in ours for end in found if np.isfinite(end)] + others + bars
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0

    def at(value):
        share = 0.06 + 0.88 * (value - low) / span
        return LEFT + (RIGHT - LEFT) * (1 - share if down else share)

    return at


def _legend(ax):
    """What the marks say, above all lines."""
    for (x, row), marker, colour, face, text in (
        ((0.05, 0), "o", INK, INK, "ours, 95 % interval"),
        ((0.42, 0), "v", COLOURS[4], COLOURS[4], "the paper's number"),
        ((0.05, 1), "x", COLOURS[1], COLOURS[1], "the comparison"),
        ((0.42, 1), "v", COLOURS[4], "white", "a bar of our own"),
    ):
        y = (1 + 1.4 * row) * LINE
        ax.plot(x, y, marker, markeredgecolor=colour, markerfacecolor=face, markersize=5.5, markeredgewidth=1.4)
        ax.text(x + 0.045, y, text, fontsize=7.4, color=INK, va="center")
    ax.plot([0.02, 0.08], [LINE, LINE], color=INK, linewidth=2.6, solid_capstyle="butt")
    ax.text(RIGHT + 0.025, LINE, "better: right", fontsize=7.4, color=INK, va="center")
