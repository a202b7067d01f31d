"""The net whose connections carry masks, how it is trained, and which connections are kept [sections 3.1 to 3.3]."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from deepid_lite.errors import DataError
from deepid_lite.nets.batches import FaceBatches
from deepid_lite.nets.deepid import ARCHITECTURES, build, to_input
from deepid_lite.nets.layers import LocallyConnected2d
from deepid_lite.nets.training import fit

ORDER = ("f", "lc_b", "lc_a")  # from the top down, as the paper
STRONG = 0.75  # lambda: so much of what is kept comes from the stronger half [section 3]
HOWS = ("correlation", "random", "strongest", "magnitude")
MARGIN = 4  # pixels that random shifts may use

# 1 the net


class Mask(nn.Module):
    """Which connections are there. It multiplies the weights, so that no sum and no gradient passes by the others."""

    def __init__(self, weight):
        super().__init__()
        self.register_buffer("kept", torch.ones_like(weight, dtype=torch.bool))

    def forward(self, weight):
        return weight * self.kept


class Masked(nn.Module):
    """A net whose layers of ORDER, the upper ones, have a mask each; the numbers of connections that it has left.

    A net brings `inputs`, from what is stored to what forward takes, `active`, from a layer's sums to its neurons, and
    `shared`, how many weights lie below its masks.
    """

    def mask_layers(self):
        for name in ORDER:
            layer = getattr(self, name)
            parametrize.register_parametrization(layer, "weight", Mask(layer.weight))

    def mask(self, name):
        """The mask of a layer of ORDER as (places, inputs, outputs), a view of what the net uses."""
        return _table(getattr(self, name).parametrizations.weight[0].kept)

    def density(self, name=None):
        """The share of the weights that are there: of a layer, or of all layers below the classifier."""
        kept = {n: int(self.mask(n).sum()) for n in ORDER}
        size = {n: self.mask(n).numel() for n in ORDER}
        if name:
            return kept[name] / size[name]
        return (self.shared + sum(kept.values())) / (self.shared + sum(size.values()))


class SparseNet(Masked):
    """Two convolutions, two locally connected layers without any sharing and one full layer [section 3.1, smaller].

    Nearly all weights lie in the three upper layers, and each of these has a mask. forward: floats
    (N, 3, 55, 47) -> {1: (N, dimension) features >= 0}; `classifier` tells n_people apart by them.
    """

    def __init__(self, n_people, input_shape=(55, 47), maps=(16, 32), local=(48, 32), dimension=128):
        super().__init__()
        self.config = dict(
            architecture="SparseNet", n_people=n_people, input_shape=tuple(input_shape), maps=tuple(maps),
            local=tuple(local), dimension=dimension,
        )  # fmt: skip
        self.heads, self.dimension = (1,), dimension
        rows, columns = (((side // 2 - 2) // 2 - 2) - 2 for side in input_shape)  # of lc_a's map
        if min(rows, columns) < 2:
            raise DataError(f"input {tuple(input_shape)}: too small for SparseNet; use 55 x 47")
        self.conv1 = nn.Conv2d(3, maps[0], 3)
        self.conv2 = nn.Conv2d(maps[0], maps[1], 3)
        self.lc_a = LocallyConnected2d(maps[1], local[0], 3, (rows, columns))
        self.lc_b = LocallyConnected2d(local[0], local[1], 3, (rows // 2, columns // 2))
        self.f = nn.Linear((rows // 2) * (columns // 2) * local[1], dimension)
        self.classifier = nn.Linear(dimension, n_people)
        for layer in (self.conv1, self.conv2, self.f):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.shared = self.conv1.weight.numel() + self.conv2.weight.numel()
        self.mask_layers()

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(F.avg_pool2d(x, 2)), 2))
        x = F.relu(F.max_pool2d(self.lc_a(F.relu(self.conv2(x))), 2))
        x = F.relu(self.lc_b(F.pad(x, (1, 1, 1, 1))))
        return {1: F.relu(self.f(x.permute(0, 2, 3, 1).flatten(1)))}

    def inputs(self, images):
        """Pictures uint8 (N, 55, 47, 3) as floats (N, 3, 55, 47)."""
        x = torch.as_tensor(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
        return to_input(x).contiguous(memory_format=torch.channels_last)

    def active(self, name, y):
        """The neurons of a layer of ORDER from its sums."""
        return F.relu(y)


ARCHITECTURES["SparseNet"] = SparseNet


def _table(weight):
    """A layer's weights, or their mask, as (places, inputs, outputs), a view; a full layer has one place."""
    return weight.T[None] if weight.ndim == 2 else weight.flatten(2, 4).flatten(0, 1)


# 2 the objective


class Identification(nn.Module):
    """Cross-entropy over the people of the training set."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, batch, progress):
        x, people = batch
        loss = F.cross_entropy(self.net.classifier(self.net(x)[1]), people)
        return loss, {"ident": loss}


# 3 the batches: `FaceBatches`, as DeepID's
# 4 training


def train(crops, labels, recipe, folder, net=None, device=None):
    """Train a SparseNet, or train `net` on with the masks that it has.

    crops: uint8 (N, 55 + 2 MARGIN, 47 + 2 MARGIN, 3). recipe, folder, device: see training.fit.
    """
    torch.manual_seed(recipe.seed)
    fresh = build(recipe.net | {"architecture": "SparseNet"})
    batches = FaceBatches(crops, labels, recipe, fresh.config["input_shape"])
    return fit(Identification(fresh), batches, recipe, folder, device, init=net and net.state_dict())


# 5 use


@torch.no_grad()
def correlations(net, name, images, batch_size=250):
    """Correlation of each neuron of a layer with each of its inputs over the images: float64 (places, inputs, outputs).

    images: what the net's `inputs` takes, (N, ...). One pass, sums in float64. A neuron that is the same on all images,
    dead or not, has no correlation: it gets 0. Where several places share their weights, the mean of theirs counts.
    """
    seen = {}
    layer = getattr(net, name)
    hook = layer.register_forward_hook(lambda _, x, y: seen.update(x=x[0], y=net.active(name, y)))
    sums = 0.0
    try:
        for i in range(0, len(images), batch_size):
            net(net.inputs(images[i : i + batch_size]))
            a, b = outputs_of(seen["y"]).double(), inputs_of(layer, seen["x"]).double()
            moments = (a.sum(0), (a * a).sum(0), b.sum(0), (b * b).sum(0), torch.einsum("npi,npo->pio", b, a))
            sums = moments if i == 0 else tuple(s + m for s, m in zip(sums, moments, strict=True))
    finally:
        hook.remove()
    a, aa, b, bb, ab = (s.numpy() / len(images) for s in sums)
    spread = _deviation(b, bb)[:, :, None] * _deviation(a, aa)[:, None]
    covariance = ab - b[:, :, None] * a[:, None]
    found = np.divide(covariance, spread, out=np.zeros_like(ab), where=spread > 0)
    return found if found.shape[0] == 1 else _of_banks(found, layer)


def _of_banks(found, layer):
    """Correlations (rows * columns, inputs, outputs) as means over the places of each bank of filters."""
    (rows, columns), (high, wide) = layer.banks, layer.share
    return found.reshape(rows, high, columns, wide, *found.shape[1:]).mean((1, 3)).reshape(-1, *found.shape[1:])


def _deviation(mean, square):
    variance = square - mean**2
    return np.sqrt(np.where(variance > 1e-12 * square, variance, 0))  # the rest is rounding


def outputs_of(y):
    """Activations (N, C, rows, columns) or (N, C) as (N, places, outputs)."""
    return y[:, None] if y.ndim == 2 else y.permute(0, 2, 3, 1).flatten(1, 2)


def inputs_of(layer, x):
    """What each place of a layer reads, as (N, places, inputs), in the order of its weights."""
    if x.ndim == 2:
        return x[:, None]
    (rows, columns), k = layer.output_size, layer.kernel_size
    x = x.permute(0, 2, 3, 1)
    windows = [x[:, i : i + rows, j : j + columns] for i in range(k) for j in range(k)]
    return torch.stack(windows, dim=3).flatten(3, 4).flatten(1, 2)


def choose(scores, n, how, rng):
    """Which n of the candidates to keep: bool (K,).

    scores: (K,), correlations for "correlation" and "strongest", weights for "magnitude", anything for "random".
    "correlation" [section 3]: positive and negative ones apart, each sorted and halved; STRONG of what is kept is drawn
    from the stronger half, the rest from the weaker. What has no correlation lies in the weaker half of the positive.
    """
    kept = np.zeros(len(scores), bool)
    if how == "random":
        kept[rng.choice(len(scores), n, replace=False)] = True
    elif how in ("strongest", "magnitude"):
        kept[np.argsort(-np.abs(scores), kind="stable")[:n]] = True
    elif how == "correlation":
        counts = (scores > 0).sum(), (scores != 0).sum()
        positive = round(n * counts[0] / counts[1]) if counts[1] else n
        positive = min(max(positive, n - (scores < 0).sum()), (scores >= 0).sum())
        for sign, share in ((1, positive), (-1, n - positive)):
            places = np.flatnonzero(sign * scores > 0)
            strong, weak = np.split(
                places[np.argsort(-np.abs(scores[places]), kind="stable")], [(len(places) + 1) // 2]
            )
            weak = np.concatenate([weak, np.flatnonzero(scores == 0)]) if sign > 0 else weak
            most = min(len(strong), max(round(STRONG * share), share - len(weak)))
            kept[rng.choice(strong, most, replace=False)] = True
            kept[rng.choice(weak, share - most, replace=False)] = True
    else:
        raise DataError(f"how = {how!r}: use one of {', '.join(HOWS)}")
    return kept


def sparsify(net, name, density, how="correlation", images=None, seed=0):
    """Take connections of a layer away, in place, until `density` of its weights are left; kept ones are among those
    that there are. images: for the correlations, as there."""
    mask = net.mask(name).numpy()
    n = round(density * mask.size)
    if not 0 < n <= mask.sum():
        left = net.density(name)
        raise DataError(f"density {density:g} of layer {name}: use more than 0 and at most {left:g}, what it has now")
    if how in ("correlation", "strongest"):
        scores = correlations(net, name, images)
    else:
        scores = _table(getattr(net, name).weight.detach()).numpy()
    candidates = np.flatnonzero(mask.ravel())
    kept = choose(scores.ravel()[candidates], n, how, np.random.default_rng(seed))
    chosen = np.zeros(mask.size, bool)
    chosen[candidates[kept]] = True
    mask[...] = chosen.reshape(mask.shape)
