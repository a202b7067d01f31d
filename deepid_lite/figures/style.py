"""What the figures share: colours, panels for one scale or two, a legend above, and writing to a file.

Colours are seaborn's colour-blind palette; what a colour says is also said by a place, a marker or a label.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from deepid_lite.errors import DataError
from deepid_lite.files import replacing

COLOURS = sns.color_palette("colorblind")
KINDS = (".png", ".pdf", ".svg")


def present(result, reference=None):
    """The dicts of a study to draw, the lite one first; without the one that is None."""
    return [found for found in (result, reference) if found is not None]


def side_by_side(result, reference, height, width=7, **options):
    """One panel for each scale, side by side: (figure, [(axes, study), ...])."""
    shown = present(result, reference)
    fig, axes = plt.subplots(1, len(shown), figsize=(width, height), squeeze=False, layout="constrained", **options)
    for ax, study in zip(axes[0], shown, strict=True):
        ax.set_title(study["scale"], fontsize=9, weight="bold")
    return fig, list(zip(axes[0], shown, strict=True))


def legend_above(fig, ax, columns=3, size=8):
    """The legend of one panel above all of them."""
    handles, labels = ax.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False, fontsize=size)


def label_lines(ax, labels, gap=0.065):
    """Texts at the right end of lines, moved apart where they would meet: labels are (y, text, colour)."""
    low, high = ax.get_ylim()
    places, at = [], -np.inf
    for y, *_ in sorted(labels, key=lambda label: label[0]):
        at = max((y - low) / (high - low), at + gap)
        places.append(at)
    for place, (_, text, colour) in zip(places, sorted(labels, key=lambda label: label[0]), strict=True):
        ax.annotate(text, (1.01, place), xycoords="axes fraction", color=colour, fontsize=9, va="center")


def check_kind(path):
    """DataError for a picture's path that ends in neither .png, .pdf nor .svg: before the work, not after it."""
    if Path(path).suffix.lower() not in KINDS:
        raise DataError(f"{path}: a picture ends in {', '.join(KINDS)}; rename it")


def save_figure(fig, path):
    """Write a picture, whole or not at all; DataError where that cannot be, or for another kind of file."""
    check_kind(path)
    with replacing(path) as part:
        fig.savefig(part, dpi=150, bbox_inches="tight")
