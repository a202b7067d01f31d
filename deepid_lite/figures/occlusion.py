"""Drawings of the occlusion studies: the paper's Figs. 1 and 14 to 17, and maps and fills beyond it.

Each takes a study's dict, and `reference` beside it when there is one. The faces in them are synthetic at both scales.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from deepid_lite.faces.alignment import align
from deepid_lite.faces.synthetic import people as synthetic
from deepid_lite.figures.style import COLOURS, legend_above, present
from deepid_lite.neurons.occlusion import FRACTIONS, LEFT, SIZES, TOP, occlude_block, occlude_from_below, spread
from deepid_lite.registry import figure

# curve -> (colour, marker, line); nulls are grey and dotted
STYLE = {
    "ensemble": (COLOURS[5], "h", "-"),
    "FC-4": (COLOURS[3], "o", "-"), "FC-3": (COLOURS[2], "s", "-"), "FC-2": (COLOURS[0], "^", "-"),
    "FC-1": (COLOURS[4], "v", "-"), "code, Hamming": (COLOURS[1], "D", "-."), "LBP": ("0.1", "X", "--"),
    "untrained net": ("0.45", "P", ":"), "pixels": ("0.6", "*", ":"),
}  # fmt: skip
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
    """Verification with faces hidden from below: layers, code, LBP and the nulls in one picture [Fig. 15]."""
    return _accuracies("from_below", result, reference)


@figure("fig16", of="occlusion")
def figure_16(result, reference=None):
    """Verification under random blocks; otherwise as `figure_15` [Fig. 16]."""
    return _accuracies("block", result, reference)


def _accuracies(kind, result, reference):
    shown = present(result, reference)
    fig, axes = plt.subplots(2, len(shown), figsize=(7, 5.4), squeeze=False, sharex="col", sharey=True,
                             layout="constrained")  # fmt: skip
    for column, r in enumerate(shown):
        curves = r[kind]["curves"] | r["null"][kind]
        for ax, key, error in zip(axes[:, column], ("accuracy", "fixed"),
                                  ("standard_error", "fixed_standard_error"), strict=True):  # fmt: skip
            for name, curve in sorted(curves.items(), key=lambda item: list(STYLE).index(item[0])):
                colour, marker, line = STYLE[name]
                ax.errorbar(r[kind]["levels"], curve[key], curve[error], color=colour, marker=marker, linestyle=line,
                            markersize=5, linewidth=1.3, capsize=2, label=name)  # fmt: skip
            ax.axhline(50, color="0.8", linewidth=0.8, zorder=0)
            ax.set_title({"accuracy": "threshold of the level", "fixed": "threshold of clean pictures"}[key]
                         + f" ({r['scale']})", fontsize=9)  # fmt: skip
        axes[1, column].set_xlabel(KINDS[kind])
    for ax in axes[:, 0]:
        ax.set_ylabel("accuracy (%)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    if len(shown) > 1:  # the other scale may have a layer more
        more = dict(zip(*axes[0, 1].get_legend_handles_labels()[::-1], strict=True))
        handles += [h for name, h in more.items() if name not in labels]
        labels += [name for name in more if name not in labels]
    fig.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    sns.despine(fig)
    return fig


@figure("fig17", of="strips")
def figure_17(result, reference=None, people=3):
    """Mean activations of FC-4 neurons of single people under covers, in the order of the clean means [Fig. 17].

    At the right of each strip: Spearman's rank correlation with the clean one.
    """
    shown = [(r, k) for r in present(result, reference) for k in range(min(people, len(r["people"])))]
    fig, axes = plt.subplots(len(shown), 2, figsize=(7, 1.5 * len(shown) + 0.6), squeeze=False, layout="constrained")
    for row, (r, k) in enumerate(shown):
        top = np.quantile(r["strips"]["from_below"][k][0], 0.99)  # one scale for a person: the clean strip's
        for ax, kind in zip(axes[row], KINDS, strict=True):
            strips, levels = np.array(r["strips"][kind][k]), r["levels"][kind]
            picture = ax.imshow(strips, aspect="auto", cmap="mako", vmin=0, vmax=top, interpolation="nearest")
            for y in range(1, len(strips)):
                ax.axhline(y - 0.5, color="white", linewidth=1)
            unit = " %" if kind == "from_below" else ""
            names = ["original", *(f"{level:g}{unit}" for level in levels[1:])]
            ax.set_yticks(range(len(levels)), names, fontsize=6)
            right = ax.secondary_yaxis("right")
            right.set_yticks(range(len(levels)), [f"{v:.2f}" for v in r["rank_correlation"][kind][k]], fontsize=6)
            right.tick_params(length=0)
            ax.set_xticks([])
            if kind == "from_below":
                ax.set_ylabel(f"{_short(r['people'][k])}\n({r['scale']})", fontsize=7)
            if row == 0:
                ax.set_title({"from_below": "hidden from below", "block": "random block"}[kind], fontsize=9)
        bar = fig.colorbar(picture, ax=axes[row], shrink=0.8, pad=0.01)
        bar.set_label("activation", fontsize=7)
        bar.ax.tick_params(labelsize=6)
    for ax in axes[-1]:
        ax.set_xlabel("neurons, by their clean mean", fontsize=8)
    return fig


@figure("fig-stability", of="strips")
def pattern_stability(result, reference=None):
    """How far patterns keep under covers, in numbers: rank correlation, and bits as a share of those between people.

    Means over the people. Horizontal lines: the same numbers for clean pictures of one person, or of two.
    """
    shown = present(result, reference)
    fig, axes = plt.subplots(2, 2 * len(shown), figsize=(7, 5), squeeze=False, sharex="col", sharey="row",
                             layout="constrained")  # fmt: skip
    for k, r in enumerate(shown):
        for column, kind in enumerate(KINDS, start=2 * k):
            for name, part in (("FC-4", r), ("untrained net", r["null"])):
                colour, marker, line = STYLE[name]
                style = {"color": colour, "marker": marker, "linestyle": line, "markersize": 4}
                people = np.mean(part["other_person_distance"])
                top, bottom = axes[:, column]
                top.plot(r["levels"][kind], np.mean(part["rank_correlation"][kind], axis=0), label=name, **style)
                bottom.plot(r["levels"][kind], np.mean(part["code_distance"][kind], axis=0) / people, **style)
                top.axhline(np.mean(part["other_person_rank_correlation"]), color=colour, linewidth=1, linestyle="--",
                            label=f"{name}, another person")  # fmt: skip
                bottom.axhline(np.mean(part["same_person_distance"]) / people, color=colour, linewidth=1,
                               linestyle="-.", label=f"{name}, another clean picture")  # fmt: skip
            where = "from below (%)" if kind == "from_below" else "block"
            bottom.axhline(1, color="0.8", linewidth=1, zorder=0)
            bottom.set_xlabel(f"{where}, {r['scale']}", fontsize=8)
    axes[0, 0].set_ylabel("rank correlation", fontsize=9)
    axes[1, 0].set_ylabel("bits that changed,\nof those between people", fontsize=9)
    found = [part for row in axes[:, 0] for part in zip(*row.get_legend_handles_labels(), strict=True)]
    fig.legend(*zip(*found, strict=True), loc="outside upper center", ncols=3, frameon=False, fontsize=7)
    sns.despine(fig)
    return fig


@figure("fig1", of="strips")
def figure_1(result, reference=None):
    """Neurons of FC-4 on two people, one of them covered as well, and what three neurons do in general [Fig. 1]."""
    shown = present(result, reference)
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
    shown = present(result, reference)
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
    shown = present(result, reference)
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
