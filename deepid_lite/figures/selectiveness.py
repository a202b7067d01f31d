"""Drawings of the studies `identities` and `attributes`: the paper's Figs. 7 to 13, and lesions beyond it.

Each takes a study's dict, and `reference` beside it when there is one.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.lines import Line2D

from deepid_lite.figures.style import COLOURS, present, side_by_side
from deepid_lite.neurons.tuning import FACTORS
from deepid_lite.registry import figure

NET, LBP, NULL, EXCITED, INHIBITED = COLOURS[0], COLOURS[1], "0.45", COLOURS[3], COLOURS[0]
# system or null -> (label, colour, marker)
LOOK = {
    "net": ("net", NET, "o"),
    "lbp": ("LBP", LBP, "s"),
    "untrained": ("untrained net", NULL, "D"),
    "permuted": ("net, shuffled labels", NULL, "x"),
}
PAPER_ONE = 97  # percent, of the best neuron for a person and for an attribute [section 6, about]


def _percent(values):
    return 100 * np.asarray(values, float)


def _legend(fig, handles, columns=4):
    fig.legend(handles=handles, loc="outside upper center", ncols=columns, frameon=False, fontsize=8)


@figure("fig7", of="attributes")
def figure_7(result, reference=None):
    """Fig. 7: attribute accuracy of all features together, against LBP over its dimensions and the nulls.

    Means over the attributes; filled where no person is in both halves, open for random halves as in the paper.
    """
    fig, panels = side_by_side(reference, result, 3.2, sharey=True)
    for ax, r in panels:
        for kind, fill in (("people", "full"), ("random", "none")):
            half = r["halves"][kind]
            look = {"markersize": 6, "fillstyle": fill, "linewidth": 1}
            swept = sorted((int(d), 100 * np.mean(values)) for d, values in half["all_lbp"].items())
            if swept:
                ax.semilogx(*zip(*swept, strict=True), "s" + ("-" if fill == "full" else "--"), color=LBP, **look)
            nulls = {"coin for each person": (half["nulls"]["coin_all"], COLOURS[4], "^")}
            points = {LOOK[name][0]: (half["all"][name], *LOOK[name][1:]) for name in ("net", "untrained")} | nulls
            for label, (values, colour, marker) in points.items():
                ax.semilogx(r["neurons"], 100 * np.mean(values), color=colour, marker=marker, **look)
                if fill == "full":
                    ax.annotate(label, (r["neurons"], 100 * np.mean(values)), (-8, 0), ha="right", va="center",
                                textcoords="offset points", color=colour, fontsize=8)  # fmt: skip
            if swept and fill == "full":
                ax.annotate("LBP", swept[-1], (0, -14), textcoords="offset points", color=LBP, fontsize=9, ha="center")
        ax.axhline(50, color="0.7", linewidth=0.8, zorder=0)
        ax.set_xlim(left=20)
        ax.set_xlabel("dimensions")
    panels[0][0].set_ylabel("balanced accuracy (%)")
    _legend(fig, [_mark("filled: no person in both halves", "0.2", "o"),
                  _mark("open: random halves, as in the paper", "0.2", "o", fillstyle="none")], 2)  # fmt: skip
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
    ax.set_yticks(range(len(order)), [names[k].replace("_", " ") for k in order], fontsize=8)
    ax.grid(axis="y", color="0.92", linewidth=0.6)
    ax.set_axisbelow(True)


def _paper(ax, result):
    """The paper's accuracy of its best neuron, drawn beside real faces."""
    if result["scale"] == "reference":
        ax.axvline(PAPER_ONE, color="0.1", linestyle=":", linewidth=1.2)
        ax.annotate("paper", (PAPER_ONE, 0), (-2, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
                    fontsize=8, rotation=90, ha="right")  # fmt: skip


@figure("fig8", of="identities")
def figure_8(result, reference=None):
    """Fig. 8: one neuron against one LBP feature, for five people; the nulls beside them."""
    shown = present(reference, result)
    fig, axes = plt.subplots(1, len(shown), figsize=(7, 2.5), squeeze=False, layout="constrained", sharex=True)
    for ax, r in zip(axes[0], shown, strict=True):
        values = {name: found["one"] for name, found in r["systems"].items()}
        values["permuted"] = r["nulls"]["permuted"]
        _dots(ax, [name.split("/")[-1] for name in r["names"]], values)
        _paper(ax, r)
        ax.set_xlabel(f"{r['scale']}: accuracy of one feature (%)", fontsize=9)
    _legend(fig, [_mark(*LOOK[name]) for name in LOOK if name in values])
    sns.despine(fig)
    return fig


@figure("fig9", of="attributes")
def figure_9(result, reference=None):
    """Fig. 9: one neuron against one LBP feature, for the attributes; filled where no person is in both halves."""
    shown = present(reference, result)
    high = max(len(r["names"]) for r in shown)
    fig, axes = plt.subplots(1, len(shown), figsize=(7, 1.1 + 0.2 * high), squeeze=False, layout="constrained",
                             sharex=True)  # fmt: skip
    for ax, r in zip(axes[0], shown, strict=True):
        half, random = r["halves"]["people"], r["halves"]["random"]
        values = {name: found["one"] for name, found in half["systems"].items()}
        values["permuted"] = half["nulls"]["permuted"]
        _dots(ax, r["names"], values)
        order = np.argsort(values["net"], kind="stable")
        ax.plot(_percent(random["systems"]["net"]["one"])[order], np.arange(len(order)), "o", color=NET, markersize=5.5,
                fillstyle="none")  # fmt: skip
        _paper(ax, r)
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
    shown = [(r["scale"], *next(iter(r["curves"].items()))) for r in present(reference, result)]
    systems = [name for name in ("net", "lbp") if name in shown[0][2]]
    grid = {"sharex": True, "sharey": "row", "height_ratios": [1.2, 1] * len(shown)}
    fig, axes = plt.subplots(2 * len(shown), len(systems), figsize=(7, 0.5 + 3.2 * len(shown)), squeeze=False,
                             layout="constrained", **grid)  # fmt: skip
    for (scale, name, curves), two in zip(shown, np.split(axes, len(shown)), strict=True):
        for (means, right), system in zip(two.T, systems, strict=True):
            c = curves[system]
            place = 100 * np.array(c["rank"]) / max(c["rank"])
            means.plot(place, c["rest_mean"], ".", color="0.55", markersize=3)
            means.plot(place, c["mean"], color=EXCITED, linewidth=1.8)
            means.set(ylim=(-0.05, 1.1), yticks=[0, 1])
            means.set_title(f"{LOOK[system][0]}, {scale}: correlation {c['correlation']:.2f}", fontsize=9)
            if "untrained" in curves and system == "net":
                right.plot(place, _percent(curves["untrained"]["accuracy"]), ".", color="0.8", markersize=3)
            accuracy, sign = _percent(c["accuracy"]), np.array(c["sign"])
            for side, colour, marker in ((1, EXCITED, "^"), (-1, INHIBITED, "v"), (0, "0.3", ".")):
                right.plot(place[sign == side], accuracy[sign == side], marker, color=colour, markersize=3)
            right.set(ylim=(35, 101), yticks=[50, 75, 100])
            right.axhline(50, color="0.7", linewidth=0.6, zorder=0)
        two[0, 0].set_ylabel("mean activation", fontsize=9)
        two[1, 0].set_ylabel("accuracy (%)", fontsize=9)
        short = name.split("/")[-1].replace("_", " ")
        for high, text, colour in ((0.85, f"line: {short}", EXCITED), (0.69, "dots: all others", "0.35")):
            two[0, 0].annotate(text, (0.98, high), xycoords="axes fraction", color=colour, fontsize=9, ha="right")
    fig.supxlabel("features in the order of their mean on these images (%)", fontsize=9)
    _legend(fig, [_mark("excitatory", EXCITED, "^"), _mark("inhibitory", INHIBITED, "v"),
                  _mark("halves disagree", "0.3", "."), _mark("untrained net", "0.8", ".")])  # fmt: skip
    sns.despine(fig)
    return fig


def _histogram(ax, shares, top, colour, **style):
    ax.stairs(_percent(shares), np.linspace(0, top, len(shares) + 1), color=colour, **style)


def _bare(ax):
    ax.set(xticks=[0], yticks=[])
    ax.tick_params(labelsize=6, length=2)


@figure("fig12", of="identities")
def figure_12(result, reference=None):
    """Fig. 12: histograms of a random neuron over all images, and of two that excite and two that inhibit one person.

    Filled: images of the person; line: everybody else. Bars are cut at a share of 50 %, for most are at zero.
    """
    shown = present(reference, result)
    fig, axes = plt.subplots(len(shown), 5, figsize=(7, 0.6 + 1.5 * len(shown)), squeeze=False, layout="constrained")
    for line, r in zip(axes, shown, strict=True):
        name, kinds = next(iter(r["histograms"].items()))
        drawn = [("random neuron", r["random_neurons"], 0, NULL)]
        drawn += [(f"{sign} {kind}", kinds[kind], k, colour)
                  for kind, sign, colour in (("excitatory", "+", EXCITED), ("inhibitory", "−", INHIBITED))
                  for k in range(min(2, len(kinds[kind]["neurons"]) if kind in kinds else 0))]  # fmt: skip
        for ax, (kind, found, k, colour) in zip(line, drawn, strict=False):
            main = found["shares"].get("positives") or found["shares"]["all"]
            _histogram(ax, main[k], found["top"][k], colour, fill=True, alpha=0.5)
            if "rest" in found["shares"]:
                _histogram(ax, found["shares"]["rest"][k], found["top"][k], "0.2", linewidth=1.2)
            ax.set_title(f"{kind}\nno. {found['neurons'][k]}", fontsize=8, color=colour)
        for place, ax in enumerate(line):
            _bare(ax)
            ax.set_ylim(0, 50)
            ax.set_visible(place < len(drawn))
        line[0].set_ylabel(f"{r['scale']}\n{name.split('/')[-1].replace('_', ' ')}", fontsize=9)
    fig.supxlabel("activation", fontsize=9)
    _legend(fig, [_mark("all images", NULL, "s"), _mark("person, excitatory", EXCITED, "s"),
                  _mark("person, inhibitory", INHIBITED, "s"), _mark("everybody else", "0.2", "_")])  # fmt: skip
    sns.despine(fig, left=True)
    return fig


@figure("fig13", of="attributes")
def figure_13(result, reference=None, columns=4):
    """Fig. 13: histograms of single neurons over the attributes of a group: sex, age, hair.

    A panel is the best excitatory neuron of the attribute above it (filled); line: the mean of the rest of its group.
    """
    shown = present(reference, result)
    fig, axes = plt.subplots(len(shown), columns, figsize=(7, 0.4 + 1.75 * len(shown)), squeeze=False,
                             layout="constrained")  # fmt: skip
    for line, r in zip(axes, shown, strict=True):
        drawn = [(group, found, j) for group, found in r["histograms"].items() for j in range(len(found["neurons"]))
                 if found["kind"][j] == "excitatory"]  # fmt: skip
        for place, ax in enumerate(line):
            _bare(ax)
            ax.set_visible(place < len(drawn))
        for ax, (group, found, j) in zip(line, drawn, strict=False):
            own = found["for"][j]
            others = {name: shares[j] for name, shares in found["shares"].items() if name != own}
            _histogram(ax, found["shares"][own][j], found["top"][j], EXCITED, fill=True, alpha=0.5)
            _histogram(ax, np.mean(list(others.values()), axis=0), found["top"][j], "0.2", linewidth=1.2)
            label = next(iter(others)).replace("_", " ").lower() if len(others) == 1 else f"other {group}"
            ax.annotate(label, (0.98, 0.92), xycoords="axes fraction", fontsize=8, ha="right", va="top", color="0.2")
            ax.set_ylim(0, 60)
            ax.set_title(f"{own.replace('_', ' ').lower()}\nneuron {found['neurons'][j]}", fontsize=8, color=EXCITED)
        line[0].set_ylabel(r["scale"], fontsize=9)
    fig.supxlabel("activation", fontsize=9)
    sns.despine(fig, left=True)
    return fig


@figure("fig-lesions", of="identities")
def figure_lesions(result, reference=None):
    """Recognition of a person after their most selective neurons are silenced; random neurons and others as nulls.

    Thin lines: each of the five; thick: their mean; band: two standard deviations over the random draws.
    """
    shown = present(reference, result)
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


def figure_tuning(curves, neurons):
    """Answers before the ReLU over the steps of each factor: a thin line a person, and their mean.

    curves: {factor: (P, S, K)} of `neurons.tuning`; neurons: {factor: K numbers}. Below zero the neuron is silent.
    """
    rows = -(-len(curves) // 3)
    fig, axes = plt.subplots(rows, min(3, len(curves)), figsize=(7, 2.3 * rows), squeeze=False, layout="constrained")
    for ax, (factor, answers) in zip(axes.flat, curves.items(), strict=False):
        label, steps = FACTORS[factor]
        for k, neuron in enumerate(neurons[factor]):
            look = {"color": COLOURS[(3, 0)[k % 2]], "linestyle": ("-", "--")[k % 2]}
            ax.plot(steps, answers[:, :, k].mean(0), "os"[k % 2], **look, markersize=4, label=f"neuron {neuron}")
            ax.plot(steps, answers[:, :, k].T, **look, linewidth=0.7, alpha=0.45)
        ax.axhspan(ax.get_ylim()[0], 0, color="0.93", zorder=0)
        ax.axhline(0, color="0.5", linewidth=0.8)
        ax.set_ylim(top=ax.get_ylim()[1] + 0.25 * np.ptp(ax.get_ylim()))
        ax.set_xlabel(label, fontsize=9)
        ax.legend(
            frameon=False,
            fontsize=8,
            loc="upper center",
            ncols=2,
            handlelength=1,
            columnspacing=0.6,
            handletextpad=0.4,
            borderaxespad=0,
        )
    for ax in axes.flat[len(curves) :]:
        ax.remove()
    for ax in axes[:, 0]:
        ax.set_ylabel("before the ReLU", fontsize=9)
    sns.despine(fig)
    return fig
