"""Fig. 4: the ROC of face verification on LFW, ours beside the points that the authors handed to the LFW site.

`data_scripts/published_roc.py` fetches those points, `verification.published` reads them.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.ticker import PercentFormatter

from deepid_lite.figures.style import COLOURS, present
from deepid_lite.registry import figure


@figure("fig4", of="verification")
def figure_4(result, reference=None, published=None):
    """Fig. 4: true over false accept rate, on the paper's linear axes (a corner of them) and on a logarithmic one.

    result, reference: reports of pipeline.evaluate_model (their "roc"), the lite one first; either may be None.
    published: what `read_published` returns. It is LFW's, and is drawn beside results on LFW only.
    """
    found = present(result, reference)
    fig, axes = plt.subplots(len(found), 2, figsize=(7, 0.6 + 3.3 * len(found)), squeeze=False, layout="constrained")
    for row, report in zip(axes, found, strict=True):
        far, tar = (np.array(report["roc"][key]) for key in ("far", "tar"))
        curves = published if published and report["data"] == "lfw" else {}
        # below one impostor pair, of which LFW has 3,000, nothing was measured
        least = 2 / report["pairs"]
        for ax in row:
            for place, (method, points) in enumerate(curves.items()):
                _curve(ax, *points, least, COLOURS[place % len(COLOURS)], "sD^vPX*p<>"[place % 10], method)
            _curve(ax, far, tar, least, "0.1", "o", f"ours: {report['model']}, {report['accuracy']:.2f} %", 2.0)
            ax.set(xlabel="false accept rate", ylabel="true accept rate" if ax is row[0] else "")
            ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
            ax.grid(alpha=0.3)
        low = _low(far, tar, 0.01)
        row[0].set(xlim=(0, 0.3), ylim=(low, 1.005), title=f"{report['data']}, linear")
        row[0].xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        row[1].set(xscale="log", xlim=(least, 1), ylim=(_low(far, tar, least), 1.005))
        row[1].set_title(f"{report['data']}, logarithmic")
        for ax in row:
            ax.title.set_fontsize(9)
        row[1].legend(loc="lower right", fontsize=7, framealpha=0.9, edgecolor="none")
    sns.despine(fig)
    return fig


def _curve(ax, far, tar, least, colour, marker, label, width=1.0):
    """Steps, as between two thresholds nothing was measured, with a few markers."""
    ax.step(np.maximum(far, least / 10), tar, where="post", color=colour, linewidth=width, label=label, marker=marker,
            markersize=4, markevery=_every(far, least))  # fmt: skip


def _every(far, least):
    """Points nearest to a few false accept rates, spread over both kinds of axes."""
    wanted = [2 * least, 0.003, 0.01, 0.03, 0.08, 0.15, 0.25, 0.6]
    return sorted({int(np.argmin(np.abs(far - rate))) for rate in wanted if rate >= least})


def _low(far, tar, least):
    """A lower end for the axis: a tenth below the curve at `least`, so that ours is in the picture."""
    return max(0.0, np.floor(10 * float(np.interp(least, far, tar))) / 10 - 0.1)
