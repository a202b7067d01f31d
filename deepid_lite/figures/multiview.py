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
TEACHERS = {  # target of the record `supervision` -> what it says
    "pair": "a bit: the pair",
    "name": "the name",
    "name and pair": "name and pair",
    "frontal picture": "the frontal picture",
    "all views": "every view (MVP)",
}
LEARNERS = {  # net of the record `lengths` -> what it does
    "identification": "names the person",
    "MVP": "draws every view (MVP)",
    "told the view": "the same, told the view",
    "frontal target": "draws the frontal view",
}
OTHERS = {"raw": "pixels", "landmark LBP": "landmark LBP", "DeepID2+": "DeepID2+, few maps", "FIP": "FIP, chapter 16"}
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
                ax.set_title(f"{view:+d}°".replace("-", "−") if view else "0°", fontsize=8, pad=3)
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
        ax.set(
            xticks=range(len(at)),
            xticklabels=[f"{v:+d}°".replace("-", "−") for v in UNSEEN],
            xlabel="view",
            ylim=(0, None),
        )
    legend_above(fig, axes[0])
    sns.despine(fig)
    return fig


@figure("multiview-lengths", of="lengths")
def lengths(result, reference=None):
    """Mean rank-1 on held-out people against the epochs of training, one line a net; the chosen length is ringed."""
    fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for place, (name, of_net) in enumerate(result["rank1"].items()):
        epochs = np.array([int(n) for n in of_net])
        value, low, high = np.array([found["mean"] for found in of_net.values()]).T
        look = {"color": COLOURS[place], "marker": "osD^"[place], "markersize": 4, "linewidth": 1.2, "capsize": 2}
        ax.errorbar(epochs + 2 * place - 3, value, yerr=(value - low, high - value), label=LEARNERS[name], **look)
        at = epochs == result["chosen"][name]
        ax.plot(epochs[at] + 2 * place - 3, value[at], "o", color=COLOURS[place], markersize=12, fillstyle="none")
    ax.set(xlabel="epochs", xticks=epochs, ylabel="rank-1, held-out people (%)")
    legend_above(fig, ax, columns=4)
    sns.despine(fig)
    return fig


@figure("supervision-rank1", of="supervision")
def teachers(result, reference=None, fip=None):
    """Rank-1 by view: the same neurons taught by five targets, and beside them other nets and features without a net.

    fip: the entry "FIP" of the record `canonical_view`, whose people and pictures are the same.
    """
    found = result["rank1"] | ({"FIP": fip} if fip else {})
    fig, axes = plt.subplots(1, 2, figsize=(7, 3.6), sharey=True, layout="constrained")
    for ax, lines in zip(axes, (TEACHERS, OTHERS), strict=True):
        for place, (name, label) in enumerate((name, label) for name, label in lines.items() if name in found):
            value, low, high = np.array(found[name]["views"]).T
            look = {"color": COLOURS[place], "marker": "osD^v"[place], "markersize": 4}
            x = np.array(result["views"]) + place - 2
            ax.errorbar(x, value, yerr=(value - low, high - value), label=label, linewidth=1.2, capsize=2, **look)
        ax.set(xlabel="view (degrees)", xticks=result["views"][::2], ylim=(0, 102))
        ax.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    axes[0].set_title("the same neurons, five targets", fontsize=9, weight="bold")
    axes[1].set_title("other features", fontsize=9, weight="bold")
    axes[0].set_ylabel("rank-1 (%)")
    sns.despine(fig)
    return fig


@figure("studios-rank1", of="studios")
def studios(result, reference=None, first=None):
    """Mean rank-1 in each studio: name, frontal picture, all views and pixels, with 95 % intervals of the people.

    first: the record `supervision`, for a row of the chapter's own studio.
    """
    rows = ({"the chapter's": first["rank1"]} if first else {}) | result["studios"]
    fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
    lines = {"raw": "pixels", **{name: TEACHERS[name] for name in ("name", "frontal picture", "all views")}}
    for place, (name, label) in enumerate(lines.items()):
        value, low, high = np.array([found[name]["mean"] for found in rows.values()]).T
        y = np.arange(len(value)) + 0.15 * (place - 1.5)
        look = {"color": COLOURS[place], "marker": "osD^"[place], "markersize": 5, "linestyle": "none", "capsize": 2}
        ax.errorbar(value, y, xerr=(value - low, high - value), label=label, **look)
    ax.set(yticks=range(len(value)), yticklabels=list(rows), xlabel="rank-1, mean over the views (%)")
    ax.invert_yaxis()
    legend_above(fig, ax, columns=4)
    sns.despine(fig)
    return fig
