"""Drawings of the study of codes: Table 4, accuracy against bits and bytes, and what a search finds."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from deepid_lite.figures.style import COLOURS, legend_above, side_by_side
from deepid_lite.registry import figure

PAPER_TABLE_4 = {("real", "joint_bayesian"): 98.70, ("binary", "joint_bayesian"): 97.67, ("binary", "hamming"): 96.45}
CODE_ROWS = {
    ("real", "joint_bayesian"): "real, Joint Bayesian",
    ("real", "cosine"): "real, cosine",
    ("binary", "joint_bayesian"): "binary, Joint Bayesian",
    ("binary", "hamming"): "binary, Hamming",
}
NULL_ROWS = {
    ("untrained", "real", "joint_bayesian"): "untrained, real, JB",
    ("untrained", "binary", "joint_bayesian"): "untrained, JB",
    ("untrained", "binary", "hamming"): "untrained, Hamming",
    ("pixels", "binary", "joint_bayesian"): "pixels, JB",
    ("pixels", "binary", "hamming"): "pixels, Hamming",
}
CODE_NULLS = {"untrained": "codes of the untrained net", "pixels": "projections of raw pixels"}
CODE_ORDERS = {
    "random": "neurons at random",
    "entropy": "highest entropy first",
    "variance": "highest variance first",
    "projections": "random projections of features",
}


@figure("table4", of="codes")
def figure_table_4(result, reference=None):
    """Table 4: accuracy of real features and of codes, by Joint Bayesian and by a plain distance; nulls below."""
    fig, panels = side_by_side(result, reference, 3.0, sharey=True)
    labels = [*CODE_ROWS.values(), *NULL_ROWS.values()]
    for ax, study in panels:
        for place, (views, table) in enumerate(study["table"].items()):
            found = [table[kind][way] for kind, way in CODE_ROWS]
            _dots(ax, np.arange(4) + 0.12 - 0.24 * place, found, COLOURS[place], "os"[place], f"net, {views}")
        nulls = {null: study["nulls"][null]["table"] for null in ("untrained", "pixels")}
        rows = [k for k, (null, kind, _) in enumerate(NULL_ROWS, start=4) if kind in nulls[null]]
        found = [nulls[null][kind][way] for null, kind, way in NULL_ROWS if kind in nulls[null]]
        _dots(ax, np.array(rows), found, "0.45", "X", "null, picture and mirror")
        paper = [(value, list(CODE_ROWS).index(row)) for row, value in PAPER_TABLE_4.items()]
        ax.plot(*zip(*paper, strict=True), "|", color="0.1", markersize=14, label="the paper's net on LFW")
        ax.set(yticks=range(9), yticklabels=labels, ylim=(8.6, -0.6), xlabel="verification accuracy (%)")
        ax.grid(axis="x", alpha=0.3)
    legend_above(fig, panels[0][0], 2)
    sns.despine(fig)
    return fig


def _dots(ax, y, found, colour, marker, label):
    values, errors = ([entry[key] for entry in found] for key in ("accuracy", "standard_error"))
    ax.errorbar(values, y, xerr=errors, fmt=marker, color=colour, markersize=5, capsize=2, label=label)


@figure("fig-bits", of="codes")
def figure_bits(result, reference=None):
    """Accuracy by Hamming against the number of bits: three orders of neurons, projections of features, and nulls."""
    fig, panels = side_by_side(result, reference, 3.6, sharey=True)
    for ax, study in panels:
        sizes = study["curve"]["bits"]
        for place, (name, label) in enumerate(CODE_ORDERS.items()):
            _band(ax, sizes, study["curve"][name], COLOURS[place], "osD^"[place], label)
        for (name, label), marker, style in zip(CODE_NULLS.items(), "Xv", ("--", ":"), strict=True):
            _band(ax, sizes, study["nulls"][name]["curve"], "0.45", marker, f"null: {label}", style)
        _powers(ax, sizes, "bits a face")
        ax.axhline(50, color="0.8", linewidth=0.8, zorder=0)
    panels[0][0].set_ylabel("accuracy by Hamming distance (%)")
    legend_above(fig, panels[0][0], 2)
    sns.despine(fig)
    return fig


def _band(ax, x, curve, colour, marker, label, style="-"):
    mean, spread = np.array(curve["accuracy"]), np.array(curve["spread"])
    ax.plot(x, mean, style, color=colour, marker=marker, markersize=4, linewidth=1.2, label=label)
    ax.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)


def _powers(ax, sizes, label):
    ax.set_xscale("log", base=2)
    ax.set(xticks=sizes, xticklabels=[f"{size:,}" for size in sizes], xlabel=label)
    ax.tick_params(axis="x", labelsize=8)
    ax.minorticks_off()


@figure("fig-bytes", of="codes")
def figure_bytes(result, reference=None):
    """Accuracy against bytes a face: codes, a few PCA numbers by Joint Bayesian, and the real features as floats."""
    fig, panels = side_by_side(result, reference, 3.4, sharey=True)
    for ax, study in panels:
        sizes = np.array(study["curve"]["bits"]) / 8
        _band(ax, sizes, study["curve"]["random"], COLOURS[0], "o", "codes, Hamming, neurons at random")
        joint = [(study["bits"] / (16, 8)[views == "picture and mirror"], table["binary"]["joint_bayesian"]["accuracy"])
                 for views, table in study["table"].items()]  # fmt: skip
        ax.plot(*zip(*sorted(joint), strict=True), "s", color=COLOURS[1], label="codes, Joint Bayesian")
        ax.plot(study["floats"]["bytes"], study["floats"]["accuracy"], "D--", color=COLOURS[2], markersize=4,
                linewidth=1.2, label="PCA as floats, Joint Bayesian")  # fmt: skip
        whole = [(4 * study["bits"] / (2, 1)[views == "picture and mirror"], table["real"]["cosine"]["accuracy"])
                 for views, table in study["table"].items()]  # fmt: skip
        ax.plot(*zip(*sorted(whole), strict=True), "^", color=COLOURS[3], label="real features as floats, cosine")
        _powers(ax, [1, 4, 16, 64, 256, 1024, 4096], "bytes a face")
    panels[0][0].set_ylabel("verification accuracy (%)")
    legend_above(fig, panels[0][0], 2)
    sns.despine(fig)
    return fig


@figure("fig-recall", of="codes")
def figure_recall(result, reference=None):
    """A search by codes: how often the right person is among the first C, and first after re-ranking them."""
    fig, panels = side_by_side(result, reference, 3.4, sharey=True)
    for ax, study in panels:
        search = study["search"]
        x = search["candidates"]
        style = {"markersize": 4, "linewidth": 1.2}
        found = search["codes"]
        ax.plot(x, found["found"], "o-", color=COLOURS[0], label="right person among the C", **style)
        ax.plot(x, found["rank1"], "s-", color=COLOURS[1], label="first after Joint Bayesian", **style)
        ax.plot(x, found["neighbours"], "D-", color=COLOURS[2], label="ten nearest by Joint Bayesian", **style)
        for (name, label), marker, line in zip(CODE_NULLS.items(), "Xv", ("--", ":"), strict=True):
            found = study["nulls"][name]["search"]["found"]
            ax.plot(x, found, line, marker=marker, color="0.45", label=f"null: {label}", **style)
        ax.set(xscale="log", ylim=(0, 103), xlabel=f"candidates C of {search['gallery']:,}")
    panels[0][0].set_ylabel("share of queries or neighbours (%)")
    legend_above(fig, panels[0][0], 2)
    sns.despine(fig)
    return fig


def figure_search_time(bench):
    """Recall against milliseconds a query, and against bytes a face, of the table that benchmarks/search.py writes."""
    fig, axes = plt.subplots(1, 2, figsize=(7, 3.6), sharey=True, layout="constrained")
    for place, row in enumerate(bench["rows"]):
        look = {"color": COLOURS[place % 10], "marker": "osD^vP*Xph<>"[place % 12], "linestyle": "", "markersize": 7}
        axes[0].plot(row["ms"], row["recall"], label=row["method"], **look)
        axes[1].plot(row["bytes"], row["recall"], **look)
    axes[0].set(xscale="log", xlabel="milliseconds a query, one thread", ylabel=f"recall at {bench['k']} (%)")
    axes[0].set_ylim(0, 103)
    _powers(axes[1], [64, 128, 256, 512, 1024, 2048], "bytes a face")
    axes[1].set_xlim(48, 2900)
    for ax in axes:
        ax.grid(alpha=0.3)
    legend_above(fig, axes[0], 2)
    sns.despine(fig)
    return fig
