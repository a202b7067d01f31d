"""Drawings of the ConvNet-RBM show the net's filters, a pair's modes and the numbers of the record."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

matplotlib.use("Agg")

from deepid_lite.figures import relational as plots  # noqa: E402
from deepid_lite.papers.relational.net import PairNet  # noqa: E402


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_levels_have_a_point_of_every_system_at_each_scale():
    values = {name: 50.0 + 3 * i for i, name in enumerate(plots.LEVELS)}
    lite = {"scale": "lite", "accuracy": {name: [v, v - 2, v + 2] for name, v in values.items()}}
    reference = {"scale": "reference", "accuracy": {name: [v - 1, v - 3, v] for name, v in values.items()}}
    for shown, wanted in (
        ((lite,), values.values()),
        ((lite, reference), [v - d for v in values.values() for d in (0, 1)]),
    ):
        ax = plots.levels(*shown).axes[0]
        drawn = [box.lines[0].get_xdata()[0] for box in ax.containers]
        assert sorted(drawn) == sorted(wanted)
        labels = [text.get_text() for text in ax.get_yticklabels()]
        assert labels == [label for label, _ in plots.LEVELS.values()][::-1]
        said = {text.get_text() for text in ax.texts}
        assert said == {f"{v:.1f}" for v in wanted}


def test_the_authors_points_are_drawn_beside_lfw_only():
    found = {"scale": "lite", "roc": {"far": [0, 0.1, 1], "tar": [0.2, 0.9, 1]}, "authors": {},
             "accuracy": {"RBM, fine-tuned": [83.0, 82.0, 84.0]}}  # fmt: skip
    points = {name: {"far": [0.1, 0.2], "tar": [0.5, 0.6], "accuracy": 91.0} for name in ("one", "other")}
    reference = found | {"scale": "reference", "authors": points}
    fig = plots.roc(found, reference)
    assert [len(ax.lines) for ax in fig.axes] == [1, 3]
    np.testing.assert_array_equal(fig.axes[0].lines[0].get_ydata(), found["roc"]["tar"])
    np.testing.assert_array_equal(fig.axes[1].lines[0].get_ydata(), [0.5, 0.6])
    whole = {name: (np.array([0, 1]), np.array([0.4, 1])) for name in points}
    np.testing.assert_array_equal(plots.roc(None, reference, whole).axes[0].lines[1].get_ydata(), [0.4, 1])


def test_a_longer_training_has_a_line_for_each_way_to_ask():
    accuracy = {"one mode": [[70, 69, 71], [72, 71, 73]], "eight modes": [[71, 70, 72], [74, 73, 75]]}
    ax = plots.length(None, {"scale": "reference", "epochs": [1, 2], "accuracy": accuracy}).axes[0]
    drawn = {box.get_label(): list(box.lines[0].get_ydata()) for box in ax.containers}
    assert drawn == {"one mode": [70, 72], "eight modes": [71, 74]}


def test_filters_and_modes_are_the_nets():
    net = PairNet(maps=(3, 3, 3, 3))
    fig = plots.filter_pairs(net, 3)
    weights = net.conv1.weight.detach().numpy()[1]
    shown = [np.asarray(axes.images[0].get_array()) for axes in (fig.axes[1], fig.axes[4])]
    for picture, of_face in zip(shown, (weights[:3], weights[3:]), strict=True):
        np.testing.assert_allclose((picture - 0.5) * 2 * np.abs(weights).max(), of_face.transpose(1, 2, 0), atol=1e-6)
    x = torch.rand(1, 6, 39, 31) * 2 - 1
    fig = plots.eight_modes(x, np.linspace(0, 1, 8))
    first = np.asarray(fig.axes[0].images[0].get_array())
    np.testing.assert_allclose(first[:, :31], x[0, :3].permute(1, 2, 0) / 2 + 0.5, atol=1e-6)
    np.testing.assert_allclose(first[:, 31:], x[0, 3:].permute(1, 2, 0) / 2 + 0.5, atol=1e-6)
    assert fig.axes[7].get_xlabel() == "1.00"
