"""Drawings of the ablations: what made DeepID2+ better [arXiv v1, Fig. 3], and DeepID2's own studies.

Each takes a result of `run_experiment`, and `reference` beside it when there is one. Bars are
standard errors over the folds, as the papers print them; whether one net is better than another is said by
`figure_differences`, whose intervals are paired. Accuracies are means over the seeds.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from deepid_lite.figures.style import COLOURS, legend_above, present, side_by_side
from deepid_lite.registry import figure
from deepid_lite.studies.comparisons import against, last_layers, runs_of
from deepid_lite.studies.scaling import curve, scaling

KINDS = {"joint_bayesian": "Joint Bayesian", "euclidean": "Euclidean distance", "cosine": "cosine"}
# single patch on LFW, verification by L2 distance and by Joint Bayesian [DeepID2, section 4]
PAPER_SIGNALS = {
    "euclidean": {"L2": 94.95, "L2+": 94.43, "L2-": 86.23, "L1": 92.92, "cosine": 87.07, "none": 86.43},
    "joint_bayesian": {"L2": 95.12, "L2+": 94.87, "L2-": 92.98, "L1": 94.13, "cosine": 93.38, "none": 92.73},
}


@figure("fig-layers", of="layers")
def figure_layers(result, reference=None):
    """Verification by each feature layer: DeepID2+ and the same with one of its gains taken away [arXiv v1, Fig. 3]."""
    fig, panels = side_by_side(result, reference, 3.2, sharey=True)
    for ax, study in panels:
        layers = list(study["null"]["untrained"])
        for place, (name, variant) in enumerate(study["variants"].items()):
            look = {"color": COLOURS[place % 10], "marker": "osD^v"[place % 5], "label": name}
            _line(ax, layers, variant["layers"], "joint_bayesian", 0.04 * (place - 3), **look)
        null = {"color": "0.45", "marker": "X", "linestyle": ":", "label": "untrained net"}
        _line(ax, layers, study["null"]["untrained"], "joint_bayesian", 0.1, **null)
        ax.set(xticks=range(len(layers)), xticklabels=layers)
    _finish(fig, panels, "accuracy by Joint Bayesian (%)", 3)
    return fig


def _line(ax, layers, found, kind, shift, **look):
    """Accuracies of the layers that were measured, with their standard errors."""
    have = [layer for layer in layers if layer in found]
    values, errors = ([found[layer][key][kind] for layer in have] for key in ("accuracy", "standard_error"))
    x = np.array([layers.index(layer) for layer in have]) + shift
    ax.errorbar(x, values, errors, markersize=5, linewidth=1.2, capsize=2, **look)


def _finish(fig, panels, ylabel, columns):
    panels[0][0].set_ylabel(ylabel)
    named = {}
    for ax, _ in panels:  # one scale may lack a variant that the other has
        handles, labels = ax.get_legend_handles_labels()
        named |= dict(zip(labels, handles, strict=True))
    fig.legend(named.values(), named, loc="outside upper center", ncols=columns, frameon=False, fontsize=8)
    sns.despine(fig)


def last_layer(variant, key, kind):
    """A number of a variant's last layer: key "accuracy" or "standard_error", kind as in `KINDS`."""
    layers = variant["layers"]
    return layers[max(layers)][key][kind]


@figure("fig-signals", of="signals")
def figure_signals(result, reference=None):
    """The verification signals, by Joint Bayesian and by plain distances, with the paper's numbers beside ours.

    Crosses: the untrained net, which the paper does not have.
    """
    fig, panels = side_by_side(result, reference, 3.2, sharey=True)
    places = _rows(panels)
    for ax, study in panels:
        _dots(ax, study, places)
        for (kind, paper), colour in zip(PAPER_SIGNALS.items(), (COLOURS[1], COLOURS[0]), strict=True):
            points = [(value, places[name]) for name, value in paper.items() if name in places]
            label = f"the paper's, {KINDS[kind]}"
            ax.plot(*zip(*points, strict=True), "|", color=colour, markersize=13, markeredgewidth=2, label=label)
    _finish(fig, panels, None, 3)
    return fig


def _rows(panels):
    """{variant: row}: the panels share their rows, also where one scale lacks a variant. The untrained net is last."""
    fullest_first = sorted((study["variants"] for _, study in panels), key=len, reverse=True)
    names = dict.fromkeys(name for variants in fullest_first for name in variants)
    return {name: row for row, name in enumerate([*names, "untrained net"])}


def _dots(ax, study, places):
    """A row for each variant and one for the untrained net, a marker for each kind of score."""
    for place, (kind, label) in enumerate(KINDS.items()):
        found = study["variants"] | {"untrained net": {"layers": study["null"]["untrained"]}}
        values, errors = (
            np.array([last_layer(variant, key, kind) for variant in found.values()])
            for key in ("accuracy", "standard_error")
        )
        y = np.array([places[name] for name in found]) + 0.18 * (place - 1)
        look = {"color": COLOURS[place], "capsize": 2}
        ax.errorbar(values[:-1], y[:-1], xerr=errors[:-1], fmt="osD"[place], markersize=5, label=label, **look)
        ax.errorbar(values[-1:], y[-1:], xerr=errors[-1:], fmt="X", markersize=6, **look)
    _name_rows(ax, places)
    ax.set_xlabel("accuracy (%)")


def _name_rows(ax, names):
    ax.set(yticks=range(len(names)), yticklabels=list(names), ylim=(len(names) - 0.5, -0.5))
    ax.grid(axis="x", alpha=0.3)


@figure("fig-sharing", of="sharing")
@figure("fig-recipes", of="recipes")
def figure_variants(result, reference=None):
    """Any experiment: each variant's accuracy by Joint Bayesian and by plain distances, with the untrained net."""
    rows = 1 + max(len(study["variants"]) for study in present(result, reference))
    fig, panels = side_by_side(result, reference, 1.3 + 0.33 * rows, sharey=True)
    places = _rows(panels)
    for ax, study in panels:
        _dots(ax, study, places)
    _finish(fig, panels, None, 3)
    return fig


@figure("fig-lambda", of="lambda")
def figure_lambda(result, reference=None):
    """Accuracy against lambda, from identification only to verification only; lines across are the untrained net."""
    fig, panels = side_by_side(result, reference, 3.2, sharey=True)
    for ax, study in panels:
        names = list(study["variants"])
        for place, kind in enumerate(KINDS):
            values, errors = (
                [last_layer(variant, key, kind) for variant in study["variants"].values()]
                for key in ("accuracy", "standard_error")
            )
            look = {"color": COLOURS[place], "markersize": 5, "linewidth": 1.2, "label": KINDS[kind]}
            ax.errorbar(
                np.arange(len(names)) + 0.05 * (place - 1), values, errors, marker="osD"[place], capsize=2, **look
            )
            null = study["null"]["untrained"]
            ax.axhline(null[max(null)]["accuracy"][kind], color=COLOURS[place], linestyle=":", linewidth=1)
        labels = [name.replace(" only", "\nonly") for name in names]
        ax.set(xticks=range(len(names)), xticklabels=labels, xlabel="λ")
        ax.tick_params(axis="x", labelsize=7)
    _finish(fig, panels, "accuracy (%)", 3)
    return fig


@figure("fig-people", of="people")
def figure_people(result, reference=None, kind="joint_bayesian", fits=None):
    """Error against the number of people on log-log paper, the fitted law, and what it says of the paper's number.

    fits: {scale: what `scaling.scaling` found}, computed here when left out.
    """
    fig, panels = side_by_side(result, reference, 3.4)
    for ax, study in panels:
        found = (fits or {}).get(study["scale"]) or scaling(study, kind)
        people, best = np.array(found["people"]), found[found["best"]]
        ax.errorbar(people, found["error"], 1.96 * np.array(found["standard_error"]), fmt="o", color=COLOURS[0],
                    markersize=5, capsize=2, label="nets, with 95 % intervals")  # fmt: skip
        inside, beyond = (np.geomspace(*ends, 50) for ends in ((people[0], people[-1]), (people[-1], found["to"])))
        ax.plot(inside, curve(found, inside), color=COLOURS[0], linewidth=1.2, label="fitted law")
        ax.plot(beyond, curve(found, beyond), "--", color=COLOURS[0], linewidth=1.2, label="the law, extrapolated")
        reach = np.abs(np.array(best["at_interval"])[:, None] - best["at"])
        ax.errorbar([found["to"]], [best["at"]], reach, fmt="D", color=COLOURS[1], markersize=5, capsize=3,
                    label=f"at {found['to']:,} people, as the paper had")  # fmt: skip
        null = study["null"]["untrained"]
        ax.axhline(100 - null[max(null)]["accuracy"][kind], color="0.45", linestyle=":", label="untrained net")
        _log_axes(ax, [*people, found["to"]], [*found["error"], best["at"], best["at_interval"][0]])
        floor = f" + {best['c']:.1f}" if found["best"] == "floor" else ""
        ax.set_title(f"{study['scale']}: error ∝ people$^{{-{best['b']:.2f}}}${floor}", fontsize=9, weight="bold")
    _finish(fig, panels, f"error by {KINDS[kind]} (%)", 2)
    return fig


def _log_axes(ax, people, errors):
    ax.set(xscale="log", yscale="log", xlabel="people in training")
    shown = []
    for n in reversed(people):  # the largest are named first, and a neighbour only where there is room
        if not shown or n < shown[-1] / 1.8:
            shown.append(n)
    ax.set_xticks(shown, [f"{n:,}" for n in shown], fontsize=7)
    marks = [e for e in (0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50) if 0.7 * min(errors) <= e <= 60]
    ax.set_yticks(marks, [f"{e:g}" for e in marks])
    ax.set_ylim(0.8 * min(errors), 60)
    ax.minorticks_off()


@figure("fig3", of="regions")
def figure_two_nets(result, reference=None):
    """DeepID2 and DeepID2+ on several regions, by Joint Bayesian; the dotted line is the untrained net."""
    fig, panels = side_by_side(result, reference, 3.6, sharey=True)
    regions = list(dict.fromkeys(v["recipe"]["region"] for _, study in panels for v in study["variants"].values()))
    for ax, study in panels:
        for place, architecture in enumerate(("DeepID2Plus", "DeepID2")):
            mine = [v for v in study["variants"].values() if v["recipe"]["architecture"] == architecture]
            y = [regions.index(v["recipe"]["region"]) + 0.1 * (2 * place - 1) for v in mine]
            values, errors = (
                [last_layer(v, key, "joint_bayesian") for v in mine] for key in ("accuracy", "standard_error")
            )
            ax.errorbar(values, y, xerr=errors, fmt="os"[place], color=COLOURS[place], markersize=6, capsize=2,
                        label=("DeepID2+", "DeepID2")[place])  # fmt: skip
        null = study["null"]["untrained"]
        accuracy = null[max(null)]["accuracy"]["joint_bayesian"]
        ax.axvline(accuracy, color="0.45", linestyle=":", label="untrained net, whole face")
        _name_rows(ax, regions)
        ax.set_xlabel("accuracy by Joint Bayesian (%)")
    _finish(fig, panels, None, 3)
    return fig


def figure_curves(result, reference=None):
    """Is a net trained to its end? Accuracy on held-out people over the run, a line for each variant.

    Each is the mean over its seeds, by Joint Bayesian without mirror images; a mark at the right end is the last one.
    """
    fig, panels = side_by_side(result, reference, 3.2, sharey=True)
    for ax, study in panels:
        for place, (name, variant) in enumerate(study["variants"].items()):
            curves = [run["curve"] for run in runs_of(variant)]
            places = sorted(set.intersection(*({*curve["step"]} for curve in curves)))  # a kill may have cost a point
            done = 100 * np.array(places) / places[-1]
            mean = np.mean([[c["accuracy"][c["step"].index(step)] for step in places] for c in curves], axis=0)
            look = {"color": COLOURS[place % 10], "linestyle": "-" if place < 10 else "--", "linewidth": 1.2}
            ax.plot(done, mean, marker="osD^v"[place % 5], markersize=3, label=name, **look)
        ax.set(xlabel="part of the run (%)", xlim=(0, 103))
    _finish(fig, panels, "held-out people (%)", 3)
    return fig


@figure("fig-spectra", of="lambda")
def figure_spectra(result, reference=None, variants=("identification only", "0.05", "verification only")):
    """Scatter between (left) and within people (right), direction by direction, for some lambdas [DeepID2, Fig. 3].

    Of the last layer on held-out people: cumulative shares of the variance, mean over the seeds.
    """
    shown = present(result, reference)
    fig, axes = plt.subplots(len(shown), 2, figsize=(7, 2.6 * len(shown)), squeeze=False, sharey=True,
                             layout="constrained")  # fmt: skip
    for row, study in zip(axes, shown, strict=True):
        for ax, kind in zip(row, ("between", "within"), strict=True):
            for place, name in enumerate(name for name in variants if name in study["variants"]):
                layers = last_layers(study["variants"][name], "held_out")
                shares = [np.cumsum(layer["spectra"][kind]["shares"]) for layer in layers]
                mean = 100 * np.mean([s[: min(map(len, shares))] for s in shares], axis=0)
                look = {"color": COLOURS[place], "marker": "osD"[place % 3], "markersize": 3, "markevery": 5}
                ax.plot(np.arange(1, len(mean) + 1), mean, linewidth=1.2, label=name, **look)
            ax.set(title=f"{study['scale']}: {kind} people", xlabel="directions", ylim=(0, 103))
        row[0].set_ylabel("share of the variance (%)")
    legend_above(fig, axes[0, 0])
    sns.despine(fig)
    return fig


def figure_differences(result, reference=None, baseline=None, kind="joint_bayesian"):
    """How much better or worse than `baseline` (the first variant) each variant is, with paired 95 % intervals.

    Filled markers: the interval leaves out zero.
    """
    shown = present(result, reference)
    rows = max(len(study["variants"]) for study in shown)
    fig, panels = side_by_side(result, reference, 1.2 + 0.3 * rows, sharey=True)
    names = list(_rows(panels))[:-1]
    base = baseline or names[0]
    names.remove(base)
    for ax, study in panels:
        for name, difference in against(study, base, kind).items():
            y = names.index(name)
            reach = [[difference.points - difference.low], [difference.high - difference.points]]
            ax.errorbar([difference.points], [y], xerr=reach, fmt="o", color=COLOURS[0], markersize=6, capsize=3,
                        markerfacecolor=COLOURS[0] if difference.certain else "white")  # fmt: skip
        ax.axvline(0, color="0.6", linewidth=0.8, zorder=0)
        _name_rows(ax, names)
        ax.set_xlabel(f"points against {base}")
    sns.despine(fig)
    return fig
