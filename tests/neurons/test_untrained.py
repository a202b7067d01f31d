"""The null model: the same architecture, fresh weights, statistics of pictures and nothing else."""

import numpy as np
import pytest
import torch
from samples import coarse_faces as faces
from samples import net_of_two_heads as a_net

from deepid_lite.errors import DataError
from deepid_lite.faces.regions import WHOLE_FACE, crop
from deepid_lite.neurons.untrained import null_models, untrained_model, untrained_net
from deepid_lite.verification.features import extract
from deepid_lite.verification.model import FaceModel


def test_untrained_has_fresh_weights_and_estimated_statistics():
    net, crops = a_net(), crop(faces())
    state, rng = {k: v.clone() for k, v in net.state_dict().items()}, torch.random.get_rng_state()
    fresh, again = untrained_net(net, crops, seed=3), untrained_net(net, crops, seed=3)
    plain, other = untrained_net(net, crops, seed=3, statistics=False), untrained_net(net, crops, seed=4)
    assert torch.equal(torch.random.get_rng_state(), rng), "the caller's random numbers went on"
    for name, tensor in fresh.state_dict().items():
        assert torch.equal(net.state_dict()[name], state[name]), "the net itself was changed"
        assert torch.equal(again.state_dict()[name], tensor)
        if "running" in name:
            assert not torch.equal(plain.state_dict()[name], tensor)
        elif "num_batches" not in name:
            assert torch.equal(plain.state_dict()[name], tensor)
    assert not torch.equal(fresh.conv1.weight, net.conv1.weight)
    assert not torch.equal(fresh.conv1.weight, other.conv1.weight)
    assert not fresh.training and fresh.norms[0].momentum == net.norms[0].momentum


def test_batch_norm_centres_each_neuron_and_nothing_else_does():
    crops = crop(faces(200))
    rates = {
        name: (extract(net, crops, flip=False) > 0).mean(0)
        for name, net in {
            "norm": untrained_net(a_net(), crops),
            "plain": untrained_net(a_net(), crops, statistics=False),
            "without": untrained_net(a_net(batch_norm=False), crops),
        }.items()
    }
    assert rates["norm"].std() < 0.15 < 0.3 < rates["plain"].std()
    np.testing.assert_allclose(rates["without"], rates["plain"], atol=0.02)  # fresh batch norm is the identity
    assert rates["norm"].mean() == pytest.approx(0.5, abs=0.1)


def test_statistics_of_wrong_pictures_are_one_line():
    with pytest.raises(DataError, match="crop the region"):
        untrained_net(a_net(), faces())
    with pytest.raises(DataError, match="two or more"):
        untrained_net(a_net(), crop(faces(1)))


def test_a_null_model_differs_in_its_net_alone_and_takes_statistics_of_evenly_spaced_images():
    model, images = FaceModel(a_net(), WHOLE_FACE, None, {"data": "x"}), faces(90)
    null = untrained_model(model, images, seed=2, most=30)
    assert (null.region, null.card) == (model.region, model.card)
    expected = untrained_net(model.net, crop(images[::3]), seed=2).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in null.net.state_dict().items())
    both = null_models(model, images, seed=2, most=30)
    assert all(torch.equal(t, expected[name]) for name, t in both["untrained"].net.state_dict().items())
    assert not both["untrained_plain"].net.norms[0].running_mean.any()
