"""Drawings of the study of tracking, and of what a tracker sees."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.patches import Rectangle

from deepid_lite.figures.style import COLOURS
from deepid_lite.registry import figure

SHOWN = {
    "static box": "a box that stays", "template": "template", "MOSSE": "MOSSE", "untrained": "untrained net",
    "attributes": "net of attributes", "random maps": "random maps", "all maps": "all maps",
    "code's sign": "saliency with the code's sign", "upper alone": "upper layer alone",
    "lower alone": "lower layer alone", "both": "both layers (paper)",
}  # fmt: skip


@figure("fig-tracking", of="tracking")
def figure_tracking(result):
    """Success area and precision of each tracker: means with intervals and the videos as small dots, or by sequence."""
    fig, axes = plt.subplots(1, 2, figsize=(7.2, 4), sharey=True, layout="constrained")
    for ax, key, label in zip(axes, ("success", "precision"), ("success area (%)", "precision (%)"), strict=True):
        for place, name in enumerate(SHOWN):
            found = result[key][name]
            rows = found if isinstance(found, dict) else {"": found}
            for k, (value, low, high) in enumerate(rows.values()):
                at = place + 0.24 * (k - (len(rows) - 1) / 2)
                error = [[value - low], [high - value]] if np.isfinite([low or np.inf, high or np.inf]).all() else None
                ax.errorbar(value, at, xerr=error, fmt="os"[k % 2], color=COLOURS[2 * k], markersize=5, capsize=2)
            if len(rows) == 1:
                videos = result["by_video"][key][name]
                ax.plot(videos, np.full(len(videos), place), ".", color="0.6", markersize=3, zorder=0)
        ax.set(xlabel=label, xlim=(0, 102))
    if isinstance(result["success"]["both"], dict):
        for k, name in enumerate(result["success"]["both"]):
            axes[0].plot([], [], "os"[k % 2], color=COLOURS[2 * k], label=name)
        axes[0].legend(frameon=False, fontsize=8)
    axes[0].set_yticks(range(len(SHOWN)), SHOWN.values(), fontsize=8)
    axes[0].invert_yaxis()
    sns.despine(fig)
    return fig


def draw_box(ax, box, colour, **style):
    """A box (4,) as a frame."""
    ax.add_patch(Rectangle(box[:2], *box[2:], fill=False, edgecolor=colour, **{"linewidth": 1.8} | style))


def figure_frames(frames, boxes, rows, columns=4, labels=None):
    """Some frames of a video with the boxes of several trackers; boxes: {name: (T, 4)}, the truth as "truth"."""
    lines = -(-len(rows) // columns)
    fig, axes = plt.subplots(lines, columns, figsize=(7.2, 1.55 * lines + 0.3), squeeze=False, layout="constrained")
    for ax, row in zip(axes.flat, rows, strict=False):
        ax.imshow(frames[row])
        for place, (name, found) in enumerate(boxes.items()):
            truth = name == "truth"
            draw_box(ax, found[row], "white" if truth else COLOURS[place], linestyle="--" if truth else "-")
        ax.set_title(f"frame {row}" if labels is None else labels[row], fontsize=8)
    for ax in axes.flat:
        ax.axis("off")
    for place, name in enumerate(boxes):
        colour = "0.5" if name == "truth" else COLOURS[place]
        axes.flat[0].plot([], [], color=colour, linestyle="--" if name == "truth" else "-", label=name)
    fig.legend(loc="outside lower center", ncols=len(boxes), frameon=False, fontsize=8)
    return fig


def figure_maps(seen, heats, titles=None):
    """What is looked at, and the heat maps of both layers; seen: uint8 (N, 96, 96, 3), heats: N {layer: (24, 24)}."""
    fig, axes = plt.subplots(3, len(seen), figsize=(1.5 * len(seen), 4.5), squeeze=False, layout="constrained")
    for column, (picture, heat) in enumerate(zip(seen, heats, strict=True)):
        axes[0, column].imshow(picture)
        axes[0, column].set_title("" if titles is None else titles[column], fontsize=8)
        for ax, layer in zip(axes[1:, column], ("upper", "lower"), strict=True):
            ax.imshow(heat[layer], vmin=0, vmax=1, cmap="viridis")
    for ax, label in zip(axes[:, 0], ("seen", "upper", "lower"), strict=True):
        ax.set_ylabel(label, fontsize=9)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    return fig
