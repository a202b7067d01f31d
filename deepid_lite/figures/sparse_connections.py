"""Drawing of the study of sparse connections: accuracy over density, and who chose the connections."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from deepid_lite.figures.style import COLOURS, present
from deepid_lite.registry import figure

GRID = ("dense", "76 %", "26 %", "12 %")
CHOSEN_BY = {
    "none": "all, trained as long", "dense": "all", "12 %": "correlation (paper)", "strongest": "strongest only",
    "magnitude": "largest weights", "random": "random", "scratch": "paper's mask, from scratch",
    "dense first": "the same, dense first",
}  # fmt: skip


def accuracies(result, name):
    """Accuracy in percent of a net with each seed, (S,)."""
    return np.array([run[name]["accuracy"] for run in result["runs"]])


@figure("fig-density", of="sparse_connections")
def figure_density(result, reference=None):
    """Accuracy over the share of weights that are left, and at 12 % for each way to choose them; points are seeds."""
    shown = present(result, reference)
    fig, rows = plt.subplots(len(shown), 2, figsize=(7.2, 2.9 * len(shown)), squeeze=False, layout="constrained")
    for (left, right), study in zip(rows, shown, strict=True):
        _over_density(left, study)
        _over_choices(right, study)
        right.margins(y=0.12)
        left.set_title(study["scale"], fontsize=9, weight="bold")
    for ax, where in zip(rows[0], ("outside lower left", "outside lower right"), strict=True):
        fig.legend(*ax.get_legend_handles_labels(), frameon=False, fontsize=8, loc=where, ncols=2)
    sns.despine(fig)
    return fig


def _over_density(ax, study):
    x = [100 * study["runs"][0][name]["density"] for name in GRID]
    for run in study["runs"]:
        ax.plot(x, [run[name]["accuracy"] for name in GRID], "o", color=COLOURS[0], markersize=3, alpha=0.6)
    ax.plot(x, [accuracies(study, name).mean() for name in GRID], color=COLOURS[0], label="sparse, by correlation")
    longer = accuracies(study, "none").mean()
    ax.axhline(longer, color=COLOURS[1], linestyle="--", linewidth=1.2, label="dense, trained as long")
    ax.set(xscale="log", xlabel="weights that are left (%)", ylabel="accuracy (%)")
    ax.set_xticks(x, [f"{value:.0f}" for value in x], fontsize=7)
    ax.minorticks_off()


def _over_choices(ax, study):
    names = [name for name in CHOSEN_BY if name in study["runs"][0]]
    for place, name in enumerate(names):
        found = accuracies(study, name)
        colour = COLOURS[1] if study["runs"][0][name]["density"] == 1 else COLOURS[0]
        ax.plot(found, np.full(len(found), place), "o", color=colour, markersize=3.5, alpha=0.6)
        ax.plot(found.mean(), place, "|", color=colour, markersize=14, markeredgewidth=2)
    ax.set_yticks(range(len(names)), [CHOSEN_BY[name] for name in names], fontsize=8)
    ax.invert_yaxis()
    ax.plot([], [], "|", color=COLOURS[1], markersize=10, markeredgewidth=2, label="all weights")
    ax.plot([], [], "|", color=COLOURS[0], markersize=10, markeredgewidth=2, label="12 % of them")
    ax.set_xlabel("accuracy (%)")
