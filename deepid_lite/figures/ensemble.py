"""Pictures of regions and ensembles: where the regions lie, what more of them give.

Colours are seaborn's colour-blind palette; what a colour says is also said by a place, a marker or a label.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.patches import Rectangle

from deepid_lite.faces.alignment import TEMPLATE, align
from deepid_lite.faces.regions import REGIONS, SQUARE, crop
from deepid_lite.faces.synthetic.people import make_faces
from deepid_lite.figures.style import COLOURS, legend_above, present
from deepid_lite.registry import figure

# accuracy in percent against the number of regions, real features and Joint Bayesian
PAPERS = {
    "DeepID2, as printed": {1: 95.43, 2: 97.28, 4: 97.75, 8: 98.55, 16: 98.93, 25: 98.97},  # Table 1
    "DeepID2+, as printed": {1: 98.70, 25: 99.47},  # Table 4
}


@figure("fig-regions")
def figure_regions(regions=None, face=None, columns=7):
    """Each region's place on a face, above what its net sees of it.

    regions: `Region`s, the twenty-five by default; face: uint8 (144, 128, 3), a synthetic one by default.
    """
    regions = list(REGIONS.values()) if regions is None else list(regions)
    face = _someone() if face is None else face
    columns = min(columns, len(regions))
    rows = -(-len(regions) // columns)
    fig, axes = plt.subplots(2 * rows, columns, figsize=(columns, 2.3 * rows), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for place, region in enumerate(regions):
        where, seen = axes[2 * (place // columns)][place % columns], axes[2 * (place // columns) + 1][place % columns]
        where.imshow(face, alpha=0.55)
        where.plot(*TEMPLATE.T, ".", color="black", markersize=1.5)
        box = Rectangle((region.left - 0.5, region.top - 0.5), region.width, region.height, fill=False, linewidth=1.4,
                        edgecolor=COLOURS[1 if region.shape == SQUARE else 0], clip_on=False)  # fmt: skip
        where.add_patch(box)
        where.set_title(f"{place + 1}", fontsize=9, pad=2)
        seen.imshow(crop(face[None], region)[0], interpolation="nearest")
        seen.set_title(_in_two_lines(region.name), fontsize=9, pad=2)
    fig.subplots_adjust(left=0.01, right=0.99, top=0.97, bottom=0.01, wspace=0.1, hspace=0.35)
    return fig


@figure("fig-ensemble", of="ensemble")
def figure_ensemble(result, reference=None, paper=True):
    """Accuracy against the number of nets: real features, codes, and one net that looks as often [DeepID2, Table 1]."""
    shown = present(reference, result)
    fig, axes = plt.subplots(1, len(shown), figsize=(3.3 * len(shown) + 0.4, 3.6), squeeze=False, layout="constrained")
    for ax, study in zip(axes[0], shown, strict=True):
        curves = (
            ("real, Joint Bayesian", study["curves"]["table"], "real joint_bayesian", COLOURS[0], "o", "-"),
            ("codes, Joint Bayesian", study["curves"]["table"], "binary joint_bayesian", COLOURS[2], "s", "-"),
            ("codes, Hamming", study["curves"]["table"], "binary hamming", COLOURS[4], "D", "-"),
            ("null: one net, as many views", study["null"]["views"], "real joint_bayesian", COLOURS[7], "x", "--"),
        )
        for label, points, key, colour, marker, style in curves:
            at = np.array([point["nets"] for point in points])
            mean = np.array([point[key]["accuracy"] for point in points])
            error = np.array([point[key]["standard_error"] for point in points])
            ax.errorbar(at, mean, error, color=colour, marker=marker, markersize=4, linestyle=style, label=label,
                        capsize=2, linewidth=1.2)  # fmt: skip
        printed = PAPERS if paper and study["scale"] == "reference" else {}
        for (label, points), marker in zip(printed.items(), "^*", strict=False):
            ax.plot(*zip(*points.items(), strict=True), ":", color="black", marker=marker, linewidth=1, label=label)
        ax.set(xscale="log", xlabel="nets", title=study["scale"])
        ticks = sorted({*study["counts"], *(n for points in printed.values() for n in points)})
        ax.set_xticks(ticks, [str(t) for t in ticks])
        ax.minorticks_off()
    axes[0][0].set_ylabel("accuracy, %")
    legend_above(fig, axes[0][0], columns=2)
    sns.despine(fig=fig)
    return fig


@figure("fig-alone", of="ensemble")
def figure_alone(result):
    """Every region's net by itself, on validation people and on the test people."""
    names = list(result["alone"])
    y = np.arange(len(names))[::-1]
    fig, ax = plt.subplots(figsize=(5.5, 0.28 * len(names) + 0.9), layout="constrained")
    points = [result["alone"][name] for name in names]
    ax.plot([p["validation"] for p in points], y, "o", color=COLOURS[7], label="validation people", markersize=5)
    test = [p["real joint_bayesian"] for p in points]
    ax.errorbar([t["accuracy"] for t in test], y, xerr=[t["standard_error"] for t in test], fmt="D", color=COLOURS[0],
                label="test people", markersize=4, capsize=2)  # fmt: skip
    ax.set(xlabel="accuracy, %", yticks=y, yticklabels=names)
    ax.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    sns.despine(ax=ax)
    return fig


def _someone():
    """One synthetic face in the aligned frame."""
    one = make_faces(1, 1, first_person=30, yaw_limit=3, light_limit=10, jitter=0.2)
    return align(one.images[0], one.landmarks[0])


def _in_two_lines(name):
    words = name.split(" ")
    half = -(-len(words) // 2)
    return "\n".join(filter(None, (" ".join(words[:half]), " ".join(words[half:]))))
