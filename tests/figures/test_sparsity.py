"""The pictures of sparsity show the numbers of the results they are given."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from deepid_lite.figures import sparsity as plots
from deepid_lite.neurons import sparsity

NAMES = ("FC-3", "FC-4")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def some_features(seed, n=60, d=40, spread=0.5):
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(rng.normal(0.2, spread, d), 1, (n, d)), 0)


def study(scale, seed=0):
    labels = np.repeat(np.arange(15), 4)

    def summary(k, spread):
        return sparsity.summary(some_features(seed + k, spread=spread), labels)

    layers = {
        name: {"net": summary(k, 0.5), "nulls": {"untrained": summary(k + 5, 0), "untrained_plain": summary(k + 9, 2)}}
        for k, name in enumerate(NAMES)
    }
    return {"scale": scale, "layers": layers, "examples": sparsity.examples(some_features(seed), labels)}


def dropout():
    def variant(seed, rate, accuracy, weight=0.5, norm=True):
        found = sparsity.summary(some_features(seed), histograms=False)
        layer = {"sparsity": found, "accuracy": {"joint_bayesian": accuracy}}
        recipe = {"weight": weight, "net": {"dropout": rate, "batch_norm": norm}}
        return {"recipe": recipe, "layers": {"FC-4": layer}}

    null = {"FC-4": {"sparsity": sparsity.summary(some_features(9), histograms=False)}}
    variants = {"a": variant(1, 0.5, 91), "b": variant(2, 0.0, 90), "c": variant(3, 0.5, 80, weight=0)}
    variants["d"] = variant(4, 0.5, 70, norm=False)
    return {"scale": "lite", "null": {"untrained": null, "untrained_plain": null}, "variants": variants}


def legend(fig):
    return [text.get_text() for text in fig.legends[0].get_texts()]


def test_cells_show_the_neurons_and_where_they_differ_from_the_first_picture():
    lite, reference = study("lite"), study("reference", 50)
    fig = plots.figure_1_sparsity(lite, reference)
    assert len(fig.axes) == 6 and fig.axes[0].get_ylabel() == "reference"
    for scale, row in ((reference, fig.axes[:3]), (lite, fig.axes[3:])):
        bits = np.array(scale["examples"]["activations"]) > 0
        for ax, own in zip(row, bits, strict=True):
            cells = ax.collections[0].get_array().ravel()
            cells = np.asarray(cells[~np.ma.getmaskarray(cells)])[: len(own)]
            np.testing.assert_array_equal(cells % 2, own)
            np.testing.assert_array_equal(cells >= 2, own != bits[0])
            unequal = (own != bits[0]).sum()
            assert (f"{unequal} not as" if unequal else f"{own.sum()} of {len(own)} active") in ax.get_title()


def test_figure_6_has_net_nulls_and_paper_in_one_picture():
    lite, reference = study("lite"), study("reference", 50)
    fig = plots.figure_6(lite, reference)
    assert len(fig.axes) == 4 and len(plots.figure_6(lite).axes) == 2
    nulls = ["untrained, batch norm", "untrained, plain", "independent neurons"]
    assert set(legend(fig)) == {"trained net", *nulls, "paper's mean and spread"}
    for row, scale in enumerate((reference, lite)):
        for column, kind in enumerate(("active", "rate")):
            ax = fig.axes[2 * row + column]
            found = scale["layers"]["FC-4"]["net"]["histograms"][kind]["counts"]
            assert ax.patches[0].get_data().values == pytest.approx(100 * np.array(found) / sum(found))
            assert ax.patches[0].get_data().edges[-1] == pytest.approx(100)
        independent = fig.axes[2 * row].patches[-1].get_data()
        middle = (independent.edges[1:] + independent.edges[:-1]) / 2
        net = scale["layers"]["FC-4"]["net"]
        assert independent.values.sum() == pytest.approx(100, abs=0.1)
        assert (middle * independent.values).sum() / 100 == pytest.approx(100 * net["active_mean"] / 40, abs=0.1)


def test_layers_show_active_spread_and_distances():
    result = study("lite")
    fig = plots.figure_6_layers(result)
    active, spread, distance = fig.axes
    assert [tick.get_text() for tick in active.get_xticklabels()] == list(NAMES)
    nets = [result["layers"][name]["net"] for name in NAMES]
    assert spread.lines[0].get_ydata() == pytest.approx([net["rate_std"] for net in nets])
    assert distance.lines[0].get_ydata() == pytest.approx([net["hamming"]["between"] / 0.4 for net in nets])
    assert distance.lines[1].get_ydata() == pytest.approx([net["hamming"]["within"] / 0.4 for net in nets])
    assert set(legend(fig)) == {"net", "untrained, batch norm", "untrained, plain"}


def test_dropout_has_a_line_for_each_kind_of_training():
    result = dropout()
    fig = plots.figure_dropout(result)
    assert set(legend(fig)) == {"both signals", "no verification", "no batch norm", "untrained, batch norm",
                                "untrained, plain"}  # fmt: skip
    both, without, plain = fig.axes[2].lines
    assert list(both.get_ydata()) == [90, 91] and list(without.get_ydata()) == [80] and list(plain.get_ydata()) == [70]
    assert both.get_xdata() == pytest.approx([0, 0.5], abs=0.02)
    assert len({line.get_marker() for line in (both, without, plain)}) == 3
