"""Features of pictures and their mirror images."""

import numpy as np
import pytest
import torch

from deepid_lite.errors import DataError
from deepid_lite.nets import deepid as nets
from deepid_lite.verification.features import extract


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return nets.DeepID2Plus(maps=4, dimension=8, heads=(2, 4), batch_norm=True, dropout=0.5)


IMAGES = np.random.default_rng(0).integers(0, 256, (7, 55, 47, 3), dtype=np.uint8)


def test_features_of_image_and_mirror_side_by_side(net):
    features = extract(net, IMAGES)
    assert features.shape == (7, 16) and features.dtype == np.float32
    assert (features >= 0).all() and (features > 0).any()
    np.testing.assert_allclose(features[:, :8], extract(net, IMAGES, flip=False), atol=1e-6)
    np.testing.assert_allclose(features[:, 8:], extract(net, IMAGES[:, :, ::-1], flip=False), atol=1e-6)


def test_they_are_what_the_net_says(net):
    x = torch.as_tensor(IMAGES).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        expected = net.eval()(x)
    for layer in (2, 4):
        np.testing.assert_allclose(extract(net, IMAGES, False, layer), expected[layer], atol=1e-5)


def test_batches_and_dropout_play_no_part(net):
    net.train()
    one = extract(net, IMAGES, batch_size=1)
    net.train()
    np.testing.assert_allclose(one, extract(net, IMAGES, batch_size=5), atol=1e-5)
    assert extract(net, IMAGES[:0]).shape == (0, 16)


def test_bf16_is_close(net):
    full, half = extract(net, IMAGES), extract(net, IMAGES, precision="bf16")
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, full, atol=0.03 * full.max())


@pytest.mark.parametrize("images", [IMAGES[0], IMAGES.astype(np.float32), IMAGES[:, :47], IMAGES[..., :1]])
def test_wrong_pictures_get_one_line(net, images):
    with pytest.raises(DataError, match="crop the region first"):
        extract(net, images)


def test_a_layer_that_is_not_there_gets_one_line(net):
    with pytest.raises(DataError, match="layer 1: this net has features on 2, 4"):
        extract(net, IMAGES, layer=1)
