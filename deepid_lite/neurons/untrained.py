"""The null model of a net: the same architecture with fresh weights. What it has too, training did not bring."""

import dataclasses

import numpy as np
import torch
from torch import nn

from deepid_lite.errors import DataError
from deepid_lite.faces.regions import crop
from deepid_lite.nets import deepid as nets


def null_models(model, images, seed=0, most=2000):
    """{"untrained", "untrained_plain"}: `untrained_model` with and without statistics."""
    return {
        name: untrained_model(model, images, seed, most, statistics)
        for name, statistics in (("untrained", True), ("untrained_plain", False))
    }


def untrained_model(model, images, seed=0, most=2000, statistics=True):
    """A model (with `net` and `region`) whose net has fresh weights, as `untrained_net` gives it.

    images: uint8 (N, 144, 128, 3) aligned faces; about `most` of them, evenly spaced, give the statistics.
    """
    crops = crop(images[:: max(1, len(images) // most)], model.region)
    return dataclasses.replace(model, net=untrained_net(model.net, crops, seed, statistics))


def untrained_net(net, images, seed=0, statistics=True, batch_size=256):
    """The same architecture with fresh weights, in evaluation mode.

    images: uint8 (N, rows, columns, 3) crops of the net's input shape. Where the net has batch norm, training would
    start from the statistics of its pictures, so those are estimated from `images` (statistics=True). That alone
    centres each neuron, and about half of the images activate it. With statistics=False batch norm does nothing, as
    in the paper's net, which has none.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = nets.build(net.config)
    fresh = fresh.to(next(net.parameters()).device, memory_format=torch.channels_last)
    norms = [module for module in fresh.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    if statistics and norms:
        _estimate(fresh, norms, images, batch_size)
    return fresh.eval()


@torch.no_grad()
def _estimate(net, norms, images, batch_size):
    """Running statistics of batch norm as the mean over equal batches of `images`."""
    if len(images) < 2 or images.shape[1:] != (*net.config["input_shape"], 3) or images.dtype != np.uint8:
        wanted = f"two or more of uint8 (N, {', '.join(map(str, net.config['input_shape']))}, 3)"
        raise DataError(f"images: {images.dtype} {images.shape}, wanted {wanted}; crop the region")
    momentum = norms[0].momentum
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    net.train()
    device = next(net.parameters()).device
    for batch in np.array_split(images, -(-len(images) // batch_size)):
        x = torch.as_tensor(np.ascontiguousarray(batch)).to(device).permute(0, 3, 1, 2)
        net(nets.to_input(x).contiguous(memory_format=torch.channels_last))
    for norm in norms:
        norm.momentum = momentum
