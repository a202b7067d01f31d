"""Fig. 4 shows the points that it is given: ours from a report, the authors' from their files."""

import os
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from deepid_lite.errors import DataError
from deepid_lite.figures import roc as roc_plots
from deepid_lite.results import load_result
from deepid_lite.verification import published as authors

FAR = np.linspace(0, 1, 301)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def report(data="lfw", power=0.2):
    return {"model": "some", "data": data, "pairs": 600, "accuracy": 81.25,
            "roc": {"far": FAR.tolist(), "tar": (FAR**power).tolist()}}  # fmt: skip


@pytest.fixture
def published(tmp_path):
    """Two of the authors' files, one rising and one falling, and one of the user's own."""
    curves = {"deepid2plus_arxiv1412.1265.txt": 0.01, "YiSun_DeepID2.txt": 0.02, "mine.txt": 0.1}
    for name, power in curves.items():
        points = np.stack([FAR**power, FAR], 1)
        np.savetxt(tmp_path / name, points if name.startswith("Yi") else points[::-1], "%.6f", newline="\r\n")
    return tmp_path


def test_published_points_rise_and_have_their_methods_names(published):
    found = authors.read_published(published)
    assert list(found) == ["DeepID2+", "DeepID2", "mine"]
    for (far, tar), power in zip(found.values(), (0.01, 0.02, 0.1), strict=True):
        np.testing.assert_allclose(far, FAR, atol=1e-6)
        np.testing.assert_allclose(tar, FAR**power, atol=1e-6)


def test_a_few_points_of_the_authors_and_the_best_accuracy_that_they_allow(published, tmp_path):
    """Where there are no curves there are no points, and no error: they are drawn beside ours, and judge nothing."""
    home = tmp_path / "data"
    assert authors.authors_rates(home, ["DeepID2"]) == {}
    (home / "published_roc").mkdir(parents=True)
    for file in published.glob("*.txt"):
        file.rename(home / "published_roc" / file.name)
    found = authors.authors_rates(home, ["DeepID2", "mine", "nobody's"], (0.1, 0.25))
    assert list(found) == ["DeepID2", "mine"]
    last = [FAR[far >= FAR].max() for far in (0.1, 0.25)]  # the last point that is not beyond
    np.testing.assert_allclose(found["mine"]["tar"], np.power(last, 0.1), atol=1e-4)
    best = max(50 * (far**0.02 + 1 - far) for far in FAR)
    assert found["DeepID2"]["accuracy"] == pytest.approx(best, abs=0.01)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 0\n0.5\n", "not two columns"),
        ("0 0\n0.5 x\n", "not two columns"),
        ("0 0\n0.5 nan\n1 1\n", "not two columns"),
        ("0 0\n0.5 1.2\n", "not two columns"),
        ("0 0 0\n1 1 1\n", "not two columns"),
        ("1 1\n", "not two columns"),
        ("", "not two columns"),
        ("0 0\n0.9 0.5\n0.2 0.7\n1 1\n", "no ROC"),
        ("0 1\n1 0\n", "no ROC"),
    ],
)
def test_wrong_points_are_one_line(tmp_path, text, said):
    (tmp_path / "gaussianface.txt").write_text(text)
    with pytest.raises(DataError, match=said) as error:
        authors.read_published(tmp_path)
    assert "gaussianface.txt" in str(error.value) and "\n" not in str(error.value)


def test_a_folder_without_points_names_the_script(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match="data_scripts/published_roc.py"):
            authors.read_published(folder)


def test_figure_4_draws_what_it_is_given_on_both_axes(published):
    curves = authors.read_published(published)
    fig = roc_plots.figure_4(None, report(), curves)
    linear, logarithmic = fig.axes
    assert (linear.get_xscale(), logarithmic.get_xscale()) == ("linear", "log")
    for ax in fig.axes:
        names = [line.get_label() for line in ax.lines]
        assert names == ["DeepID2+", "DeepID2", "mine", "ours: some, 81.25 %"]
        for line, (far, tar) in zip(ax.lines, [*curves.values(), (FAR, FAR**0.2)], strict=True):
            np.testing.assert_allclose(line.get_ydata(), tar)
            np.testing.assert_allclose(line.get_xdata(), np.maximum(far, 2 / 600 / 10))
        assert len({line.get_marker() for line in ax.lines}) == 4  # not by colour alone
        low, high = ax.get_ylim()
        assert low < 0.9 and high > 1
    assert logarithmic.get_xlim() == (2 / 600, 1)
    shown = [text.get_text() for text in logarithmic.get_legend().get_texts()]
    assert shown == [line.get_label() for line in logarithmic.lines]


def test_published_points_stand_beside_results_on_lfw_only(published):
    fig = roc_plots.figure_4(report("synthetic"), report("lfw"), authors.read_published(published))
    assert [len(ax.lines) for ax in fig.axes] == [1, 1, 4, 4]
    assert [ax.get_title() for ax in fig.axes][::2] == ["synthetic, linear", "lfw, linear"]


def test_the_recorded_result_can_be_drawn():
    record = load_result("lfw_view2")
    line = roc_plots.figure_4(None, record).axes[1].lines[0]
    np.testing.assert_allclose(line.get_ydata(), record["roc"]["tar"])
    assert f"{record['accuracy']:.2f}" in line.get_label()


DATA = Path(os.environ.get("DEEPID_DATA", "nowhere")) / "published_roc"


@pytest.mark.real
@pytest.mark.skipif(not DATA.is_dir(), reason="DEEPID_DATA holds no published_roc/")
def test_the_authors_points_give_the_accuracies_that_they_printed():
    printed = {"DeepID2+": 99.47, "DeepID2": 99.15, "DeepID": 97.45, "GaussianFace": 98.52, "DeepFace": 97.35,
               "TL Joint Bayesian": 96.33, "High-dim LBP (LFW only)": 93.18, "ConvNet-RBM, CelebFaces": 92.52,
               "ConvNet-RBM (LFW only)": 91.75, "Joint Bayesian (LFW only)": 90.90}  # fmt: skip
    found = authors.read_published(DATA)
    assert set(found) == set(printed) == set(authors.METHODS.values())
    for method, (far, tar) in found.items():  # the best threshold for all folds at once is a little better
        assert 100 * (tar + 1 - far).max() / 2 == pytest.approx(printed[method], abs=0.35), method
