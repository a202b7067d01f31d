"""Drawings of the occlusion studies: the paper's Figs. 1 and 14 to 17, and maps and fills beyond it.

Each takes a study's dict, and `reference` beside it when there is one. The faces in them are synthetic at both scales.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from scipy.special import logit

from deepid_lite.faces.alignment import align
from deepid_lite.faces.synthetic import people as synthetic
from deepid_lite.figures.style import COLOURS, label_lines, legend_above, present, side_by_side
from deepid_lite.neurons.occlusion import FRACTIONS, LEFT, SIZES, TOP, occlude_block, occlude_from_below, spread
from deepid_lite.registry import figure

# curve -> (colour, marker, line); nulls are grey and dotted
STYLE = {
    "ensemble": (COLOURS[5], "h", "-"),
    "FC-4": (COLOURS[3], "o", "-"), "FC-3": (COLOURS[2], "s", "-"), "FC-2": (COLOURS[0], "^", "-"),
    "FC-1": (COLOURS[4], "v", "-"), "code, Hamming": (COLOURS[1], "D", "-."), "LBP": ("0.1", "X", "--"),
    "untrained net": ("0.45", "P", ":"), "pixels": ("0.6", "*", ":"),
}  # fmt: skip
# what the paper's text quotes: (curve, level, accuracy, 1 above it or -1 below) [section 7, Figs. 15 and 16]
PAPER = {
    "from_below": [("ensemble", 40, 93.9, 0), ("ensemble", 70, 88.2, 0), ("FC-4", 40, 90, 1), ("LBP", 40, 70, -1)],
    "block": [("ensemble", 50, 92.4, 0), ("FC-4", 50, 89.2, 0), ("LBP", 50, 70, 0)],
}  # fmt: skip
PAPER_BOTH = [(95.17, 98.70, "clean"), (70, 89.2, "blocks of 50")]  # (LBP, FC-4)
KINDS = {"from_below": "hidden from below (% of the face)", "block": "block (pixels on the paper's scale)"}


@figure("fig14")
def figure_14(person=7):
    """The covers, on a synthetic face: 10 to 70 % from below, blocks of 10 to 70 [Fig. 14]."""
    face = synthetic_face(person)
    fig, axes = plt.subplots(2, 8, figsize=(7, 2.15), layout="compressed")
    for column, (fraction, size) in enumerate(zip((0, *FRACTIONS), (0, *SIZES), strict=True)):
        shown = occlude_from_below(face, fraction), occlude_block(face, size, index=[column])
        titles = ("original", "original") if column == 0 else (f"{100 * fraction:.0f} %", f"{size} × {size}")
        for ax, image, title in zip(axes[:, column], shown, titles, strict=True):
            ax.imshow(image[0], interpolation="nearest")
            ax.set_title(title, fontsize=8, pad=2)
            ax.set(xticks=[], yticks=[])
    fig.get_layout_engine().set(w_pad=0.01, h_pad=0.02, wspace=0.02, hspace=0.02)
    return fig


@figure("fig15", of="occlusion")
def figure_15(result, reference=None):
    """Verification with faces hidden from below, threshold of each level: layers, code, LBP and the nulls [Fig. 15]."""
    return _accuracies("from_below", result, reference)


@figure("fig16", of="occlusion")
def figure_16(result, reference=None):
    """Verification under random blocks; otherwise as `figure_15` [Fig. 16]."""
    return _accuracies("block", result, reference)


def _accuracies(kind, result, reference):
    shown = present(reference, result)
    fig, axes = plt.subplots(len(shown), 1, figsize=(7, 3.2 * len(shown) + 0.3), squeeze=False, sharex=True,
                             layout="constrained")  # fmt: skip
    for ax, r in zip(axes[:, 0], shown, strict=True):
        curves = r[kind]["curves"] | r["null"][kind]
        for name in sorted(curves, key=list(STYLE).index):
            colour, marker, line = STYLE[name]
            ax.errorbar(r[kind]["levels"], curves[name]["accuracy"], curves[name]["standard_error"], color=colour,
                        marker=marker, linestyle=line, markersize=5, linewidth=1.4, capsize=2, label=name)  # fmt: skip
        ax.axhline(50, color="0.8", linewidth=0.8, zorder=0)
        ax.set(ylim=(45, 101), ylabel="accuracy (%)")
        ax.set_title(r["scale"], fontsize=10, loc="left", weight="bold")
        label_lines(ax, [(curves[name]["accuracy"][-1], name, STYLE[name][0]) for name in curves])
        if r["scale"] == "reference":
            _quoted(ax, kind)
    axes[-1, 0].set_xlabel(KINDS[kind])
    sns.despine(fig)
    return fig


def _quoted(ax, kind):
    """The points that the paper's text quotes, as stars; an arrow says on which side of one its curve lies."""
    for name, level, value, side in PAPER[kind]:
        colour = STYLE[name][0]
        ax.plot(level, value, "*", color=colour, markersize=11, markeredgecolor="white", zorder=5)
        if side:
            ax.annotate("", (level, value + 6 * side), (level, value), arrowprops={"arrowstyle": "->", "color": colour})
        who = "25 nets" if name == "ensemble" else name
        ax.annotate(f"paper: {who}", (level, value), (6, 4), textcoords="offset points", color=colour, fontsize=8)


@figure("fig-losses", of="occlusion")
def losses(result, reference=None, kind="from_below", names=("ensemble", "FC-4", "FC-1", "LBP")):
    """What a cover costs: accuracy on clean faces less that on covered ones, in points and on the scale of log-odds."""
    shown = present(reference, result)
    fig, axes = plt.subplots(len(shown), 2, figsize=(7, 2.6 * len(shown) + 0.2), squeeze=False, sharex=True,
                             layout="constrained")  # fmt: skip
    for row, r in zip(axes, shown, strict=True):
        labels = [[], []]
        for name in (n for n in names if n in r[kind]["curves"]):
            colour, marker, line = STYLE[name]
            share = np.array(r[kind]["curves"][name]["accuracy"]) / 100
            scales = 100 * (share[0] - share), logit(share[0]) - logit(share)
            for ax, ends, lost in zip(row, labels, scales, strict=True):
                ax.plot(r[kind]["levels"], lost, color=colour, marker=marker, linestyle=line, markersize=5)
                ends.append((lost[-1], name, colour))
        for ax, ends, unit in zip(row, labels, ("points", "log-odds"), strict=True):
            ax.axhline(0, color="0.8", linewidth=0.8, zorder=0)
            ax.set_title(f"lost, {unit} ({r['scale']})", fontsize=9)
            label_lines(ax, ends, 0.09)
    for ax in axes[-1]:
        ax.set_xlabel(KINDS[kind], fontsize=9)
    sns.despine(fig)
    return fig


@figure("fig-calibrated", of="occlusion")
def calibrated(result, reference=None):
    """FC-4 over LBP under the same cover: a scale on which the sizes of pictures and blocks do not matter."""
    fig, panels = side_by_side(reference, result, 3.4, sharex=True, sharey=True)
    for ax, r in panels:
        for kind, look, label in (("from_below", "o-", "hidden from below"), ("block", "s--", "random block")):
            curves = r[kind]["curves"]
            if "LBP" not in curves:
                continue
            x, y = (curves[name]["accuracy"] for name in ("LBP", "FC-4"))
            ax.plot(x, y, look, color=COLOURS[0 if kind == "block" else 3], markersize=5, label=label)
        ax.axline((75, 75), slope=1, color="0.7", linewidth=0.8, zorder=0)
        ax.set(xlim=(48, 100), ylim=(48, 100), xlabel="LBP (%)")
    panels[0][0].set_ylabel("FC-4 (%)")
    panels[0][0].annotate("no better than LBP", (52, 52), (4, -3), textcoords="offset points", color="0.45", fontsize=8,
                          rotation=45, rotation_mode="anchor", va="top")  # fmt: skip
    for x, y, label in PAPER_BOTH:
        panels[0][0].plot(x, y, "*", color="0.1", markersize=11)
        panels[0][0].annotate(f"paper, {label}", (x, y), (-8, 4), textcoords="offset points", fontsize=8, ha="right")
    legend_above(fig, panels[0][0], 2, 9)
    sns.despine(fig)
    return fig


@figure("fig-thresholds", of="occlusion")
def thresholds(result, reference=None, kind="from_below", level=40):
    """One cover, two thresholds: chosen under the cover (filled), or kept from clean faces (open)."""
    fig, panels = side_by_side(reference, result, 2.9, sharex=True)
    for ax, r in panels:
        curves, at = r[kind]["curves"] | r["null"][kind], r[kind]["levels"].index(level)
        names = [name for name in STYLE if name in curves]
        own, fixed = ([curves[name][key][at] for name in names] for key in ("accuracy", "fixed"))
        y = np.arange(len(names))
        ax.hlines(y, fixed, own, color="0.75", linewidth=2, zorder=0)
        for place, name in enumerate(names):
            ax.plot(own[place], place, "o", color=STYLE[name][0], markersize=7)
            ax.plot(fixed[place], place, "o", color=STYLE[name][0], markersize=7, markerfacecolor="white")
        ax.set(yticks=y, yticklabels=names, ylim=(len(y) - 0.5, -0.5), xlabel="accuracy (%)")
        ax.axvline(50, color="0.8", linewidth=0.8, zorder=0)
    sns.despine(fig)
    return fig


@figure("fig17", of="strips")
def figure_17(result, reference=None, people=3):
    """Mean activations of FC-4 neurons of single people under covers, in the order of the clean means [Fig. 17].

    At the right of each strip: Spearman's rank correlation with the clean one.
    """
    shown = [(r, k) for r in present(reference, result) for k in range(min(people, len(r["people"])))]
    fig, axes = plt.subplots(len(shown), 2, figsize=(7, 1.9 * len(shown) + 0.6), squeeze=False, layout="constrained")
    for row, (r, k) in enumerate(shown):
        top = np.quantile(r["strips"]["from_below"][k][0], 0.99)  # one scale for a person: the clean strip's
        for ax, kind in zip(axes[row], KINDS, strict=True):
            strips, levels = np.array(r["strips"][kind][k]), r["levels"][kind]
            picture = ax.imshow(strips, aspect="auto", cmap="mako", vmin=0, vmax=top, interpolation="nearest")
            for y in range(1, len(strips)):
                ax.axhline(y - 0.5, color="white", linewidth=1)
            unit = " %" if kind == "from_below" else ""
            names = ["original", *(f"{level:g}{unit}" for level in levels[1:])]
            ax.set_yticks(range(len(levels)), names, fontsize=8)
            right = ax.secondary_yaxis("right")
            right.set_yticks(range(len(levels)), [f"{v:.2f}" for v in r["rank_correlation"][kind][k]], fontsize=8)
            right.tick_params(length=0)
            ax.set_xticks([])
            if kind == "from_below":
                ax.set_ylabel(f"{_short(r['people'][k])}\n({r['scale']})", fontsize=8)
            if row == 0:
                ax.set_title({"from_below": "hidden from below", "block": "random block"}[kind], fontsize=9)
        bar = fig.colorbar(picture, ax=axes[row], shrink=0.8, pad=0.01)
        bar.set_label("activation", fontsize=7)
        bar.ax.tick_params(labelsize=6)
    for ax in axes[-1]:
        ax.set_xlabel("neurons, by their clean mean", fontsize=8)
    return fig


@figure("fig-stability", of="strips")
def pattern_stability(result, reference=None, kind="from_below"):
    """How far patterns keep under covers, in numbers: rank correlation, and bits as a share of those between people.

    Means over the people. Horizontal lines: the same numbers for clean pictures of one person, or of two.
    """
    shown = present(reference, result)
    fig, axes = plt.subplots(2, len(shown), figsize=(7, 5), squeeze=False, sharex=True, sharey="row",
                             layout="constrained")  # fmt: skip
    for (top, bottom), r in zip(axes.T, shown, strict=True):
        for name, part in (("FC-4", r), ("untrained net", r["null"])):
            colour, marker, line = STYLE[name]
            style = {"color": colour, "marker": marker, "linestyle": line, "markersize": 5, "label": name}
            people = np.mean(part["other_person_distance"])
            top.plot(r["levels"][kind], np.mean(part["rank_correlation"][kind], axis=0), **style)
            bottom.plot(r["levels"][kind], np.mean(part["code_distance"][kind], axis=0) / people, **style)
            top.axhline(np.mean(part["other_person_rank_correlation"]), color=colour, linewidth=1, linestyle="--",
                        label=f"{name}, another person")  # fmt: skip
            bottom.axhline(np.mean(part["same_person_distance"]) / people, color=colour, linewidth=1, linestyle="-.",
                           label=f"{name}, another clean picture")  # fmt: skip
        bottom.axhline(1, color="0.8", linewidth=1, zorder=0)
        bottom.set_xlabel(KINDS[kind], fontsize=9)
        top.set_title(r["scale"], fontsize=10, weight="bold")
    axes[0, 0].set_ylabel("rank correlation", fontsize=9)
    axes[1, 0].set_ylabel("bits that changed,\nof those between people", fontsize=9)
    handles = {}
    for ax in axes[:, 0]:
        handles |= dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    fig.legend(handles.values(), handles, loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    sns.despine(fig)
    return fig


@figure("fig1", of="strips")
def figure_1(result, reference=None):
    """Neurons of FC-4 on two people, one of them covered as well, and what three neurons do in general [Fig. 1]."""
    shown = present(reference, result)
    fig = plt.figure(figsize=(7, 2.6 * len(shown)), layout="constrained")
    for part, r in zip(np.atleast_1d(fig.subfigures(len(shown), 1)), shown, strict=True):
        left, right = part.subfigures(1, 2, width_ratios=(1.15, 1))
        _responses(left, r)
        _histograms(right, r)
    return fig


def _responses(fig, r):
    example, names = r["example"], [_short(name) for name in r["people"][:2]]
    titles = {"first": names[0], "first, covered": f"{names[0]}, {example['covered_percent']:g} % hidden",
              "second": names[1]}  # fmt: skip
    for ax, (key, values) in zip(fig.subplots(3, 1, sharex=True, sharey=True), example["responses"].items(),
                                 strict=True):  # fmt: skip
        on = np.array(values) > 0
        ax.bar(np.arange(len(values)), values, color=[COLOURS[3] if v else "0.7" for v in on])
        ax.plot(np.flatnonzero(~on), np.zeros((~on).sum()), "x", color="0.45", markersize=3, clip_on=False)
        bits = f": {example['code_distance'][key]} of {r['neurons']} bits differ" if key != "first" else ""
        ax.set_title(f"{titles[key]}{bits} ({r['scale']})", fontsize=7, loc="left", pad=2)
        ax.set(xticks=[], yticks=[])
        sns.despine(ax=ax)
    ax.set_xlabel(f"{len(values)} of {r['neurons']} neurons; × is inactive", fontsize=7)


def _histograms(fig, r):
    example = r["example"]
    groups = list(example["share"])
    axes = fig.subplots(len(groups), len(example["picked"]), sharex=True, sharey=True, squeeze=False)
    width = example["edges"][1] - example["edges"][0]
    for row, group in enumerate(groups):
        for column, neuron in enumerate(example["picked"]):
            ax = axes[row, column]
            ax.bar(example["edges"][:-1], example["share"][group][column], width=width, align="edge",
                   color=COLOURS[0] if row else "0.5")  # fmt: skip
            ax.set(xticks=[], yticks=[])
            if row == 0:
                ax.set_title(f"neuron {neuron}", fontsize=7, pad=2)
        axes[row, 0].set_ylabel("all faces" if group == "all" else _short(group), fontsize=7)
    sns.despine(fig)


@figure("fig-sensitivity", of="sensitivity")
def sensitivity_maps(result, reference=None):
    """What hiding a place costs, over a synthetic face: the score's fall and the bits that change; net and null."""
    shown = present(reference, result)
    face = synthetic_face()[0].mean(2)
    fig, axes = plt.subplots(len(shown), 4, figsize=(7, 2.25 * len(shown)), squeeze=False, layout="constrained")
    for row, r in enumerate(shown):
        for half, (key, label) in enumerate((("score", "share of the gap"), ("code", "share of the bits"))):
            maps = [spread(r[part][key], r[part]["tops"], r[part]["lefts"], r["side"]) for part in ("net", "null")]
            low, high = min(0, *(np.nanmin(m) for m in maps)), max(np.nanmax(m) for m in maps)
            for ax, heat, name in zip(axes[row, 2 * half :], maps, ("net", "untrained"), strict=False):
                ax.imshow(face, cmap="gray")
                picture = ax.imshow(heat, cmap="mako", vmin=low, vmax=high, alpha=0.75)
                ax.set(xticks=[], yticks=[], xlim=(LEFT, 119), ylim=(140, TOP))
                ax.set_title(f"{key}: {name}\n({r['scale']})", fontsize=8)
            bar = fig.colorbar(picture, ax=axes[row, 2 * half : 2 * half + 2], shrink=0.7, pad=0.02)
            bar.set_label(label, fontsize=7)
            bar.ax.tick_params(labelsize=6)
    return fig


@figure("fig-fills", of="fills")
def fills_dots(result, reference=None):
    """Accuracy by what the cover is made of, thresholds from clean pictures; a dot a system, with standard errors."""
    shown = present(reference, result)
    fig, axes = plt.subplots(1, len(shown), figsize=(7, 4.2), squeeze=False, sharey=True, layout="constrained")
    for ax, r in zip(axes[0], shown, strict=True):
        curves = r["curves"] | r["null"]
        y = np.arange(len(r["conditions"]))
        for place, name in enumerate(n for n in STYLE if n in curves):
            colour, marker, _ = STYLE[name]
            ax.errorbar(curves[name]["fixed"], y + 0.09 * (place - len(curves) / 2), fmt=marker, color=colour,
                        xerr=curves[name]["fixed_standard_error"], markersize=4, label=name)  # fmt: skip
        ax.set(yticks=y, yticklabels=r["conditions"], xlabel=f"accuracy (%), {r['scale']}")
        for edge in y[:-1] + 0.5:
            ax.axhline(edge, color="0.9", linewidth=0.8, zorder=0)
    axes[0, 0].invert_yaxis()
    legend_above(fig, axes[0, 0], 4, 9)
    sns.despine(fig)
    return fig


def synthetic_face(person=7):
    """One neutral synthetic face, aligned, uint8 (1, 144, 128, 3)."""
    images, landmarks = synthetic.draw(synthetic.sample_identity(person))
    return align(images[0], landmarks[0])[None]


def _short(name):
    """A person's name without the part that it comes from, as a label."""
    return name.rsplit("/", 1)[-1].replace("_", " ")
