"""Drawings of scores and of training, for the chapters on training, Joint Bayesian and measuring.

Each function draws into `ax`, or into a new figure of the book's width, and returns the axes.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import PercentFormatter

from deepid_lite.nets.training_log import read_log

__all__ = ["read_log", "roc_curves", "score_histogram", "training_curves"]


def score_histogram(scores, same, ax=None, threshold=None, label="score", bins=60):
    """Histograms of the scores (P,) of genuine and impostor pairs, as shares of each kind; same: bool (P,)."""
    ax = ax or plt.subplots(figsize=(7, 2.8))[1]
    scores, same = np.asarray(scores), np.asarray(same, dtype=bool)
    edges = np.linspace(*np.quantile(scores, [0.001, 0.999]), bins + 1)
    for kind, name in ((~same, "two people"), (same, "one person")):
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
