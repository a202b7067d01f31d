"""Drawings of the studies `identities` and `attributes`: the paper's Figs. 7 to 13, and lesions beyond it.

Each takes a study's dict, and `reference` beside it when there is one.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.lines import Line2D

from deepid_lite.figures.style import COLOURS, present
from deepid_lite.registry import figure

NET, LBP, NULL, EXCITED, INHIBITED = COLOURS[0], COLOURS[1], "0.45", COLOURS[3], COLOURS[0]
# system or null -> (label, colour, marker)
LOOK = {
    "net": ("net", NET, "o"),
    "lbp": ("LBP", LBP, "s"),
    "untrained": ("untrained net", NULL, "D"),
    "permuted": ("net, shuffled labels", NULL, "x"),
}
KINDS = {"people": "no person in both halves", "random": "random halves"}


def _percent(values):
    return 100 * np.asarray(values, float)


def _legend(fig, handles, columns=4):
    fig.legend(handles=handles, loc="outside upper center", ncols=columns, frameon=False, fontsize=8)


@figure("fig7", of="attributes")
def figure_7(result, reference=None):
    """Fig. 7: attribute accuracy of all features together, against LBP over its dimensions and the nulls.

    Left: means over the attributes; right: each attribute, for halves without a person in common.
    """
    shown = present(result, reference)
    heights = [max(2.2, 0.5 + 0.135 * len(r["names"])) for r in shown]
    fig, axes = plt.subplots(len(shown), 2, figsize=(7, 0.6 + sum(heights)), height_ratios=heights, squeeze=False,
                             layout="constrained")  # fmt: skip
    for (left, right), r in zip(axes, shown, strict=True):
        for kind, fill in (("people", "full"), ("random", "none")):
            half = r["halves"][kind]
            swept = sorted((int(d), np.mean(values)) for d, values in half["all_lbp"].items())
            look = {"markersize": 5, "fillstyle": fill, "linewidth": 1}
            if swept:
                style = "-" if kind == "people" else "--"
                left.semilogx(*zip(*[(d, 100 * v) for d, v in swept], strict=True), color=LBP, marker="s",
                              linestyle=style, **look)  # fmt: skip
            for name in ("net", "untrained"):
                _, colour, marker = LOOK[name]
                left.semilogx(r["neurons"], 100 * np.mean(half["all"][name]), color=colour, marker=marker, **look)
            left.semilogx(r["neurons"], 100 * np.mean(half["nulls"]["coin_all"]), color=COLOURS[4], marker="^", **look)
        left.axhline(50, color="0.7", linewidth=0.8, zorder=0)
        left.set_xlabel("dimensions", fontsize=9)
        left.set_ylabel(f"{r['scale']}: balanced accuracy (%)", fontsize=9)
        half = r["halves"]["people"]
        best = max(half["all_lbp"], key=lambda d: np.mean(half["all_lbp"][d]), default=None)
        values = dict(half["all"]) | ({"lbp": half["all_lbp"][best]} if best else {})
        _dots(right, r["names"], values)
        right.set_title(f"each attribute; LBP with {int(best):,} dimensions" if best else "each attribute", fontsize=8)
    axes[-1, 1].set_xlabel("balanced accuracy (%)", fontsize=9)
    marks = [_mark(*LOOK[name]) for name in ("net", "lbp", "untrained")]
    marks += [_mark("coin for each person", COLOURS[4], "^"), _mark("filled: no person in both halves", "0.2", "."),
              _mark("open: random halves", "0.2", "o", fillstyle="none")]  # fmt: skip
    _legend(fig, marks, 3)
    sns.despine(fig)
    return fig


def _mark(label, colour, marker, **style):
    return Line2D([], [], color=colour, marker=marker, linestyle="", markersize=5, label=label, **style)


def _dots(ax, names, values):
    """Accuracies (share) of each name as dots of each system, {system: values}; the net's best at the top."""
    order = np.argsort(np.asarray(values["net"], float), kind="stable")
    for system, accuracies in values.items():
        _, colour, marker = LOOK[system]
        ax.plot(_percent(accuracies)[order], np.arange(len(order)), marker, color=colour, markersize=4.5)
    ax.axvline(50, color="0.7", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(order)), [names[k].replace("_", " ") for k in order], fontsize=7)
    ax.grid(axis="y", color="0.92", linewidth=0.6)
    ax.set_axisbelow(True)


@figure("fig8", of="identities")
def figure_8(result, reference=None):
    """Fig. 8: one neuron against one LBP feature, for five people; the nulls beside them."""
    shown = present(result, reference)
    fig, axes = plt.subplots(1, len(shown), figsize=(7, 2.5), squeeze=False, layout="constrained", sharex=True)
    for ax, r in zip(axes[0], shown, strict=True):
        values = {name: found["one"] for name, found in r["systems"].items()}
        values["permuted"] = r["nulls"]["permuted"]
        _dots(ax, [name.split("/")[-1] for name in r["names"]], values)
        ax.set_xlabel(f"{r['scale']}: accuracy of one feature (%)", fontsize=9)
    _legend(fig, [_mark(*LOOK[name]) for name in LOOK if name in values])
    sns.despine(fig)
    return fig


@figure("fig9", of="attributes")
def figure_9(result, reference=None):
    """Fig. 9: one neuron against one LBP feature, for the attributes; filled where no person is in both halves."""
    shown = present(result, reference)
    high = max(len(r["names"]) for r in shown)
    fig, axes = plt.subplots(1, len(shown), figsize=(7, 1.1 + 0.15 * high), squeeze=False, layout="constrained",
                             sharex=True)  # fmt: skip
    for ax, r in zip(axes[0], shown, strict=True):
        half, random = r["halves"]["people"], r["halves"]["random"]
        values = {name: found["one"] for name, found in half["systems"].items()}
        values["permuted"] = half["nulls"]["permuted"]
        _dots(ax, r["names"], values)
        order = np.argsort(values["net"], kind="stable")
        ax.plot(_percent(random["systems"]["net"]["one"])[order], np.arange(len(order)), "o", color=NET, markersize=5.5,
                fillstyle="none")  # fmt: skip
        ax.set_xlabel(f"{r['scale']}: accuracy of one feature (%)", fontsize=9)
    marks = [_mark(*LOOK[name]) for name in LOOK if name in values]
    _legend(fig, [*marks, _mark("net, random halves", NET, "o", fillstyle="none")], 3)
    sns.despine(fig)
    return fig


@figure("fig10", of="identities")
def figure_10(result, reference=None):
    """Fig. 10: every feature's mean and spread on one person and on the rest, and its accuracy; net and LBP."""
    return _sorted_means(result, reference)


@figure("fig11", of="attributes")
def figure_11(result, reference=None):
    """Fig. 11: the same for attributes, halves without a person in common."""
    return _sorted_means(result, reference)


def _sorted_means(result, reference):
    rows = [(r["scale"], name, curves) for r in present(result, reference) for name, curves in r["curves"].items()]
    systems = [name for name in ("net", "lbp") if name in rows[0][2]]
    fig, axes = plt.subplots(len(rows), 3 * len(systems), figsize=(7, 0.7 + 1.05 * len(rows)), squeeze=False,
                             sharex="col", layout="constrained")  # fmt: skip
    for line, (scale, name, curves) in zip(axes, rows, strict=True):
        for place, system in enumerate(systems):
            c, three = curves[system], line[3 * place : 3 * place + 3]
            for ax, mean, sd in ((three[0], "mean", "sd"), (three[1], "rest_mean", "rest_sd")):
                low, high = (np.array(c[mean]) + sign * np.array(c[sd]) for sign in (-1, 1))
                ax.vlines(c["rank"], low, high, color="0.75", linewidth=0.7)
                ax.plot(c["rank"], c[mean], color=EXCITED, linewidth=1.2)
                ax.set(ylim=(-0.35, 1.6), yticks=[0, 1])
            three[1].set_yticklabels([])
            if "untrained" in curves and system == "net":
                three[2].plot(c["rank"], _percent(curves["untrained"]["accuracy"]), ".", color="0.75", markersize=2)
            accuracy, sign = _percent(c["accuracy"]), np.array(c["sign"])
            for side, colour, marker in ((1, EXCITED, "^"), (-1, INHIBITED, "v"), (0, "0.3", ".")):
                these = np.array(c["rank"])[sign == side], accuracy[sign == side]
                three[2].plot(*these, marker, color=colour, markersize=2)
            three[2].set(ylim=(35, 101), yticks=[50, 100])
            three[2].axhline(50, color="0.7", linewidth=0.6, zorder=0)
        line[0].set_ylabel(f"{scale}\n{name.split('/')[-1].replace('_', ' ')}", fontsize=7)
    for place, system in enumerate(systems):
        titles = (f"{LOOK[system][0]}: on these", "on the rest", "accuracy (%)")
        for ax, title in zip(axes[0, 3 * place : 3 * place + 3], titles, strict=True):
            ax.set_title(title, fontsize=8)
    for ax in axes.flat:
        ax.tick_params(labelsize=6)
    fig.supxlabel("features in the order of their mean on these images", fontsize=8)
    _legend(fig, [_mark("excitatory", EXCITED, "^"), _mark("inhibitory", INHIBITED, "v"),
                  _mark("halves disagree", "0.3", "."), _mark("untrained net", "0.75", ".")])  # fmt: skip
    sns.despine(fig)
    return fig


def _histogram(ax, shares, top, colour, **style):
    ax.stairs(_percent(shares), np.linspace(0, top, len(shares) + 1), color=colour, **style)


def _bare(ax):
    ax.set(xticks=[0], yticks=[])
    ax.tick_params(labelsize=6, length=2)


@figure("fig12", of="identities")
def figure_12(result, reference=None):
    """Fig. 12: histograms of five random neurons over all images; of the five that two people excite and inhibit most.

    Filled: images of the person; line: everybody else. Bars are cut at a share of 50 %, for most are at zero.
    """
    shown = present(result, reference)
    rows = []  # (label, distributions, colour)
    for r in shown:
        rows.append((f"{r['scale']}\nrandom neurons", r["random_neurons"], NULL))
        for name, kinds in r["histograms"].items():
            short = name.split("/")[-1].replace("_", " ")
            rows += [(f"{short}\n{kind}", found, EXCITED if kind == "excitatory" else INHIBITED)
                     for kind, found in kinds.items()]  # fmt: skip
    fig, axes = plt.subplots(len(rows), 5, figsize=(7, 0.5 + 0.72 * len(rows)), squeeze=False, layout="constrained")
    for line, (label, found, colour) in zip(axes, rows, strict=True):
        main = found["shares"].get("positives") or found["shares"]["all"]
        for k, ax in enumerate(line):
            _bare(ax)
            if k >= len(main):
                ax.set_visible(False)
                continue
            _histogram(ax, main[k], found["top"][k], colour, fill=True, alpha=0.5)
            if "rest" in found["shares"]:
                _histogram(ax, found["shares"]["rest"][k], found["top"][k], "0.2", linewidth=1)
            ax.set_ylim(0, 50)
            ax.annotate(str(found["neurons"][k]), (0.97, 0.8), xycoords="axes fraction", ha="right", fontsize=6)
        line[0].set_ylabel(label, fontsize=7, rotation=0, ha="right", va="center")
    fig.supxlabel("activation of the numbered neuron", fontsize=8)
    _legend(fig, [_mark("all images", NULL, "s"), _mark("person, excitatory", EXCITED, "s"),
                  _mark("person, inhibitory", INHIBITED, "s"), _mark("everybody else", "0.2", "_")])  # fmt: skip
    sns.despine(fig, left=True)
    return fig


@figure("fig13", of="attributes")
def figure_13(result, reference=None):
    """Fig. 13: histograms of single neurons over the attributes of a group: sex, age, hair.

    A column is a neuron, chosen as the best excitatory (+) or inhibitory (-) one of the attribute above it; the row of
    that attribute is filled.
    """
    parts = [(r["scale"], group, found) for r in present(result, reference) for group, found in r["histograms"].items()]
    heights = [0.55 + 0.5 * len(found["shares"]) for _, _, found in parts]
    fig = plt.figure(figsize=(7, sum(heights) + 0.2), layout="constrained")
    below = fig.subfigures(len(parts), 1, height_ratios=heights, squeeze=False)[:, 0]
    for sub, (scale, group, found) in zip(below, parts, strict=True):
        names, columns = list(found["shares"]), len(found["neurons"])
        axes = sub.subplots(len(names), columns, squeeze=False)
        for j in range(columns):
            excited = found["kind"][j] == "excitatory"
            for i, name in enumerate(names):
                ax, own = axes[i, j], name == found["for"][j]
                _bare(ax)
                colour = (EXCITED if excited else INHIBITED) if own else "0.4"
                _histogram(ax, found["shares"][name][j], found["top"][j], colour, fill=own, alpha=0.6 if own else 1)
                ax.set_ylim(0, 60)
            title = f"{'+' if excited else '−'} {found['for'][j].replace('_', ' ')}\n{found['neurons'][j]}"
            axes[0, j].set_title(title, fontsize=6, color=EXCITED if excited else INHIBITED)
        for i, name in enumerate(names):
            axes[i, 0].set_ylabel(name.replace("_", " "), fontsize=7, rotation=0, ha="right", va="center")
        sub.suptitle(f"{scale}: {group}", fontsize=8, x=0.02, ha="left")
    sns.despine(fig, left=True)
    return fig


@figure("fig-lesions", of="identities")
def figure_lesions(result, reference=None):
    """Recognition of a person after their most selective neurons are silenced; random neurons and others as nulls.

    Thin lines: each of the five; thick: their mean; band: two standard deviations over the random draws.
    """
    shown = present(result, reference)
    fig, axes = plt.subplots(1, len(shown), figsize=(7, 2.9), squeeze=False, sharey=True, layout="constrained")
    for ax, r in zip(axes[0], shown, strict=True):
        found = {key: np.array(value) for key, value in r["lesions"].items()}
        share = 100 * found["silenced"] / r["neurons"]
        ax.plot(share, found["own"].T, color=EXCITED, linewidth=0.6, alpha=0.6)
        for key, label, colour, marker in (("own", "selective for the person", EXCITED, "o"),
                                           ("others", "selective for another of the five", COLOURS[2], "s"),
                                           ("random", "random neurons", "0.3", "x")):  # fmt: skip
            ax.plot(share, found[key].mean(0), color=colour, marker=marker, markersize=4, label=label)
        mean, spread = found["random"].mean(0), 2 * found["random_sd"].mean(0)
        ax.fill_between(share, mean - spread, np.minimum(mean + spread, 1), color="0.3", alpha=0.2)
        ax.set_xlabel(f"{r['scale']}: neurons silenced (%)", fontsize=9)
        ax.axhline(0.5, color="0.7", linewidth=0.8, zorder=0)
    axes[0, 0].set_ylabel("AUC of the person's images", fontsize=9)
    handles, _ = axes[0, 0].get_legend_handles_labels()
    _legend(fig, handles, 3)
    sns.despine(fig)
    return fig
