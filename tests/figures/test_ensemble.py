"""Pictures of regions and ensembles show the numbers that they are given."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from deepid_lite.faces.regions import REGIONS, SQUARE, by_names
from deepid_lite.figures import ensemble as plots
from deepid_lite.figures.ensemble import PAPERS


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def point(nets, accuracy):
    ways = {"real joint_bayesian": 0, "real cosine": -2, "binary joint_bayesian": -1, "binary hamming": -3}
    return {"nets": nets, "validation": accuracy - 5} | {
        way: {"accuracy": accuracy + less, "standard_error": 0.5} for way, less in ways.items()
    }


def study(scale):
    return {
        "scale": scale, "counts": [1, 2, 3],
        "curves": {"table": [point(1, 90), point(2, 93), point(3, 94)]},
        "alone": {"whole face": point(1, 90), "nose": point(1, 80)},
        "null": {"views": [point(1, 90), point(2, 90.5), point(3, 90.6)]},
    }  # fmt: skip


def test_every_region_has_its_frame_and_its_view():
    fig = plots.figure_regions()
    shown = [ax for ax in fig.axes if ax.images]
    assert len(shown) == 50
    frames = [(ax.get_title(), ax.patches[0]) for ax in shown if ax.patches]
    for (title, box), (place, region) in zip(frames, enumerate(REGIONS.values(), 1), strict=True):
        assert title == str(place)
        assert (box.get_x() + 0.5, box.get_width()) == pytest.approx((region.left, region.width))
        assert (box.get_y() + 0.5, box.get_height()) == pytest.approx((region.top, region.height))
    views = [ax for ax in shown if not ax.patches]
    assert [ax.images[0].get_array().shape[:2] for ax in views] == [region.shape for region in REGIONS.values()]


def test_a_few_regions_on_a_face_of_ones_own():
    face = np.zeros((144, 128, 3), np.uint8)
    face[60:80, 30:60] = 200
    fig = plots.figure_regions(by_names("left eye, nose"), face)
    views = [ax for ax in fig.axes if ax.images and not ax.patches]
    assert len(views) == 2 and views[0].images[0].get_array().shape[:2] == SQUARE
    assert views[0].images[0].get_array().max() == 200


def test_the_curve_shows_nets_null_and_paper():
    fig = plots.figure_ensemble(study("lite"), study("reference"))
    reference, lite = fig.axes
    assert (lite.get_title(), reference.get_title()) == ("lite", "reference")
    drawn = {tuple(np.round(line.get_ydata(), 3)) for line in lite.lines}
    assert {(90, 93, 94), (89, 92, 93), (87, 90, 91), (90, 90.5, 90.6)} <= drawn
    printed = {tuple(points.values()) for points in PAPERS.values()}
    assert not printed & drawn and printed <= {tuple(line.get_ydata()) for line in reference.lines}


def test_each_region_alone():
    (ax,) = plots.figure_alone(study("lite")).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["whole face", "nose"]
    assert list(ax.lines[0].get_xdata()) == [85, 75]
