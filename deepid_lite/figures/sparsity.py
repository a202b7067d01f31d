"""Drawings of sparsity: Figs. 1 (left) and 6, and beyond them the layers and the dropout rate."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch
from scipy.stats import norm

from deepid_lite.figures.style import COLOURS, legend_above, present
from deepid_lite.registry import figure

PAPER_ACTIVE = (292 / 512, 34 / 512)  # neurons an image, of all neurons: mean, standard deviation [section 5]
PAPER_RATE = (26_565 / 46_594, 5_754 / 46_594)  # images a neuron, of all images
NULLS = {"untrained": "untrained, batch norm", "untrained_plain": "untrained, plain"}


@figure("fig1-sparsity", of="sparsity")
def figure_1_sparsity(result, reference=None):
    """Fig. 1, left: which neurons two pictures of one person and one of another activate; a cell is a neuron.

    Grey: as on image 1 of person A, dark where active. In colour: not as on that image.
    """
    shown = present(reference, result)
    fig, axes = plt.subplots(len(shown), 3, figsize=(7, 0.5 + 1.55 * len(shown)), squeeze=False, layout="constrained")
    colours = ListedColormap(["0.93", "0.45", "#f6c99f", "#b35900"])
    for row, study in zip(axes, shown, strict=True):
        bits = np.array(study["examples"]["activations"]) > 0
        for ax, title, own in zip(row, study["examples"]["titles"], bits, strict=True):
            unequal = own != bits[0]
            cells = np.full(-(-len(own) // 32) * 32, np.nan)
            cells[: len(own)] = own + 2 * unequal
            ax.pcolormesh(cells.reshape(-1, 32), cmap=colours, vmin=0, vmax=3, edgecolors="white", linewidth=0.4)
            ax.set(xticks=[], yticks=[], aspect="equal")
            ax.invert_yaxis()
            said = f"{unequal.sum()} not as on image 1 of A" if unequal.any() else f"{own.sum()} of {len(own)} active"
            ax.set_title(f"{title}:\n{said}", fontsize=9, pad=3)
        row[0].set_ylabel(study["scale"], weight="bold")
    labels = ("silent, as on image 1 of A", "active, as there", "silent, active there", "active, silent there")
    fig.legend([Patch(color=colours(k)) for k in range(4)], labels, loc="outside lower center", ncols=4, frameon=False,
               fontsize=8, handlelength=1, columnspacing=1.2)  # fmt: skip
    sns.despine(fig, left=True, bottom=True)
    return fig


@figure("fig6", of="sparsity")
def figure_6(result, reference=None, layer="FC-4"):
    """Fig. 6: histograms of active neurons an image and of images a neuron, with the nulls and the paper's numbers."""
    shown = present(reference, result)
    fig, axes = plt.subplots(
        len(shown), 2, figsize=(7, 0.7 + 2.1 * len(shown)), squeeze=False, sharex="col", layout="constrained"
    )
    for row, study in zip(axes, shown, strict=True):
        net, nulls = study["layers"][layer]["net"], study["layers"][layer]["nulls"]
        for ax, kind, paper in zip(row, ("active", "rate"), (PAPER_ACTIVE, PAPER_RATE), strict=True):
            top = net["neurons"] if kind == "active" else 1
            _shares(ax, net["histograms"][kind], top, "trained net", COLOURS[0], fill=True)
            for (name, label), colour, style in zip(NULLS.items(), (COLOURS[1], COLOURS[4]), ("--", ":"), strict=True):
                _shares(ax, nulls[name]["histograms"][kind], top, label, colour, linestyle=style, linewidth=1.6)
            high = ax.get_ylim()[1]
            ax.errorbar(100 * paper[0], 1.06 * high, xerr=100 * paper[1], fmt="D", color="0.2", markersize=4,
                        capsize=3, label="paper's mean and spread")  # fmt: skip
            ax.set(xlim=(0, 100), ylim=(0, 1.15 * high), ylabel=f"{study['scale']}: share (%)")
        edges = np.array(net["histograms"]["active"]["edges"])
        mean, spread = net["active_mean"], net["active_std_independent"]
        shares = 100 * np.diff(norm.cdf(edges, mean, spread))
        row[0].stairs(shares, 100 * edges / edges[-1], color=COLOURS[2], linewidth=1.2, label="independent neurons")
        row[0].set_ylim(0, max(row[0].get_ylim()[1], 1.15 * shares.max()))
    axes[-1, 0].set_xlabel("active neurons on an image (%)")
    axes[-1, 1].set_xlabel("images that activate a neuron (%)")
    legend_above(fig, axes[0, 0])
    sns.despine(fig)
    return fig


def _shares(ax, histogram, top, label, colour, **style):
    """A histogram in percent of what was counted, over percent of `top`."""
    counts, edges = np.array(histogram["counts"]), np.array(histogram["edges"])
    shade = {"alpha": 0.45} if style.get("fill") else {}
    ax.stairs(100 * counts / counts.sum(), 100 * edges / top, color=colour, label=label, **style, **shade)


@figure("fig6-layers", of="sparsity")
def figure_6_layers(result, reference=None):
    """Beyond Fig. 6, for each layer: active neurons, spread of the neurons' rates, Hamming distances; with the nulls.

    Distances: filled markers between two people, open ones between two images of one person.
    """
    shown = present(reference, result)
    size = (7, 0.7 + 2.0 * len(shown))
    fig, axes = plt.subplots(len(shown), 3, figsize=size, squeeze=False, sharey="col", layout="constrained")
    for row, study in zip(axes, shown, strict=True):
        names = list(study["layers"])
        of = {"net": [study["layers"][name]["net"] for name in names]}
        of |= {null: [study["layers"][name]["nulls"][null] for name in names] for null in NULLS}
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
        row[0].set_ylabel(study["scale"], weight="bold")
        plt.setp(row, xticks=range(len(names)), xticklabels=names)
    titles = ("active neurons (%)", "spread of rates", "Hamming distance (%)")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=9)
    for ax in axes.flat:
        ax.set_ylim(0, None)
    legend_above(fig, axes[0, 1])
    sns.despine(fig)
    return fig


@figure("fig-dropout", of="dropout")
def figure_dropout(result, reference=None, layer="FC-4"):
    """Sparsity and accuracy against the dropout rate, with and without verification, and without batch norm.

    Lines across are the untrained nets; bars at the active neurons are the spread over images.
    """
    shown = present(reference, result)
    fig, axes = plt.subplots(
        len(shown), 3, figsize=(7, 0.9 + 2.0 * len(shown)), squeeze=False, sharex=True, layout="constrained"
    )
    for row, study in zip(axes, shown, strict=True):
        for place, (label, points) in enumerate(_by_dropout(study, layer).items()):
            rates, summaries, accuracy = zip(*points, strict=True)
            x = np.array(rates) + 0.012 * (place - 1)
            look = {"color": COLOURS[place], "marker": "osD"[place], "markersize": 4, "label": label, "linewidth": 1}
            d = summaries[0]["neurons"]
            active, spread = ([100 * s[key] / d for s in summaries] for key in ("active_mean", "active_std"))
            row[0].errorbar(x, active, yerr=spread, capsize=2, **look)
            row[1].plot(x, [s["rate_std"] for s in summaries], **look)
            row[2].plot(x, accuracy, **look)
        for (null, label), style in zip(NULLS.items(), ("--", ":"), strict=True):
            s = study["null"][null][layer]["sparsity"]
            row[0].axhline(100 * s["active_mean"] / s["neurons"], color="0.4", linestyle=style, linewidth=1)
            row[1].axhline(s["rate_std"], color="0.4", linestyle=style, linewidth=1, label=label)
        row[0].set(ylim=(0, 100), xticks=[0, 0.25, 0.5, 0.75])
        row[0].set_ylabel(study["scale"], weight="bold")
        row[1].set_ylim(0, None)
    titles = ("active neurons (%)", "spread of rates", "verification (%)")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=9)
    axes[-1, 1].set_xlabel("dropout rate")
    legend_above(fig, axes[0, 1])
    sns.despine(fig)
    return fig


def _by_dropout(study, layer):
    """{kind of training: [(rate, summary, accuracy), ...] in order of the rate} of an ablation."""
    kinds = {"both signals": [], "no verification": [], "no batch norm": []}
    for variant in study["variants"].values():
        recipe, of_layer = variant["recipe"], variant["layers"][layer]
        kind = "no verification" if recipe["weight"] == 0 else "both signals"
        kind = kind if recipe["net"]["batch_norm"] else "no batch norm"
        point = (recipe["net"]["dropout"], of_layer["sparsity"], of_layer["accuracy"]["joint_bayesian"])
        kinds[kind].append(point)
    return {kind: sorted(points, key=lambda point: point[0]) for kind, points in kinds.items() if points}
