"""Drawings of localisation: scenes with maps and squares, recall by number of attributes, where maps are bright."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from deepid_lite.figures.style import COLOURS, legend_above
from deepid_lite.papers.localisation.net import enlarged
from deepid_lite.papers.localisation.scenes import SIDE
from deepid_lite.papers.localisation.study import RATES, of
from deepid_lite.registry import figure

CONTROLS = {
    "1 attribute, repeated": "one, 23 times", "shuffled": "shuffled", "untrained": "untrained",
    "skin colour": "skin colour",
}  # fmt: skip


def scenes(images, maps=None, boxes=None, found=None, columns=6):
    """Scenes in rows, below each its map enlarged.

    boxes: true ones, white and dashed; found: orange; pixels, (N, 4).
    """
    each = 1 if maps is None else 2
    lines = -(-len(images) // columns)
    fig, axes = plt.subplots(
        each * lines, columns, figsize=(7, 7 / columns * each * lines), squeeze=False, layout="compressed"
    )
    for ax in axes.flat:
        ax.axis("off")
    for n, image in enumerate(images):
        line, column = divmod(n, columns)
        shown = [image] if maps is None else [image, enlarged(maps[n][None], SIDE)[0]]
        for part, picture in enumerate(shown):
            ax = axes[each * line + part, column]
            ax.imshow(picture, cmap="magma")
            for known, colour, style in ((boxes, "white", "--"), (found, COLOURS[1], "-")):
                if known is not None and np.isfinite(known[n]).all():
                    x, y, w, h = known[n]
                    ax.add_patch(plt.Rectangle((x - 0.5, y - 0.5), w, h, fill=False, ec=colour, ls=style, lw=1.5))
    return fig


@figure("fig-localisation", of="localisation")
def figure_localisation(result):
    """Recall over the number of attributes with the controls beside it, and recall over false positives."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.4), layout="constrained")
    x = result["counts"]
    names = [of(count) for count in x]
    value, low, high = np.array([result["recall"][name] for name in names]).T
    left.errorbar(x, value, yerr=(value - low, high - value), color=COLOURS[0], marker="o", capsize=2)
    for count, name in zip(x, names, strict=True):
        left.plot(np.full(len(result["runs"][name]), count), result["runs"][name], ".", color=COLOURS[0], alpha=0.5)
    for place, name in enumerate(CONTROLS):
        value, low, high = result["recall"][name]
        left.errorbar(
            x[-1] * 1.35 ** (place + 1), value, yerr=[[value - low], [high - value]], capsize=2,
            color=COLOURS[place + 2], marker="sD^v"[place], linestyle="",
        )  # fmt: skip
    left.set(xscale="log", xlabel="attributes that the net was told", ylabel="recall (%)", ylim=(-3, 100))
    left.set_xticks(x, x)
    left.minorticks_off()
    shown = {names[-1]: "all attributes", "1 attribute": "one attribute"} | CONTROLS
    for place, (name, label) in enumerate(shown.items()):
        right.plot(RATES, result["roc"][name], marker="o.sD^v"[place], markersize=3, color=COLOURS[place], label=label)
    right.axvline(0.1, color="0.6", linewidth=0.8, linestyle=":")
    right.set(xscale="log", xlabel="false positives an image", ylabel="recall (%)", ylim=(-3, 100))
    legend_above(fig, right)
    sns.despine(fig)
    return fig


@figure("fig-localisation-where", of="localisation")
def figure_where(result, face=None, names=("untrained", "shuffled", "1 attribute")):
    """The mean map in the frame of the face, whose square is white; face: a mean picture of the same frame, beside."""
    names = [*names, of(result["counts"][-1])]
    panels = ([("mean face", face)] if face is not None else []) + [(name, result["where"][name]) for name in names]
    fig, axes = plt.subplots(1, len(panels), figsize=(7, 7 / len(panels) + 0.3), squeeze=False, layout="compressed")
    top = max(np.max(result["where"][name]) for name in names)
    for ax, (name, panel) in zip(axes[0], panels, strict=True):
        colours = {"cmap": "gray"} if name == "mean face" else {"cmap": "magma", "vmin": 0, "vmax": top}
        ax.imshow(panel, extent=(-1, 1, 1, -1), **colours)
        ax.add_patch(plt.Rectangle((-0.5, -0.5), 1, 1, fill=False, ec="white", ls="--"))
        ax.set_title(name, fontsize=8)
        ax.set(xticks=[], yticks=[])
    return fig
