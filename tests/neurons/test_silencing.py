"""Silenced neurons and input gradients."""

import numpy as np
import pytest
import torch

from deepid_lite.errors import DataError
from deepid_lite.nets import deepid as nets
from deepid_lite.neurons.selectiveness import split_images
from deepid_lite.neurons.silencing import input_gradient, silencing_curves


def people(n_people=4, n_images=30, d=64, own=8, seed=0):
    """Features in which person p excites neurons 8 p .. 8 p + 7 and everything else is noise."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(n_people), n_images)
    features = rng.random((len(labels), d)).astype(np.float32)
    for person in range(n_people):
        features[labels == person, own * person : own * (person + 1)] += 1
    return features, labels


def test_without_their_neurons_a_person_is_lost_and_the_others_are_not():
    features, labels = people()
    targets = labels[:, None] == np.arange(3)
    found = silencing_curves(features, targets, split_images(labels), [0, 8, 40], draws=4)
    assert found.own.shape == found.others.shape == found.random.shape == (3, 3)
    np.testing.assert_allclose(found.own[:, 0], 1)
    # the neurons of the others tell them apart still, but nothing of their own does
    assert (found.own[:, 1] < 0.95).all() and (found.others[:, 1] > 0.99).all()
    assert (found.random[:, 1] > 0.99).all()


def test_no_lesion_is_the_cosine_to_the_template():
    from deepid_lite.verification.metrics import auc

    features, labels = people(seed=3, own=2)
    first, target = split_images(labels), labels == 1
    expected = []
    for fit in (first, ~first):
        template = features[fit & target].mean(0)
        cosine = features @ template / np.linalg.norm(features, axis=1)
        expected.append(auc(cosine[~fit], target[~fit]))
    found = silencing_curves(features, target[:, None], first, [0], draws=2)
    assert found.own[0, 0] == pytest.approx(np.mean(expected), abs=1e-5)
    assert found.random[0, 0] == pytest.approx(found.own[0, 0]) and found.random_sd[0, 0] < 1e-9


@pytest.mark.parametrize("silenced", [[64], [-1], []])
def test_one_neuron_must_stay(silenced):
    features, labels = people()
    with pytest.raises(DataError, match="give numbers from 0 to 63, one neuron must stay"):
        silencing_curves(features, labels[:, None] == 0, split_images(labels), silenced)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return nets.DeepID2Plus(maps=4, dimension=8, heads=(2, 4), dropout=0.0).eval()


IMAGES = np.random.default_rng(0).integers(0, 256, (3, 55, 47, 3), dtype=np.uint8)


def test_the_gradient_is_that_of_finite_differences(net):
    with torch.no_grad():
        x = nets.to_input(torch.as_tensor(IMAGES).permute(0, 3, 1, 2))
        base = net(x)[4]
        neuron = int((base > 0).float().mean(0).argmax())
        row, column, step = 20, 30, 1e-2
        slope = []
        for colour in range(3):
            moved = x.clone()
            moved[:, colour, row, column] += step
            slope.append((net(moved)[4] - base)[:, neuron].numpy() / step)
    found = input_gradient(net, IMAGES, neuron)
    assert found.shape == (3, 55, 47) and found.max() > 0
    np.testing.assert_allclose(found[:, row, column], np.linalg.norm(slope, axis=0), atol=2e-3 + 0.05 * found.max())


def test_the_neuron_of_the_flip_sees_the_flipped_picture(net):
    picture = input_gradient(net, IMAGES, 5)
    flip = input_gradient(net, IMAGES[:, :, ::-1], 5 + 8)
    np.testing.assert_allclose(flip, picture[:, :, ::-1], atol=1e-6)


def test_a_neuron_that_is_not_there_gets_one_line(net):
    with pytest.raises(DataError, match="neuron 16: picture and flip have neurons 0 to 15"):
        input_gradient(net, IMAGES, 16)
