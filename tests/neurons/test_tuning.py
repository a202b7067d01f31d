"""Tuning curves: one thing is turned and nothing else, and the answers are those before the ReLU."""

import numpy as np
import pytest
import torch

from deepid_lite.errors import DataError
from deepid_lite.faces.regions import WHOLE_FACE, crop
from deepid_lite.figures.selectiveness import figure_tuning
from deepid_lite.nets.deepid import DeepID2Plus
from deepid_lite.neurons.tuning import FACTORS, before_relu, shared, tuning_curves, turn
from deepid_lite.verification.features import extract
from deepid_lite.verification.model import FaceModel


@pytest.fixture(scope="module", params=[True, False])
def model(request):
    torch.manual_seed(0)
    net = DeepID2Plus(maps=4, dimension=16, heads=(2, 4), batch_norm=request.param).eval()
    return FaceModel(net, WHOLE_FACE, None, {})


@pytest.mark.parametrize("factor", FACTORS)
def test_every_factor_changes_the_picture_and_its_neutral_step_is_the_same_face(factor):
    faces = turn(factor, [7], [0, 1])[0]
    assert faces.shape == (2, 144, 128, 3) and faces.dtype == np.uint8
    if factor == "age":
        assert not np.array_equal(faces[0], turn("age", [7], [1.0])[0, 0])
    else:
        assert np.array_equal(faces[0], turn("yaw", [7], [0])[0, 0])
        assert not np.array_equal(faces[0], faces[1])


def test_the_positive_part_is_the_feature(model):
    images = turn("smile", [3, 4], [0, 1]).reshape(-1, 144, 128, 3)
    for layer in (2, 4):
        found = before_relu(model, images, layer)
        feature = extract(model.net, crop(images, model.region), flip=False, layer=layer)
        np.testing.assert_allclose(np.maximum(found, 0), feature, atol=1e-6)
        assert (found < 0).any()
    assert not model.net.feature_norms["4"]._forward_hooks, "the net is left as it was"


def test_curves_keep_people_and_steps_apart(model):
    curves = tuning_curves(model, "glasses", [3, 4])
    assert curves.shape == (2, 4, 16)
    np.testing.assert_allclose(curves[1], before_relu(model, turn("glasses", [4])[0]), atol=1e-5)


def test_what_the_steps_do_to_everybody_alike():
    steps, people = np.linspace(-1, 1, 5)[None, :, None], np.array([-1.0, 1.0])[:, None, None]
    parallel, flat, crossed, dead = steps + 3 * people, 0 * steps + people, steps * people, 0 * steps * people
    found = shared(np.concatenate([parallel, flat, crossed, dead], axis=2))
    np.testing.assert_allclose(found, [1, 0, 0, 0], atol=1e-12)
    noise = np.random.default_rng(0).normal(size=(8, 400, 1))
    assert shared(noise)[0] == pytest.approx(1 / 8, abs=0.03)


def test_an_unknown_factor_is_one_line():
    with pytest.raises(DataError, match="yaw, azimuth"):
        turn("mood", [1])


def test_the_picture_has_a_panel_for_each_factor_and_the_threshold_at_zero():
    rng = np.random.default_rng(0)
    curves = {factor: rng.normal(size=(3, len(FACTORS[factor][1]), 2)) for factor in ("yaw", "glasses")}
    fig = figure_tuning(curves, {"yaw": [5, 9], "glasses": [1, 2]})
    assert [ax.get_xlabel() for ax in fig.axes] == [FACTORS[factor][0] for factor in curves]
    mean = fig.axes[0].lines[0]
    np.testing.assert_allclose(mean.get_ydata(), curves["yaw"][:, :, 0].mean(0))
    assert any(set(line.get_ydata()) == {0} for line in fig.axes[1].lines)
