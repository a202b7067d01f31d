"""Drawings of the ConvNet-RBM: pairs of filters, the eight modes, accuracy level by level, a longer training,
ROC beside the authors'."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from deepid_lite.figures.style import COLOURS, present, side_by_side
from deepid_lite.papers.relational.net import modes
from deepid_lite.registry import figure

LEVELS = {  # system of the record -> label, colour
    "pixels": ("raw pixels", 7),
    "untrained": ("untrained net", 7),
    "one mode": ("one net, one mode", 0),
    "one net": ("one net, eight modes", 0),
    "two nets": ("two nets of a region", 0),
    "mean": ("three regions, mean", 0),
    "logistic": ("… logistic regression", 2),
    "RBM": ("… RBM", 2),
    "RBM, fine-tuned": ("… RBM, all trained together", 2),
    "trained apart": ("… RBM, nets trained on apart", 2),
    "meet first": ("faces meet first", 1),
    "meet last": ("faces meet last", 1),
    "identification": ("names people", 1),
}


def filter_pairs(net, n=10):
    """The first n pairs of filters of the first layer: above what meets the first face, below what meets the second."""
    weights = net.conv1.weight.detach().numpy()[:n].transpose(0, 2, 3, 1)  # (n, 4, 4, 6)
    fig, axes = plt.subplots(2, len(weights), figsize=(7, 1.7), layout="compressed")
    for column, of_map in zip(axes.T, weights, strict=True):
        scale = 2 * np.abs(of_map).max()
        for ax, of_face in zip(column, (of_map[..., :3], of_map[..., 3:]), strict=True):
            ax.imshow(0.5 + of_face / scale)
            ax.set(xticks=[], yticks=[])
    for ax, face in zip(axes[:, 0], ("first", "second"), strict=True):
        ax.set_ylabel(face, fontsize=8)
    sns.despine(fig, left=True, bottom=True)
    return fig


def eight_modes(x, p=None):
    """One pair, floats (1, 6, rows, columns), in its eight modes; p: the net's "same person" in each, (8,)."""
    fig, axes = plt.subplots(1, 8, figsize=(7, 1.2), layout="compressed")
    for i, (ax, mode) in enumerate(zip(axes, modes(x), strict=True)):
        first, second = mode[0].permute(1, 2, 0).numpy().reshape(*mode.shape[2:], 2, 3).transpose(2, 0, 1, 3)
        ax.imshow(np.concatenate([first, second], 1) / 2 + 0.5)
        ax.set(xticks=[], yticks=[])
        if p is not None:
            ax.set_xlabel(f"{p[i]:.2f}", fontsize=8)
    sns.despine(fig, left=True, bottom=True)
    return fig


@figure("relational-levels", of="relational")
def levels(result, reference=None):
    """Accuracy of every level, of what joins the regions, and of the controls, with 95 % intervals.

    Both scales in one panel, so that a phone shows it: photographs as full dots, drawn faces as rings below them.
    """
    shown = present(result, reference)
    names = [name for name in LEVELS if name in shown[0]["accuracy"]][::-1]
    fig, ax = plt.subplots(figsize=(5.6, 0.7 + 0.36 * len(names)), layout="constrained")
    for found in shown:
        real = found["scale"] == "reference"
        label = "photographs (reference)" if real else "drawn faces (lite)"
        ax.plot([], [], "o", color="0.3", markersize=5, markerfacecolor="0.3" if real else "white", label=label)
        shift = 0 if len(shown) == 1 else 0.19 if real else -0.19
        for y, name in enumerate(names):
            value, low, high = found["accuracy"][name]
            colour = COLOURS[LEVELS[name][1]]
            ax.errorbar(value, y + shift, xerr=[[value - low], [high - value]], fmt="o", markersize=5, capsize=2,
                        color=colour, markerfacecolor=colour if real else "white")  # fmt: skip
            ax.annotate(f"{value:.1f}", (high, y + shift), xytext=(4, 0), textcoords="offset points", va="center",
                        fontsize=7.5)  # fmt: skip
    ax.set(yticks=range(len(names)), yticklabels=[LEVELS[name][0] for name in names], xlabel="accuracy (%)")
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.grid(axis="x", alpha=0.3)
    ax.margins(x=0.1)
    fig.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    sns.despine(fig)
    return fig


@figure("relational-roc", of="relational")
def roc(result, reference=None, published=None):
    """The ROC of the system of the first seed, and the authors' on LFW.

    Of the authors' curves a record has a few points. published: whole curves, of verification.published.read_published.
    """
    fig, panels = side_by_side(result, reference, 3.4, width=7 if result and reference else 4.2)
    for ax, found in panels:
        for colour, (name, points) in zip(COLOURS[1:], found["authors"].items(), strict=False):
            label = f"{name}, {points['accuracy']:.1f} %"
            if published:
                ax.step(*published[name], where="post", color=colour, linewidth=1, label=label)
            else:
                ax.plot(points["far"], points["tar"], "s:", color=colour, linewidth=1, markersize=4, label=label)
        value = found["accuracy"]["RBM, fine-tuned"][0]
        ax.step(found["roc"]["far"], found["roc"]["tar"], where="post", color="0.1", label=f"ours, {value:.1f} %")
        ax.set(xlabel="false accept rate", ylabel="true accept rate", xlim=(0, 0.4), ylim=(0.3, 1.005))
        ax.legend(loc="lower right", fontsize=8, frameon=False)
        ax.grid(alpha=0.3)
    sns.despine(fig)
    return fig


@figure("relational-length", of="relational_length")
def length(result, reference=None):
    """Accuracy of one net on held-out pairs, trained for more and more epochs, in one mode and in eight."""
    fig, panels = side_by_side(result, reference, 2.8, width=7 if result and reference else 4.2)
    for ax, found in panels:
        for colour, (name, of_name) in zip(COLOURS, found["accuracy"].items(), strict=False):
            value, low, high = np.array(of_name).T
            ax.errorbar(found["epochs"], value, yerr=[value - low, high - value], marker="o", markersize=4, capsize=2,
                        color=colour, label=name)  # fmt: skip
        ax.set_xscale("log", base=2)
        ax.set(xticks=found["epochs"], xticklabels=found["epochs"], xlabel="epochs", ylabel="accuracy (%)")
        ax.minorticks_off()
        ax.legend(fontsize=8, frameon=False)
        ax.grid(alpha=0.3)
    sns.despine(fig)
    return fig
