"""Drawings of the study of localisation: responses and boxes, and what was found by which labels."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.patches import Rectangle

from deepid_lite.figures.style import COLOURS
from deepid_lite.registry import figure

ROWS = {
    "23 attributes": "23 attributes", "5 attributes": "5 attributes", "1 attributes": "1 attribute",
    "repeated": "1 attribute, 23 times", "shuffled": "23, shuffled", "people": "people",
    "pre-trained": "people, then 23 attributes", "untrained": "untrained net", "skin colour": "skin colour",
    "median box": "median box", "centre box": "centre box",
}  # fmt: skip


def draw_responses(images, maps, boxes, truth=None):
    """Scenes uint8 (N, S, S, 3) above their maps (N, S, S); boxes (N, 4) solid, true ones dashed."""
    fig, axes = plt.subplots(2, len(images), figsize=(7.2, 7.2 * 2 / len(images)), squeeze=False, layout="constrained")
    for (above, below), image, response, box, *true in zip(
        axes.T, images, maps, boxes, *([truth] if truth is not None else []), strict=True
    ):
        above.imshow(image)
        below.imshow(response, cmap="magma")
        for ax in (above, below):
            ax.add_patch(Rectangle(box[:2], *box[2:], fill=False, edgecolor="white", linewidth=1.6))
            for x, y, w, h in true:
                ax.add_patch(Rectangle((x, y), w, h, fill=False, edgecolor=COLOURS[2], linewidth=1.4, linestyle="--"))
            ax.set(xticks=[], yticks=[])
    return fig


@figure("fig-recall", of="localisation")
def figure_recall(result):
    """Recall over the number of attributes, and what each way to answer finds; points are seeds, bars intervals."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.2), layout="constrained", width_ratios=(2, 3))
    names = [name for name in result["recall"] if name.endswith("attributes")]
    counts = np.array([int(name.split()[0]) for name in names])
    order = np.argsort(counts)
    for seed in range(len(result["seeds"])):
        left.plot(
            counts[order], [result["by_seed"][names[k]][seed] for k in order], "o", color=COLOURS[0], markersize=3
        )
    left.plot(counts[order], [result["recall"][names[k]][0] for k in order], color=COLOURS[0], label="attributes")
    left.axhline(result["recall"]["repeated"][0], color=COLOURS[1], linestyle="--", label="1, repeated")
    left.set(xlabel="attributes", ylabel="recall at 0.1 false positives (%)", xscale="log", ylim=(0, None))
    left.set_xticks(counts, counts)
    left.minorticks_off()
    left.legend(frameon=False, fontsize=8)
    shown = [name for name in ROWS if name in result["hit"]]
    for place, name in enumerate(shown):
        value, low, high = result["hit"][name]
        colour = COLOURS[0] if name.endswith(("attributes", "trained")) and name != "untrained" else "0.45"
        right.errorbar(
            value, place, xerr=[[value - low], [high - value]], fmt="o", color=colour, markersize=4, capsize=2
        )
    right.set_yticks(range(len(shown)), [ROWS[name] for name in shown], fontsize=8)
    right.invert_yaxis()
    right.set(xlabel="scenes whose square is right (%)", xlim=(0, 100))
    sns.despine(fig)
    return fig
