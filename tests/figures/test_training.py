"""What the drawings show is what the numbers say."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from deepid_lite.errors import DataError
from deepid_lite.figures.training import roc_curves, score_histogram, spectra, training_curves
from deepid_lite.nets.training_log import read_log


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_histograms_are_shares_of_each_kind():
    rng = np.random.default_rng(0)
    same = np.arange(1000) < 100  # unequal numbers must not show
    ax = score_histogram(rng.normal(size=1000) + 2 * same, same, threshold=1)
    heights = [sum(bar.get_height() for bar in kind) for kind in ax.containers]
    assert heights == pytest.approx([1, 1])  # outliers are clipped into the outer bars, not dropped
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["impostor pairs", "genuine pairs"]
    assert ax.lines[0].get_xdata()[0] == 1


def test_roc_has_a_logarithmic_axis_and_keeps_the_point_at_zero():
    far, tar = np.array([0, 0.01, 0.1, 1]), np.array([0.2, 0.5, 0.9, 1])
    ax = roc_curves({"a": (far, tar)}, min_far=1e-3)
    assert ax.get_xscale() == "log" and ax.get_xlim() == (1e-3, 1)
    line = ax.lines[0]
    assert line.get_drawstyle() == "steps-post" and (line.get_xdata() > 0).all()
    np.testing.assert_array_equal(line.get_ydata(), tar)


def test_log_is_read_and_drawn_by_layer(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("step,loss,ident1,ident4,margin1\n0,3,2,1,0.5\n20,2.5,1.5,0.5,0.4\n")
    log = read_log(path)
    assert list(log) == ["step", "loss", "ident1", "ident4", "margin1"] and log["step"].tolist() == [0, 20]
    ax = training_curves(log, "ident", label="nats")
    assert [line.get_label() for line in ax.lines] == ["FC-1", "FC-4"] and ax.get_ylabel() == "nats"
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), log["ident4"])
    assert training_curves(log, "margin").lines[0].get_drawstyle() == "steps-post"


@pytest.mark.parametrize("text", [None, "step,loss\n0,abc\n", "step,loss\n0\n"])
def test_no_log(tmp_path, text):
    path = tmp_path / "log.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match="log.csv") as caught:
        read_log(path)
    assert "\n" not in str(caught.value)


def test_spectra_are_shares_and_count_directions():
    fig = spectra({"even": np.ones(8), "one": np.r_[3.0, np.zeros(7)]})
    even, one = fig.axes[0].lines
    np.testing.assert_allclose(even.get_ydata(), 1 / 8)
    np.testing.assert_allclose(one.get_ydata(), [1])
    labels = [text.get_text() for text in fig.axes[0].get_legend().get_texts()]
    assert labels == ["even (8.0 directions)", "one (1.0 directions)"]
