"""One function per figure of the paper, drawn from a study's recorded dict; each returns a matplotlib figure.

Colours are seaborn's colour-blind palette; what a colour says is also said by a place, a marker or a label.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from scipy.stats import norm

from deepid_lite.figures.ablations import (  # noqa: F401  (handed on: figures are looked up here)
    figure_differences,
    figure_lambda,
    figure_layers,
    figure_people,
    figure_signals,
    figure_two_nets,
    figure_variants,
)
from deepid_lite.figures.ensemble import figure_alone, figure_ensemble, figure_regions  # noqa: F401  (handed on, as below)
from deepid_lite.figures.occlusion import (  # noqa: F401  (handed on: figures are looked up here)
    figure_1,
    figure_14,
    figure_15,
    figure_16,
    figure_17,
    fills_dots,
    pattern_stability,
    sensitivity_maps,
)
from deepid_lite.figures.roc import figure_4  # noqa: F401  (handed on: figures are looked up here)
from deepid_lite.figures.selectiveness import (  # noqa: F401  (handed on: figures are looked up here)
    figure_7,
    figure_8,
    figure_9,
    figure_10,
    figure_11,
    figure_12,
    figure_13,
    figure_lesions,
)
from deepid_lite.figures.style import COLOURS, present, side_by_side

# sparsity: studies.sparsity and experiments.EXPERIMENTS["dropout"]

PAPER_ACTIVE = (292 / 512, 34 / 512)  # neurons an image, of all neurons: mean, standard deviation [section 5]
PAPER_RATE = (26_565 / 46_594, 5_754 / 46_594)  # images a neuron, of all images
NULLS = {"untrained": "untrained, batch norm", "untrained_plain": "untrained, plain"}


def figure_1_sparsity(result, reference=None):
    """Fig. 1, left: activations of 32 neurons on two pictures of one person and one of another, as strips of bars."""
    found = present(result, reference)
    fig, axes = plt.subplots(3, len(found), figsize=(7, 2.9), squeeze=False, sharex=True, layout="constrained")
    for column, scale in zip(axes.T, found, strict=True):
        examples = scale["examples"]
        values = np.array(examples["activations"])
        for ax, title, row in zip(column, examples["titles"], values, strict=True):
            colour = COLOURS[0] if title.startswith("person A") else COLOURS[1]
            ax.bar(range(len(row)), row, color=colour, width=0.8)
            silent = np.flatnonzero(row == 0)
            ax.plot(silent, np.zeros(len(silent)), "x", color="0.45", markersize=3, clip_on=False)
            ax.set(yticks=[], ylim=(0, 1.05 * values.max()))
            same = ((row > 0) == (values[0] > 0)).sum()
            note = "" if ax is column[0] else f"; {same} of {len(row)} as in image 1 of A"
            ax.set_title(f"{title}: {(row > 0).sum()} active{note}", fontsize=8, loc="left", pad=2)
        column[0].annotate(scale["scale"], (0.5, 1.3), xycoords="axes fraction", ha="center", weight="bold")
        column[-1].set(xlabel=f"{len(row)} of the neurons (x: not active)", xticks=[])
    sns.despine(fig, left=True)
    return fig


def figure_6(result, reference=None, layer="FC-4"):
    """Fig. 6: histograms of active neurons an image and of images a neuron, with the nulls and the paper's numbers."""
    found = present(result, reference)
    fig, axes = plt.subplots(
        len(found), 2, figsize=(7, 0.7 + 2.1 * len(found)), squeeze=False, sharex="col", layout="constrained"
    )
    for row, scale in zip(axes, found, strict=True):
        net, nulls = scale["layers"][layer]["net"], scale["layers"][layer]["nulls"]
        for ax, kind, paper in zip(row, ("active", "rate"), (PAPER_ACTIVE, PAPER_RATE), strict=True):
            top = net["neurons"] if kind == "active" else 1
            _shares(ax, net["histograms"][kind], top, "trained net", COLOURS[0], fill=True)
            for (name, label), colour, style in zip(NULLS.items(), (COLOURS[1], COLOURS[4]), ("--", ":"), strict=True):
                _shares(ax, nulls[name]["histograms"][kind], top, label, colour, linestyle=style, linewidth=1.6)
            high = ax.get_ylim()[1]
            ax.errorbar(100 * paper[0], 1.06 * high, xerr=100 * paper[1], fmt="D", color="0.2", markersize=4,
                        capsize=3, label="paper's mean and spread")  # fmt: skip
            ax.set(xlim=(0, 100), ylim=(0, 1.15 * high), ylabel=f"{scale['scale']}: share (%)")
        edges = np.array(net["histograms"]["active"]["edges"])
        mean, spread = net["active_mean"], net["active_std_independent"]
        shares = 100 * np.diff(norm.cdf(edges, mean, spread))
        row[0].stairs(shares, 100 * edges / edges[-1], color=COLOURS[2], linewidth=1.2, label="independent neurons")
        row[0].set_ylim(0, max(row[0].get_ylim()[1], 1.15 * shares.max()))
    axes[-1, 0].set_xlabel("active neurons on an image (%)")
    axes[-1, 1].set_xlabel("images that activate a neuron (%)")
    _legend_above(fig, axes[0, 0])
    sns.despine(fig)
    return fig


def _shares(ax, histogram, top, label, colour, **style):
    """A histogram in percent of what was counted, over percent of `top`."""
    counts, edges = np.array(histogram["counts"]), np.array(histogram["edges"])
    shade = {"alpha": 0.45} if style.get("fill") else {}
    ax.stairs(100 * counts / counts.sum(), 100 * edges / top, color=colour, label=label, **style, **shade)


def _legend_above(fig, ax, columns=3):
    handles, labels = ax.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False, fontsize=8)


def figure_6_layers(result, reference=None):
    """Beyond Fig. 6, for each layer: active neurons, spread of the neurons' rates, Hamming distances; with the nulls.

    Distances: filled markers between two people, open ones between two images of one person.
    """
    found = present(result, reference)
    size = (7, 0.7 + 2.0 * len(found))
    fig, axes = plt.subplots(len(found), 3, figsize=size, squeeze=False, sharey="col", layout="constrained")
    for row, scale in zip(axes, found, strict=True):
        names = list(scale["layers"])
        of = {"net": [scale["layers"][name]["net"] for name in names]}
        of |= {null: [scale["layers"][name]["nulls"][null] for name in names] for null in NULLS}
        for place, (kind, summaries) in enumerate(of.items()):
            x = np.arange(len(names)) + 0.12 * (place - 1)
            d = summaries[0]["neurons"]
            look = {"color": (COLOURS[0], COLOURS[1], COLOURS[4])[place], "marker": "osD"[place], "markersize": 4}
            look |= {"label": NULLS.get(kind, "net"), "linewidth": 1, "linestyle": ("-", "--", ":")[place]}
            active, spread = ([100 * s[key] / d for s in summaries] for key in ("active_mean", "active_std"))
            row[0].errorbar(x, active, yerr=spread, capsize=2, **look)
            row[1].plot(x, [s["rate_std"] for s in summaries], **look)
            row[2].plot(x, [100 * s["hamming"]["between"] / d for s in summaries], **look)
            within = [100 * s["hamming"]["within"] / d for s in summaries]
            row[2].plot(x, within, **{**look, "label": None, "markerfacecolor": "white"})
        row[0].set_ylabel(scale["scale"], weight="bold")
        plt.setp(row, xticks=range(len(names)), xticklabels=names)
    titles = ("active neurons (%)", "spread of rates", "Hamming distance (%)")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=9)
    for ax in axes.flat:
        ax.set_ylim(0, None)
    _legend_above(fig, axes[0, 1])
    sns.despine(fig)
    return fig


def figure_dropout(result, reference=None, layer="FC-4"):
    """Sparsity and accuracy against the dropout rate, with and without verification, and without batch norm.

    Lines across are the untrained nets; bars at the active neurons are the spread over images.
    """
    found = present(result, reference)
    fig, axes = plt.subplots(
        len(found), 3, figsize=(7, 0.9 + 2.0 * len(found)), squeeze=False, sharex=True, layout="constrained"
    )
    for row, scale in zip(axes, found, strict=True):
        for place, (label, points) in enumerate(_by_dropout(scale, layer).items()):
            rates, summaries, accuracy = zip(*points, strict=True)
            x = np.array(rates) + 0.012 * (place - 1)
            look = {"color": COLOURS[place], "marker": "osD"[place], "markersize": 4, "label": label, "linewidth": 1}
            d = summaries[0]["neurons"]
            active, spread = ([100 * s[key] / d for s in summaries] for key in ("active_mean", "active_std"))
            row[0].errorbar(x, active, yerr=spread, capsize=2, **look)
            row[1].plot(x, [s["rate_std"] for s in summaries], **look)
            row[2].plot(x, accuracy, **look)
        for (null, label), style in zip(NULLS.items(), ("--", ":"), strict=True):
            s = scale["null"][null][layer]["sparsity"]
            row[0].axhline(100 * s["active_mean"] / s["neurons"], color="0.4", linestyle=style, linewidth=1)
            row[1].axhline(s["rate_std"], color="0.4", linestyle=style, linewidth=1, label=label)
        row[0].set(ylim=(0, 100), xticks=[0, 0.25, 0.5, 0.75])
        row[0].set_ylabel(scale["scale"], weight="bold")
        row[1].set_ylim(0, None)
    titles = ("active neurons (%)", "spread of rates", "verification (%)")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=9)
    axes[-1, 1].set_xlabel("dropout rate")
    _legend_above(fig, axes[0, 1])
    sns.despine(fig)
    return fig


def _by_dropout(scale, layer):
    """{kind of training: [(rate, summary, accuracy), ...] in order of the rate} of a result of experiments.py."""
    kinds = {"both signals": [], "no verification": [], "no batch norm": []}
    for variant in scale["variants"].values():
        recipe, of_layer = variant["recipe"], variant["layers"][layer]
        kind = "no verification" if recipe["weight"] == 0 else "both signals"
        kind = kind if recipe["net"]["batch_norm"] else "no batch norm"
        point = (recipe["net"]["dropout"], of_layer["sparsity"], of_layer["accuracy"]["joint_bayesian"])
        kinds[kind].append(point)
    return {kind: sorted(points, key=lambda point: point[0]) for kind, points in kinds.items() if points}


# codes: studies.codes and benchmarks/search.py

PAPER_TABLE_4 = {("real", "joint_bayesian"): 98.70, ("binary", "joint_bayesian"): 97.67, ("binary", "hamming"): 96.45}
CODE_ROWS = {
    ("real", "joint_bayesian"): "real, Joint Bayesian",
    ("real", "cosine"): "real, cosine",
    ("binary", "joint_bayesian"): "binary, Joint Bayesian",
    ("binary", "hamming"): "binary, Hamming",
}
CODE_NULLS = {"untrained": "codes of the untrained net", "pixels": "projections of raw pixels"}
CODE_ORDERS = {
    "random": "neurons at random",
    "entropy": "highest entropy first",
    "variance": "highest variance first",
    "projections": "random projections of features",
}


def figure_table_4(result, reference=None):
    """Table 4: accuracy of real features and of codes, by Joint Bayesian and by a plain distance; nulls below."""
    fig, panels = side_by_side(result, reference, 3.0, sharey=True)
    labels = [*CODE_ROWS.values(), *(f"{null}, {way}" for null in ("untrained", "pixels") for way in ("JB", "Hamming"))]
    for ax, scale in panels:
        for place, (views, table) in enumerate(scale["table"].items()):
            found = [table[kind][way] for kind, way in CODE_ROWS]
            _dots(ax, np.arange(4) + 0.12 - 0.24 * place, found, COLOURS[place], "os"[place], f"net, {views}")
        nulls = [scale["nulls"][null]["table"]["binary"] for null in ("untrained", "pixels")]
        found = [null[way] for null in nulls for way in ("joint_bayesian", "hamming")]
        _dots(ax, np.arange(4, 8), found, "0.45", "X", "null, picture and mirror")
        paper = [(value, list(CODE_ROWS).index(row)) for row, value in PAPER_TABLE_4.items()]
        ax.plot(*zip(*paper, strict=True), "|", color="0.1", markersize=14, label="the paper's net on LFW")
        ax.set(yticks=range(8), yticklabels=labels, ylim=(7.6, -0.6), xlabel="verification accuracy (%)")
        ax.grid(axis="x", alpha=0.3)
    _legend_above(fig, panels[0][0], 2)
    sns.despine(fig)
    return fig


def _dots(ax, y, found, colour, marker, label):
    values, errors = ([entry[key] for entry in found] for key in ("accuracy", "standard_error"))
    ax.errorbar(values, y, xerr=errors, fmt=marker, color=colour, markersize=5, capsize=2, label=label)


def figure_bits(result, reference=None):
    """Accuracy by Hamming against the number of bits: three orders of neurons, projections of features, and nulls."""
    fig, panels = side_by_side(result, reference, 3.6, sharey=True)
    for ax, scale in panels:
        sizes = scale["curve"]["bits"]
        for place, (name, label) in enumerate(CODE_ORDERS.items()):
            _band(ax, sizes, scale["curve"][name], COLOURS[place], "osD^"[place], label)
        for (name, label), marker, style in zip(CODE_NULLS.items(), "Xv", ("--", ":"), strict=True):
            _band(ax, sizes, scale["nulls"][name]["curve"], "0.45", marker, f"null: {label}", style)
        _powers(ax, sizes, "bits a face")
        ax.axhline(50, color="0.8", linewidth=0.8, zorder=0)
    panels[0][0].set_ylabel("accuracy by Hamming distance (%)")
    _legend_above(fig, panels[0][0], 2)
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


def figure_bytes(result, reference=None):
    """Accuracy against bytes a face: codes, a few PCA numbers by Joint Bayesian, and the real features as floats."""
    fig, panels = side_by_side(result, reference, 3.4, sharey=True)
    for ax, scale in panels:
        sizes = np.array(scale["curve"]["bits"]) / 8
        _band(ax, sizes, scale["curve"]["random"], COLOURS[0], "o", "codes, Hamming, neurons at random")
        joint = [(scale["bits"] / (16, 8)[views == "picture and mirror"], table["binary"]["joint_bayesian"]["accuracy"])
                 for views, table in scale["table"].items()]  # fmt: skip
        ax.plot(*zip(*sorted(joint), strict=True), "s", color=COLOURS[1], label="codes, Joint Bayesian")
        ax.plot(scale["floats"]["bytes"], scale["floats"]["accuracy"], "D--", color=COLOURS[2], markersize=4,
                linewidth=1.2, label="PCA as floats, Joint Bayesian")  # fmt: skip
        whole = [(4 * scale["bits"] / (2, 1)[views == "picture and mirror"], table["real"]["cosine"]["accuracy"])
                 for views, table in scale["table"].items()]  # fmt: skip
        ax.plot(*zip(*sorted(whole), strict=True), "^", color=COLOURS[3], label="real features as floats, cosine")
        _powers(ax, [1, 4, 16, 64, 256, 1024, 4096], "bytes a face")
    panels[0][0].set_ylabel("verification accuracy (%)")
    _legend_above(fig, panels[0][0], 2)
    sns.despine(fig)
    return fig


def figure_recall(result, reference=None):
    """A search by codes: how often the right person is among the first C, and first after re-ranking them."""
    fig, panels = side_by_side(result, reference, 3.4, sharey=True)
    for ax, scale in panels:
        search = scale["search"]
        x = search["candidates"]
        style = {"markersize": 4, "linewidth": 1.2}
        found = search["codes"]
        ax.plot(x, found["found"], "o-", color=COLOURS[0], label="right person among the C", **style)
        ax.plot(x, found["rank1"], "s-", color=COLOURS[1], label="first after Joint Bayesian", **style)
        ax.plot(x, found["neighbours"], "D-", color=COLOURS[2], label="ten nearest by Joint Bayesian", **style)
        for (name, label), marker, line in zip(CODE_NULLS.items(), "Xv", ("--", ":"), strict=True):
            found = scale["nulls"][name]["search"]["found"]
            ax.plot(x, found, line, marker=marker, color="0.45", label=f"null: {label}", **style)
        ax.set(xscale="log", ylim=(0, 103), xlabel=f"candidates C of {search['gallery']:,}")
    panels[0][0].set_ylabel("share of queries or neighbours (%)")
    _legend_above(fig, panels[0][0], 2)
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
    _legend_above(fig, axes[0], 2)
    sns.despine(fig)
    return fig
