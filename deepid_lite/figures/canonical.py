"""Drawings of the canonical-view net: what it draws, rank-1 by view, how a frontal picture is chosen without labels."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from deepid_lite.faces.synthetic.views import VIEWS
from deepid_lite.figures.style import COLOURS, legend_above
from deepid_lite.registry import figure

LINES = {
    "FIP": "draws the frontal view",
    "random start": "the same, random start",
    "least squares alone": "least squares alone",
    "identification": "names the person",
    "landmark LBP": "landmark LBP",
    "raw": "pixels",
}


@figure("canonical-rank1", of="canonical_view")
def rank1(result, reference=None):
    """Rank-1 by view of the net, of its controls and of features without a net, with 95 % intervals."""
    fig, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for place, (name, label) in enumerate(LINES.items()):
        value, low, high = np.array(result["rank1"][name]["views"]).T
        look = {"color": COLOURS[place], "marker": "osD^vP"[place], "markersize": 4, "linewidth": 1.2, "capsize": 2}
        ax.errorbar(np.array(VIEWS) + place - 2.5, value, yerr=(value - low, high - value), label=label, **look)
    ax.set(xlabel="view (degrees)", xticks=VIEWS, ylabel="rank-1 (%)", ylim=(0, 102))
    legend_above(fig, ax)
    sns.despine(fig)
    return fig


@figure("canonical-chosen", of="canonical_view")
def chosen(result, reference=None):
    """How far from frontal the pictures are that rules without labels choose: one bar a rule, with 95 % intervals.

    reference: the record `frontal_choice`, photographs, for a second panel.
    """
    panels = [(result, "lite: drawn people", "yaw, without its sign (degrees)")]
    if reference is not None:
        panels.append((reference, "reference: photographs", "offset of the nose (% of eyes' distance)"))
    fig, axes = plt.subplots(1, len(panels), figsize=(7, 2.4), squeeze=False, sharey=True, layout="constrained")
    names = list(result["chosen"])
    for ax, (record, title, label) in zip(axes[0], panels, strict=True):
        for place, name in enumerate(names):
            value, low, high = record["chosen"][name]["mean"]
            colour = COLOURS[7] if name == "any picture" else COLOURS[0]
            ax.barh(place, value, xerr=[[value - low], [high - value]], color=colour, capsize=3)
        ax.set_title(title, fontsize=9, weight="bold")
        ax.set_xlabel(label, fontsize=9)
    axes[0, 0].set(yticks=range(len(names)), yticklabels=names)
    axes[0, 0].invert_yaxis()
    sns.despine(fig)
    return fig
