"""What the drawings say, read back from the figures."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from deepid_lite.figures.faces import receptive_fields, show_faces
from deepid_lite.nets import deepid as nets
from deepid_lite.nets.summary import layer_table


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_contact_sheet_has_every_picture_its_title_and_its_landmarks():
    images = np.random.default_rng(0).integers(0, 255, (5, 144, 128, 3), dtype=np.uint8)
    points = np.arange(50.0).reshape(5, 5, 2)
    fig = show_faces(images, titles="abcde", columns=3, landmarks=points, row_titles=["up", "down"])
    assert len(fig.axes) == 6  # two full rows, the last place empty
    for n, ax in enumerate(fig.axes[:5]):
        np.testing.assert_array_equal(ax.images[0].get_array(), images[n])
        assert ax.get_title() == "abcde"[n]
        np.testing.assert_array_equal(ax.lines[-1].get_xydata(), points[n])
    assert not fig.axes[5].images
    assert [fig.axes[0].get_ylabel(), fig.axes[3].get_ylabel()] == ["up", "down"]


def test_boxes_of_the_last_neurons_end_at_the_border_of_the_picture():
    rows = layer_table(nets.DeepID2Plus(maps=2, dimension=2))[:-4]
    places = [(row.size[0] - 1, row.size[1] - 1) for row in rows]
    fig = receptive_fields(np.zeros((55, 47, 3), np.uint8), rows, places)
    for ax, row in zip(fig.axes, rows, strict=True):
        box = ax.patches[-1]
        assert (box.get_y() + box.get_height(), box.get_x() + box.get_width()) == (54.5, 46.5)
        assert (box.get_height(), box.get_width()) == row.field
