"""What sparsity buys: a file without the absent weights, and a layer as a sparse matrix with its time."""

import time
from pathlib import Path

import numpy as np
import torch
from scipy import sparse

from deepid_lite import tensors
from deepid_lite.errors import DataError
from deepid_lite.files import shipped
from deepid_lite.nets.deepid import build, with_weights
from deepid_lite.nets.layers import LocallyConnected2d
from deepid_lite.papers.sparse_connections.net import ORDER, Masked


def save_packed(path, net, half=False):
    """Write a net with masks, with its absent weights left out: the masks as bits, the weights that are there as fp32.

    half: these as fp16, in half of the bytes.
    """
    found = {}
    for name, tensor in net.state_dict().items():
        layer = name.split(".")[0]
        if name.endswith(".kept"):
            found[f"{layer}.bits"] = torch.as_tensor(np.packbits(tensor.numpy()))
        elif name.endswith(".original"):
            values = tensor[getattr(net, layer).parametrizations.weight[0].kept]
            found[f"{layer}.values"] = values.half() if half else values
        else:
            found[name] = tensor
    tensors.save(path, found, {"net": net.config})


def load_packed(path=None):
    """Read what `save_packed` wrote -> that net, in evaluation mode; DataError where masks and values do not fit.

    None: the shipped net, dense, of drawn faces.
    """
    path = path or shipped("sparse_connections.safetensors")
    found, facts = tensors.load(path)
    with tensors.contents_of(path):
        with torch.device("meta"):
            net = build(facts["net"])
        if not isinstance(net, Masked):
            raise DataError(f"a {type(net).__name__}, no net with masks")
        weights = {name: t for name, t in found.items() if not name.endswith((".bits", ".values"))}
        for layer in ORDER:
            own = getattr(net, layer).parametrizations.weight[0].kept
            bits, values = (found[f"{layer}.{kind}"] for kind in ("bits", "values"))
            tensors.check({"mask": bits}, {"mask": torch.zeros(-(-own.numel() // 8), dtype=torch.uint8)})
            kept = torch.as_tensor(np.unpackbits(bits.numpy())[: own.numel()].astype(bool)).reshape(own.shape)
            tensors.check({"values": values}, {"values": torch.zeros(int(kept.sum()))})
            weights[f"{layer}.parametrizations.weight.0.kept"] = kept
            weights[f"{layer}.parametrizations.weight.original"] = torch.zeros(own.shape)
            weights[f"{layer}.parametrizations.weight.original"][kept] = values.float()
        return with_weights(facts["net"], weights)


def as_matrix(layer, shape):
    """A layer with its mask as one sparse matrix: scipy CSR (outputs, inputs) between flat maps in channels-last order.

    shape: (rows, columns) of the map that a locally connected layer reads.
    """
    weight = layer.weight.detach().numpy()
    if weight.ndim == 2:
        return sparse.csr_array(weight)
    weight = weight.repeat(layer.share[0], 0).repeat(layer.share[1], 1)  # where places share, once for each
    rows, columns = layer.output_size
    channels, outputs = weight.shape[-2:]
    r, c, i, j, channel, output = np.nonzero(weight)
    reads = ((r + i) * shape[1] + c + j) * channels + channel
    feeds = (r * columns + c) * outputs + output
    sizes = (rows * columns * outputs, shape[0] * shape[1] * channels)
    return sparse.csr_array((weight[r, c, i, j, channel, output], (feeds, reads)), shape=sizes)


def what_it_buys(net, folder, batches=(1, 64), repeats=20):
    """Bytes of the packed file beside the dense one, and milliseconds of lc_a as a dense and as a sparse product."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save_packed(folder / "packed.safetensors", net)
    bytes_of = {"packed": (folder / "packed.safetensors").stat().st_size}
    bytes_of["dense"] = 4 * sum(t.numel() for name, t in net.state_dict().items() if not name.endswith(".kept"))
    rows, columns = (side + net.lc_a.kernel_size - 1 for side in net.lc_a.output_size)
    matrix = as_matrix(net.lc_a, (rows, columns))
    layer = LocallyConnected2d(*net.lc_a.weight.shape[-2:], net.lc_a.kernel_size, net.lc_a.output_size, net.lc_a.share)
    layer.load_state_dict({"weight": net.lc_a.weight, "bias": net.lc_a.bias})  # dense, its absent weights are zeros
    times = {
        f"{n}": _times(layer, matrix, torch.rand(n, net.lc_a.weight.shape[-2], rows, columns), repeats) for n in batches
    }
    return {"bytes": bytes_of, "milliseconds": times, "threads": torch.get_num_threads()}


def _times(layer, matrix, x, repeats):
    """Milliseconds of maps x (N, C, rows, columns) through the layer, and through the matrix that stands for it."""
    x = x.contiguous(memory_format=torch.channels_last)
    flat = np.ascontiguousarray(x.permute(0, 2, 3, 1).flatten(1).numpy().T)
    with torch.inference_mode():
        return {"dense": _fastest(lambda: layer(x), repeats), "sparse": _fastest(lambda: matrix @ flat, repeats)}


def _fastest(work, repeats):
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return round(1000 * min(found), 4)
