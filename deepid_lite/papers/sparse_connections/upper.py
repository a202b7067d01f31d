"""The same with a trained net of photographs: its three upper layers, on the maps that the two lower ones make.

The net of the web faces is a DeepID2+. Its conv3, conv4 and FC-4 stand for lc_a, lc_b and f; conv1 and conv2, with 3 %
of the weights, stay as they are, so that their maps are made once and a training takes seconds.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from deepid_lite.files import replacing
from deepid_lite.nets.batches import BatchRows, fingerprint, step_seed
from deepid_lite.nets.deepid import ARCHITECTURES, build, map_sizes, net_hash, to_input
from deepid_lite.nets.layers import LocallyConnected2d
from deepid_lite.nets.losses import Verification
from deepid_lite.nets.training import fit
from deepid_lite.papers.sparse_connections.net import ORDER, Masked

SCALE = 20.0  # of the scores that a fresh classifier gives: the difference between a person's own and another's

# 1 the net


class UpperNet(Masked):
    """conv3, conv4 and FC-4 of a DeepID2+ with a mask each, and a classifier.

    forward: floats (N, C, 12, 10), maps of the second layer, -> {1: (N, dimension) features >= 0}. shared: how many
    weights lie in the layers below.
    """

    def __init__(self, n_people, input_shape=(55, 47), maps=(128,) * 4, dimension=512, dropout=0.5):
        super().__init__()
        self.config = dict(
            architecture="UpperNet", n_people=n_people, input_shape=tuple(input_shape), maps=tuple(maps),
            dimension=dimension, dropout=dropout,
        )  # fmt: skip
        self.heads, self.dimension = (1,), dimension
        convolved, handed_on = map_sizes(input_shape)
        self.lc_a = LocallyConnected2d(maps[1], maps[2], 3, convolved[2], share=2)
        self.lc_b = LocallyConnected2d(maps[2], maps[3], 2, convolved[3], share=1)
        self.f = nn.Linear(handed_on[3][0] * handed_on[3][1] * maps[3], dimension)
        self.classifier, self.dropout = nn.Linear(dimension, n_people), nn.Dropout(dropout)
        norms = nn.BatchNorm2d(maps[2]), nn.BatchNorm2d(maps[3]), nn.BatchNorm1d(dimension)
        self.norms = nn.ModuleDict(dict(zip(ORDER[::-1], norms, strict=True)))
        for layer in (self.f, self.classifier):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.shared = 3 * maps[0] * 4 * 4 + maps[0] * maps[1] * 3 * 3
        self.mask_layers()

    def forward(self, x):
        x = F.relu(self.norms["lc_a"](F.max_pool2d(self.lc_a(x), 2)))
        x = F.relu(self.norms["lc_b"](self.lc_b(x)))
        return {1: F.relu(self.norms["f"](self.f(x.permute(0, 2, 3, 1).flatten(1))))}

    def inputs(self, maps):
        """Stored maps, float16 (N, C, 12, 10), as floats."""
        return torch.as_tensor(np.ascontiguousarray(maps)).float().contiguous(memory_format=torch.channels_last)

    def active(self, name, y):
        """The neurons of a layer of ORDER from its sums."""
        return F.relu(self.norms[name](y))


ARCHITECTURES["UpperNet"] = UpperNet


def upper_part(net, n_people):
    """The UpperNet of a trained DeepIDNet; its classifier has fresh weights."""
    maps, dropout = net.config["maps"], net.config["dropout"]
    upper = UpperNet(n_people, net.config["input_shape"], maps, net.dimension, dropout)
    pairs = (("lc_a", net.conv3, net.norms[2]), ("lc_b", net.conv4, net.norms[3]))
    for name, layer, norm in (*pairs, ("f", net.fc["4"], net.feature_norms["4"])):
        own = getattr(upper, name)
        with torch.no_grad():
            own.parametrizations.weight.original.copy_(layer.weight)
            own.bias.copy_(layer.bias)
        upper.norms[name].load_state_dict(norm.state_dict())
    return upper.eval()


@torch.inference_mode()
def lower_maps(net, images, path=None, batch_size=256):
    """What a DeepIDNet's second layer hands on: float16 (N, C, 12, 10); images: uint8 (N, 55, 47, 3).

    path: a .npy file to keep them in; one that is there is read.
    """
    if path is not None and path.is_file():
        return np.load(path, mmap_mode="r", allow_pickle=False)
    sizes = map_sizes(net.config["input_shape"])[1][1]
    found = np.empty((len(images), net.config["maps"][1], *sizes), np.float16)
    for start in range(0, len(images), batch_size):
        x = to_input(torch.as_tensor(np.ascontiguousarray(images[start : start + batch_size])).permute(0, 3, 1, 2))
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            for layer, convolve in enumerate((net.conv1, net.conv2)):
                x = F.relu(net.norms[layer](F.max_pool2d(convolve(x), 2)))
        found[start : start + len(x)] = x.float().numpy()
    if path is not None:
        with replacing(path) as part:
            np.save(part, found)
    return found


# 2 the objective


class Signals(nn.Module):
    """What the web faces' net learned by: who it is, behind dropout, and lambda times whether two are one person."""

    def __init__(self, net, recipe):
        super().__init__()
        self.net, self.recipe = net, recipe
        self.verification = Verification(**recipe.verification) if recipe.weight else None

    def forward(self, batch, progress):
        x, people = batch
        features = self.net(x)[1]
        scores = self.net.classifier(self.net.dropout(features)).float()
        parts = {"ident": F.cross_entropy(scores, people, label_smoothing=self.recipe.label_smoothing)}
        if self.verification is None:
            return parts["ident"], parts
        parts["verif"] = self.verification(features, people)
        return parts["ident"] + self.recipe.weight * parts["verif"], parts


# 3 the batches


class StoredMaps:
    """step -> (maps, people): half of the pictures mirrored. maps: float16 (2, N, C, 12, 10), picture and mirror."""

    def __init__(self, maps, labels, recipe, data_hash):
        self.maps, self.labels, self.recipe = maps, np.asarray(labels, np.int64), recipe
        self.fingerprint = fingerprint(maps[0], labels, data_hash)
        self.rows = BatchRows(self.labels, recipe)

    def __len__(self):
        return len(self.rows)

    def __call__(self, step, device):
        rows = np.sort(self.rows(step))
        mirrored = np.random.default_rng(step_seed(self.recipe.seed, step)).integers(0, 2, len(rows))
        x = torch.as_tensor(self.maps[mirrored, rows]).to(device).float()
        return x.contiguous(memory_format=torch.channels_last), torch.as_tensor(self.labels[rows]).to(device)


# 4 training


def train(maps, labels, recipe, folder, net, data_hash, device=None):
    """Train `net` on, with the masks that it has. See `StoredMaps`; recipe, folder, device: training.fit.

    data_hash: of the pictures and of the net that made the maps.
    """
    torch.manual_seed(recipe.seed)
    fresh = build(net.config)
    batches = StoredMaps(maps, labels, recipe, data_hash)
    return fit(Signals(fresh, recipe), batches, recipe, folder, device, init=net.state_dict())


# 5 use


@torch.no_grad()
def name_people(net, maps, labels):
    """Give a net the classifier that its features allow without training: the nearest mean of a person, in place."""
    features = np.concatenate([net(net.inputs(maps[i : i + 256]))[1].numpy() for i in range(0, len(maps), 256)])
    middle = features.mean(0)
    means = np.stack([np.bincount(labels, column) for column in (features - middle).T], 1)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    own = ((features - middle) * means[labels]).sum(1).mean()
    weight = torch.as_tensor(means * (SCALE / own), dtype=torch.float32)
    net.classifier.weight.copy_(weight)
    net.classifier.bias.copy_(-weight @ torch.as_tensor(middle))
    return net


def mark(faces, net):
    """A hash of pictures and of the net that made their maps."""
    return f"{faces.data_hash} {net_hash(net)}"
