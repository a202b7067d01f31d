"""Drawing of the study of attributes: accuracy of each kind of feature, and each attribute beside its majority."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from deepid_lite.figures.style import COLOURS
from deepid_lite.registry import figure

ROWS = ("majority", "untrained", "HOG and colour", "from scratch", "identity, directly", "identity and attributes",
        "fine-tuned")  # fmt: skip


@figure("fig-attribute-nets", of="attribute_nets")
def figure_attribute_nets(result):
    """Plain and balanced accuracy of each kind of feature; and each attribute beside the more frequent answer."""
    tall = max(3.8, 0.13 * len(result["names"]))
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.2, tall), layout="constrained")
    for place, name in enumerate(ROWS):
        value, low, high = result["accuracy"][name]
        left.errorbar(value, place, xerr=[[value - low], [high - value]], fmt="o", color=COLOURS[0], capsize=2)
        left.plot(result["balanced"][name], place, "D", color=COLOURS[1], markersize=4)
    left.plot([], [], "o", color=COLOURS[0], label="accuracy")
    left.plot([], [], "D", color=COLOURS[1], markersize=4, label="balanced accuracy")
    left.set_yticks(range(len(ROWS)), ROWS, fontsize=8)
    left.set(xlabel="mean over the attributes (%)", xlim=(45, 100))
    left.invert_yaxis()
    fig.legend(*left.get_legend_handles_labels(), frameon=False, fontsize=7, loc="outside lower left", ncols=2)
    _by_attribute(right, result)
    fig.legend(*right.get_legend_handles_labels(), frameon=False, fontsize=7, loc="outside lower right", ncols=2)
    sns.despine(fig)
    return fig


def _by_attribute(ax, result):
    null = np.array(result["by_attribute"]["majority"])
    order = np.argsort(null)
    places = np.arange(len(null))
    ax.plot(null[order], places, "|", color="0.3", markersize=7, markeredgewidth=2, label="more frequent answer")
    kinds = ("identity, directly", COLOURS[0], "o"), ("fine-tuned", COLOURS[2], "^"), ("from scratch", COLOURS[1], "x")
    for name, colour, marker in kinds:
        ax.plot(np.array(result["by_attribute"][name])[order], places, marker, color=colour, markersize=4, label=name)
    ax.set_yticks(places, [result["names"][k].replace("_", " ") for k in order], fontsize=6)
    ax.set(xlabel="accuracy (%)")
