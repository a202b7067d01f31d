"""Drawings of scores, training and spectra, for the chapters on losses, training, Joint Bayesian and measuring.

Most draw into `ax`, or into a new figure of the book's width, and return the axes.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.ticker import PercentFormatter

from deepid_lite.figures.style import COLOURS


def score_histogram(scores, same, ax=None, threshold=None, label="score", bins=60):
    """Histograms of the scores (P,) of genuine and impostor pairs, as shares of each kind; same: bool (P,)."""
    ax = ax or plt.subplots(figsize=(7, 2.8))[1]
    scores, same = np.asarray(scores), np.asarray(same, dtype=bool)
    edges = np.linspace(*np.quantile(scores, [0.001, 0.999]), bins + 1)
    for kind, name in ((~same, "impostor pairs"), (same, "genuine pairs")):
        share = np.full(kind.sum(), 1 / max(kind.sum(), 1))
        ax.hist(np.clip(scores[kind], edges[0], edges[-1]), edges, weights=share, alpha=0.6, label=name)
    if threshold is not None:
        ax.axvline(threshold, color="0.3", linestyle="--", linewidth=1)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(xlabel=label, ylabel="share of pairs")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def roc_curves(curves, ax=None, min_far=1e-3, chance=True):
    """ROC curves {name: (far, tar)}, fractions (T,), over a logarithmic false accept rate [DeepID2+, Fig. 4].

    min_far: left end of the axis; below one over the number of impostor pairs a curve says nothing.
    """
    ax = ax or plt.subplots(figsize=(7, 3.4))[1]
    for name, (far, tar) in curves.items():
        # a step, not a slope: between two thresholds nothing was measured
        ax.step(np.maximum(far, min_far / 10), tar, where="post", label=name)
    if chance:
        far = np.geomspace(min_far, 1, 200)
        ax.plot(far, far, color="0.6", linestyle=":", linewidth=1, label="chance")
    ax.set(xscale="log", xlim=(min_far, 1), ylim=(0, 1.02))
    ax.set(xlabel="false accept rate", ylabel="true accept rate")
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(alpha=0.3)
    ax.legend(loc="lower right", framealpha=0.9, edgecolor="none")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def training_curves(log, prefix, ax=None, label=None):
    """Columns of a log over steps: those named `prefix` ("ident", "verif", "margin") and a layer's number."""
    ax = ax or plt.subplots(figsize=(7, 2.8))[1]
    for name in sorted(column for column in log if column.removeprefix(prefix).isdigit()):
        style = "steps-post" if prefix == "margin" else "default"  # a margin stays until it is set anew
        ax.plot(log["step"], log[name], drawstyle=style, label=f"FC-{name.removeprefix(prefix)}")
    ax.set(xlabel="step", ylabel=label or prefix)
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def spectra(eigenvalues, label="share of the variance", counts=True):
    """Eigen-spectra on a log scale, each scaled to sum one.

    eigenvalues: {name: (D,) values in falling order}. counts: write (sum v)^2 / sum v^2 beside each name,
    the number of directions that count.
    """
    fig, ax = plt.subplots(figsize=(6.5, 2.8), layout="constrained")
    for place, (name, values) in enumerate(eigenvalues.items()):
        share = np.clip(values, 0, None) / np.clip(values, 0, None).sum()
        shown = share > 1e-6
        note = f" ({1 / (share**2).sum():.1f} directions)" if counts else ""  # participation ratio
        marker = "osD^v"[place % 5]
        style = {"marker": marker, "markersize": 3.5, "linewidth": 1.2, "color": COLOURS[place]}
        ax.semilogy(np.arange(1, len(share) + 1)[shown], share[shown], label=f"{name}{note}", **style)
    ax.set(xlabel="direction, the widest first", ylabel=label)
    ax.legend(frameon=False, fontsize=9)
    sns.despine(ax=ax)
    return fig
