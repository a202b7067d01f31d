"""Drawing of the study of attributes: accuracy of each kind of feature, and each attribute beside its majority."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from deepid_lite.figures.style import COLOURS
from deepid_lite.registry import figure
from deepid_lite.studies.neurons import LEFT_OUT

ROWS = ("majority", "untrained", "HOG and colour", "from scratch", "identity, directly", "identity and attributes",
        "fine-tuned")  # fmt: skip
SHOWN = {name: name for name in ROWS} | {"majority": "more frequent answer"}


@figure("fig-attribute-nets", of="attribute_nets")
def figure_attribute_nets(result):
    """Plain and balanced accuracy of each kind of feature; below, each attribute but LEFT_OUT beside its majority."""
    shown = [k for k, name in enumerate(result["names"]) if name not in LEFT_OUT]
    tall = 0.16 * len(shown)
    fig, (above, below) = plt.subplots(2, 1, figsize=(5.6, 3 + tall), height_ratios=(2, tall), layout="constrained")
    for place, name in enumerate(ROWS):
        value, low, high = result["accuracy"][name]
        above.errorbar(value, place, xerr=[[value - low], [high - value]], fmt="o", color=COLOURS[0], capsize=2)
        above.plot(result["balanced"][name], place, "D", color=COLOURS[1], markersize=4)
    above.plot([], [], "o", color=COLOURS[0], label="accuracy")
    above.plot([], [], "D", color=COLOURS[1], markersize=4, label="balanced accuracy")
    above.set_yticks(range(len(ROWS)), SHOWN.values(), fontsize=8)
    above.set(xlabel="mean over the attributes (%)", xlim=(45, 100))
    above.invert_yaxis()
    _by_attribute(below, result, shown)
    for ax, where in ((above, "upper center"), (below, "upper left")):
        ax.legend(frameon=False, fontsize=8, loc=where)
    sns.despine(fig)
    return fig


def _by_attribute(ax, result, shown):
    null = np.array(result["by_attribute"]["majority"])
    order = sorted(shown, key=lambda k: null[k])
    places = np.arange(len(order))
    ax.plot(null[order], places, "|", color="0.3", markersize=8, markeredgewidth=2, label="more frequent answer")
    kinds = ("identity, directly", COLOURS[0], "o"), ("fine-tuned", COLOURS[2], "^"), ("from scratch", COLOURS[1], "x")
    for name, colour, marker in kinds:
        ax.plot(np.array(result["by_attribute"][name])[order], places, marker, color=colour, markersize=4, label=name)
    ax.set_yticks(places, [result["names"][k].replace("_", " ") for k in order], fontsize=8)
    ax.set(xlabel="accuracy (%)", ylim=(-1, len(order)))
