"""The picture of the scorecard: each tested claim has its line, marks in the right order, and its words."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest

from deepid_lite.figures.scorecard import LEFT, RIGHT, figure_scorecard
from deepid_lite.registry import Claim, Estimate
from deepid_lite.studies.claims import Verdict, more, number


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def verdict(ours, difference, section="sparse", **rule):
    claim = Claim("C1", "It sees.", "Fig. 1", "95 %", section=section, kind="null", against="LBP", **rule)
    return Verdict(claim, "reference", number(claim, ours), more(claim, difference), ours, difference)


def marks(fig, marker):
    """Where the marks of one kind lie, from left to right, without those of the legend."""
    found = [line for line in fig.axes[0].lines if line.get_marker() == marker]
    skip = {"o": 1, "x": 1, "v": 2}[marker]
    return [float(line.get_xdata()[0]) for line in found[skip:]]


def said(fig):
    return " ".join(text.get_text() for text in fig.axes[0].texts)


@pytest.mark.parametrize(
    ("rule", "ours", "difference"),
    [
        ({"at_least": 95}, Estimate(90, 89, 91), Estimate(5, 4, 6)),
        ({"at_most": 5}, Estimate(9, 8, 10), Estimate(3, 2, 4)),
        ({"at_least": 95, "log_odds": True}, Estimate(90, 89, 91),
         {"points": Estimate(5, 4, 6), "log-odds": Estimate(0.3, 0.2, 0.4)}),
    ],
)  # fmt: skip
def test_what_is_better_lies_to_the_right(rule, ours, difference):
    """Here ours is better than the comparison, and the paper's is better than ours."""
    fig = figure_scorecard([verdict(ours, difference, **rule)])
    (other,), (here,), (paper,) = (marks(fig, marker) for marker in "xov")
    assert LEFT < other < here < paper < RIGHT
    assert "number: missed" in said(fig) and "more: yes" in said(fig)


def test_a_line_has_a_mark_for_each_place_and_both_ends_of_a_bar():
    ours = {"held-out": Estimate(42, 41, 43), "LFW": Estimate(39, 38, 39.5)}
    fig = figure_scorecard([verdict(ours, {p: Estimate(-8, -9, -7) for p in ours}, between=(40, 60))])
    assert [len(marks(fig, marker)) for marker in "oxv"] == [2, 2, 4]
    assert "LFW 39.0 %" in said(fig) and "LBP: held-out 50.0 %; LFW 47.0 %" in said(fig)


def test_a_claim_that_was_not_tested_has_no_line_and_a_claim_of_others_neither():
    untested = Verdict(
        verdict(Estimate(1, 1, 1), Estimate(0, 0, 0)).claim, "reference", "not tested", "not tested", why="no data"
    )
    shown = verdict(Estimate(90, 89, 91), Estimate(5, 4, 6), section="robust")
    fig = figure_scorecard([untested, shown, verdict(Estimate(1, 1, 1), Estimate(0, 0, 0), section="earlier papers")])
    assert said(fig).count("It sees.") == 1 and "Robust" in said(fig) and "Sparse" not in said(fig)


def test_an_interval_without_ends_stays_on_its_line():
    fig = figure_scorecard([verdict(Estimate(90, float("-inf"), float("inf")), Estimate(5, 4, 6), at_least=95)])
    for line in fig.axes[0].lines:
        assert all(0 <= x <= RIGHT for x in line.get_xdata())


def test_nothing_hangs_over_the_edge():
    long = "two images of a person activate more of the same neurons than images of two people, " * 2
    both = {"points": Estimate(5, -4, 6), "log-odds": Estimate(0.3, 0.2, 0.4)}
    wide = verdict(Estimate(90, 89, 91), both, at_least=95, log_odds=True, leans_on_lbp=True)
    claim = Claim("C30", long, "x", "y", section="robust", kind="baseline", against=long, at_least=9)
    fig = figure_scorecard([wide, Verdict(claim, "reference", "missed", "inconclusive", wide.ours, both)])
    fig.canvas.draw()
    for text in fig.axes[0].texts:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= fig.bbox.width, text.get_text()
