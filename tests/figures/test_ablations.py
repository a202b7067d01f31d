"""The pictures of the experiments show the numbers of the results they are given."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from deepid_lite.figures import ablations as plots
from deepid_lite.studies.ablation_list import EXPERIMENTS
from deepid_lite.studies.comparisons import packed
from deepid_lite.studies.scaling import scaling

KINDS = ("joint_bayesian", "cosine", "hamming", "euclidean")
PAIRS = 600


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def layers(names, error, seed):
    """Accuracies that fall with the layer's distance from the last, and the pairs of the last."""
    hard = np.random.default_rng(seed).random(PAIRS)
    found = {}
    for place, name in enumerate(names):
        accuracy = {kind: 100 - error - 2 * (len(names) - place) - k for k, kind in enumerate(KINDS)}
        found[name] = {"accuracy": accuracy, "standard_error": dict.fromkeys(KINDS, 0.5)}
    found[names[-1]]["right"] = {kind: packed(hard > np.quantile(hard, error / 100)) for kind in KINDS}
    return found


def made(name, scale, names=("FC-4",), errors=None, missing=()):
    """A result of the experiment as run_experiment writes it; error: percent of the pairs of each variant."""
    variants = {}
    for place, (variant, changes) in enumerate(EXPERIMENTS[name].variants.items()):
        if variant in missing:
            continue
        recipe = {"region": changes.get("region", "whole face"),
                  "architecture": changes.get("architecture", "DeepID2Plus")}  # fmt: skip
        error = errors[place] if errors else 10 + 2 * place
        people = changes.get("people", 7907)
        variants[variant] = {"recipe": recipe, "people": people, "layers": layers(names, error, place)}
    return {"scale": scale, "variants": variants, "null": {"untrained": layers(names, 40, 99)}, "pairs": PAIRS,
            "pairs_per_fold": [60] * 10}  # fmt: skip


def of(result, variant, kind, layer="FC-4"):
    return result["variants"][variant]["layers"][layer]["accuracy"][kind]


def legend(fig):
    return [text.get_text() for text in fig.legends[0].get_texts()]


def heights(container):
    return list(container.lines[0].get_ydata())


def test_layers_have_a_line_for_each_net_and_the_null():
    names = ["FC-1", "FC-2", "FC-3", "FC-4"]
    result, reference = made("layers", "lite", names), made("layers", "reference", names)
    reference["variants"]["smaller net"]["layers"] = layers(["FC-3", "FC-4"], 16, 5)
    fig = plots.figure_layers(result, reference)
    assert set(legend(fig)) == {*EXPERIMENTS["layers"].variants, "untrained net"}
    for ax, scale in zip(fig.axes, (result, reference), strict=True):
        for container, variant in zip(ax.containers, scale["variants"].values(), strict=False):
            found = [variant["layers"][name]["accuracy"]["joint_bayesian"] for name in variant["layers"]]
            assert heights(container) == found
            assert np.round(container.lines[0].get_xdata()).tolist() == [names.index(n) for n in variant["layers"]]
        assert heights(ax.containers[-1])[-1] == 58
        assert [tick.get_text() for tick in ax.get_xticklabels()] == names


def test_signals_stand_beside_the_papers():
    result = made("signals", "lite")
    fig = plots.figure_signals(result)
    ax = fig.axes[0]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [
        "L2",
        "L2+",
        "L2-",
        "L1",
        "cosine",
        "none",
        "untrained net",
    ]
    joint = ax.containers[0].lines[0]
    assert list(joint.get_xdata()) == [of(result, name, "joint_bayesian") for name in result["variants"]]
    paper = {line.get_label(): list(line.get_xdata()) for line in ax.lines if "paper" in line.get_label()}
    assert paper["the paper's, Joint Bayesian"] == [95.12, 94.87, 92.98, 94.13, 93.38, 92.73]
    assert paper["the paper's, Euclidean distance"] == [94.95, 94.43, 86.23, 92.92, 87.07, 86.43]
    assert len(legend(fig)) == 5
    half = made("signals", "lite", missing=("L2+", "none"))
    lite, reference = plots.figure_signals(half, made("signals", "reference")).axes
    rows = [tick.get_text() for tick in lite.get_yticklabels()]
    for ax, scale in ((lite, half), (reference, made("signals", "reference"))):  # each dot stands in its own row
        places = np.round(ax.containers[0].lines[0].get_ydata()).astype(int)
        assert [rows[place] for place in places] == list(scale["variants"])


def test_lambda_runs_from_one_signal_to_the_other():
    result = made("lambda", "lite")
    ax = plots.figure_lambda(result).axes[0]
    names = [tick.get_text().replace("\n", " ") for tick in ax.get_xticklabels()]
    assert names == ["identification only", "0.005", "0.05", "0.5", "5", "verification only"]
    for container, kind in zip(ax.containers, plots.KINDS, strict=True):
        assert heights(container) == [of(result, name, kind) for name in names]


def test_people_lie_on_log_paper_with_the_extrapolated_law():
    result = made("people", "lite", errors=[40, 33, 27, 22, 18, 15, 12, 10])
    found = scaling(result, n_draws=50)
    fig = plots.figure_people(result, fits={"lite": found})
    ax = fig.axes[0]
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert ax.containers[0].lines[0].get_xdata().tolist() == [64, 128, 256, 512, 1024, 2048, 4096, 7907]
    assert heights(ax.containers[0]) == pytest.approx([40, 33, 27, 22, 18, 15, 12, 10], abs=0.2)
    assert heights(ax.containers[1]) == [found[found["best"]]["at"]]
    dashed = next(line for line in ax.lines if line.get_label() == "the law, extrapolated")
    assert dashed.get_xdata()[-1] == pytest.approx(12_000)
    assert dashed.get_ydata()[-1] == pytest.approx(heights(ax.containers[1])[0], rel=1e-3)


def test_two_nets_are_paired_by_region():
    result = made("regions", "lite")
    ax = plots.figure_two_nets(result, made("regions", "reference", missing=("DeepID2, lower face",))).axes[0]
    regions = [tick.get_text() for tick in ax.get_yticklabels()]
    assert len(regions) == 8 and regions[:3] == ["whole face", "eyes and nose", "lower face"]
    for container, net in zip(ax.containers, ("DeepID2+", "DeepID2"), strict=True):
        wanted = [of(result, name, "joint_bayesian") for name in result["variants"] if name.startswith(f"{net},")]
        assert list(container.lines[0].get_xdata()) == wanted and len(wanted) == 8
        assert container.get_label() == net


def with_runs(result, seeds=3):
    """The result as one of several seeds: each variant with its curve and its spectra."""
    rng = np.random.default_rng(0)
    for variant in result["variants"].values():
        variant["runs"] = {}
        for seed in range(seeds):
            shares = np.sort(rng.dirichlet(np.ones(12)))[::-1].tolist()
            spectra = {kind: {"total": 1, "shares": shares, "first_ten": 100 * sum(shares[:10])}
                       for kind in ("within", "between")}  # fmt: skip
            curve = {"step": [5, 10, 20], "accuracy": rng.uniform(60, 80, 3).tolist()}
            variant["runs"][str(seed)] = {"curve": curve, "held_out": {"FC-4": {"spectra": spectra}}}
    return result


def test_curves_are_means_over_the_seeds():
    result = with_runs(made("lambda", "lite"))
    del result["variants"]["0.5"]["runs"]["1"]["curve"]["step"][1]  # it was killed there
    del result["variants"]["0.5"]["runs"]["1"]["curve"]["accuracy"][1]
    fig = plots.figure_curves(result, with_runs(made("lambda", "reference")))
    lines = {line.get_label(): line for line in fig.axes[0].lines}
    assert list(lines) == list(result["variants"]) == legend(fig)
    assert lines["5"].get_xdata().tolist() == [25, 50, 100] and lines["0.5"].get_xdata().tolist() == [25, 100]
    runs = result["variants"]["5"]["runs"].values()
    np.testing.assert_allclose(lines["5"].get_ydata(), np.mean([run["curve"]["accuracy"] for run in runs], axis=0))


def test_spectra_rise_to_all_of_the_variance():
    result = with_runs(made("lambda", "lite", missing=("0.05",)))
    fig = plots.figure_spectra(result)
    between, within = fig.axes
    assert legend(fig) == ["identification only", "verification only"]
    runs = result["variants"]["verification only"]["runs"].values()
    wanted = np.mean([np.cumsum(run["held_out"]["FC-4"]["spectra"]["within"]["shares"]) for run in runs], axis=0)
    np.testing.assert_allclose(within.lines[1].get_ydata(), 100 * wanted)
    assert between.lines[0].get_ydata()[-1] == pytest.approx(100)
    assert len(plots.figure_spectra(result, with_runs(made("lambda", "reference"))).axes) == 4


@pytest.mark.parametrize("name", ["sharing", "recipes", "layers"])
def test_any_experiment_has_a_picture(name):
    result = made(name, "lite")
    fig = plots.figure_variants(result, made(name, "reference"))
    assert len(fig.axes) == 2 and set(legend(fig)) == set(plots.KINDS.values())
    labels = [tick.get_text() for tick in fig.axes[0].get_yticklabels()]
    assert labels == [*EXPERIMENTS[name].variants, "untrained net"]
    assert list(fig.axes[0].containers[0].lines[0].get_xdata()) == [
        of(result, variant, "joint_bayesian") for variant in result["variants"]
    ]


def test_differences_are_filled_where_they_are_certain():
    result = made("sharing", "lite", errors=[10, 20])
    ax = plots.figure_differences(result).axes[0]
    line = ax.containers[0].lines[0]
    assert line.get_xdata()[0] == pytest.approx(-10) and line.get_markerfacecolor() != "white"
    few, all_of_them = made("signals", "lite", missing=("L2+",)), made("signals", "reference")
    ax = plots.figure_differences(few, all_of_them).axes[0]
    assert [container.lines[0].get_ydata()[0] for container in ax.containers] == [1, 2, 3, 4]
    same = made("sharing", "lite", errors=[10, 10])
    ax = plots.figure_differences(same, baseline="plain convolution").axes[0]
    assert ax.containers[0].lines[0].get_markerfacecolor() == "white"
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["local sharing"]
