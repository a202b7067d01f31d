"""Drawings of the canonical-view net show the numbers of the record."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

matplotlib.use("Agg")

from deepid_lite.figures import canonical as plots  # noqa: E402


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_rank1_has_a_curve_of_every_method():
    values = {name: np.random.default_rng(i).uniform(20, 90, 9) for i, name in enumerate(plots.LINES)}
    fig = plots.rank1({"rank1": {name: {"views": [[v, v - 2, v + 2] for v in of]} for name, of in values.items()}})
    curves = [line.get_ydata() for line in fig.axes[0].lines if len(line.get_ydata()) == 9]
    assert all(any(np.allclose(curve, of) for curve in curves) for of in values.values())


def test_chosen_has_a_bar_of_every_rule():
    found = {"chosen": {name: {"mean": [v, v - 1, v + 1]} for name, v in (("any picture", 33.0), ("b", 9.0))}}
    photographs = {"chosen": {"best": {}, "b": {"mean": [4.0, 3.0, 5.0]}, "any picture": {"mean": [11.0, 9.0, 12.0]}}}
    assert [bar.get_width() for bar in plots.chosen(found).axes[0].patches] == [33.0, 9.0]
    drawn, other = plots.chosen(found, photographs).axes
    assert [[bar.get_width() for bar in ax.patches] for ax in (drawn, other)] == [[33.0, 9.0], [11.0, 4.0]]
