"""Drawings of the multi-view perceptron: a turning head, rank-1 by view beside the paper's, views never seen."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from deepid_lite.faces.synthetic.views import VIEWS
from deepid_lite.figures.style import COLOURS, legend_above
from deepid_lite.papers.multiview.study import PAPER, UNSEEN
from deepid_lite.registry import figure

OURS = {  # method of the record -> that of the paper's table which it stands for
    "raw": "raw", "landmark LBP": "landmark LBP", "identification, h2": "CNN", "frontal target, h2": "FIP",
    "MVP, h2": "MVP, h2",
}  # fmt: skip
LABELS = {"raw": "pixels", "identification, h2": "names the person", "frontal target, h2": "draws the frontal view"}
UNSEEN_LINES = {
    "MVP, five views": "drawn, view not trained on",
    "MVP": "drawn, view trained on",
    "left neighbour": "true view 15° to the left",
    "right neighbour": "true view 15° to the right",
    "mean of the neighbours": "mean of both",
    "the input": "the input",
}


def heads(rows, views=VIEWS):
    """Rows of one head in all views. rows: {title: (views, 32, 32)}, uint8 or floats from -1 to 1."""
    fig, axes = plt.subplots(
        len(rows), len(views), figsize=(7, 0.82 * len(rows) + 0.2), squeeze=False, layout="compressed"
    )
    for place, (title, pictures) in enumerate(rows.items()):
        line = axes[place]
        for ax, picture, view in zip(line, pictures, views, strict=True):
            low, high = (0, 255) if picture.dtype == np.uint8 else (-1, 1)
            ax.imshow(picture, cmap="gray", vmin=low, vmax=high)
            ax.set(xticks=[], yticks=[])
            if place == 0:
                ax.set_title(f"{view:+d}°" if view else "0°", fontsize=8, pad=3)
        line[0].set_ylabel(title, fontsize=8, rotation=0, ha="right", va="center")
    sns.despine(fig, left=True, bottom=True)
    return fig


@figure("multiview-rank1", of="multiview")
def rank1(result, reference=None):
    """Rank-1 by view: the paper's table at the left, ours on drawn people at the right, with 95 % intervals."""
    fig, (theirs, ours) = plt.subplots(1, 2, figsize=(7, 3.3), sharey=True, layout="constrained")
    for place, (name, of_paper) in enumerate(OURS.items()):
        look = {"color": COLOURS[place], "marker": "osD^v"[place], "markersize": 4, "linewidth": 1.2}
        theirs.plot(VIEWS, PAPER[of_paper][1:], label=LABELS.get(name, name), **look)
        value, low, high = np.array(result["rank1"][name]["views"]).T
        ours.errorbar(np.array(VIEWS) + place - 2, value, yerr=(value - low, high - value), capsize=2, **look)
    for ax, title in ((theirs, "paper, Multi-PIE"), (ours, "lite, drawn people")):
        ax.set_title(title, fontsize=9, weight="bold")
        ax.set(xlabel="view (degrees)", xticks=VIEWS[::2])
    theirs.set(ylabel="rank-1 (%)", ylim=(0, 102))
    legend_above(fig, theirs)
    sns.despine(fig)
    return fig


@figure("multiview-unseen", of="multiview")
def unseen(result, reference=None):
    """Views that were never trained on: the error of the picture, and whether its nearest true one is the person's."""
    fig, axes = plt.subplots(1, 2, figsize=(7, 3.1), layout="constrained")
    at = [VIEWS.index(view) for view in UNSEEN]
    for place, (name, label) in enumerate(UNSEEN_LINES.items()):
        look = {"color": COLOURS[place], "marker": "osD^vP"[place], "markersize": 4, "label": label, "capsize": 2}
        look["linestyle"] = "-" if name.startswith("MVP") else ":"
        for ax, key in zip(axes, ("error", "right"), strict=True):
            value, low, high = np.array([result["drawn"][name][key]["views"][i] for i in at]).T
            x = np.arange(len(at)) + 0.06 * (place - 2)
            ax.errorbar(x, value, yerr=(value - low, high - value), **look)
    for ax, title in zip(axes, ("error (% of the range)", "right person (%)"), strict=True):
        ax.set_title(title, fontsize=9)
        ax.set(xticks=range(len(at)), xticklabels=[f"{v:+d}°" for v in UNSEEN], xlabel="view", ylim=(0, None))
    legend_above(fig, axes[0])
    sns.despine(fig)
    return fig
