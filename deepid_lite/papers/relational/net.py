"""The net of [Sun, Wang, Tang, ICCV 2013]: it looks at two faces at once, from its first layer on."""

import dataclasses

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from deepid_lite.errors import DataError
from deepid_lite.faces.regions import SQUARE, by_name, crop
from deepid_lite.nets.batches import augment, check_images, fingerprint, step_seed
from deepid_lite.nets.deepid import ARCHITECTURES, KERNELS, build, map_sizes, to_input
from deepid_lite.nets.layers import LocallyConnected2d
from deepid_lite.nets.training import fit

MARGIN = 2  # pixels that random shifts may use
MODES = 8

# 1 the net


class PairNet(nn.Module):
    """Two faces -> their relational features (N, dimension) >= 0, and with `classify` "same person?" [section 3].

    meet: "first", the paper's: the faces are one picture of six channels, so that map j of the first layer is
    f(b_j + k_j1 * x1 + k_j2 * x2), a pair of filters; "last", our control: the same layers see each face by itself,
    and the absolute difference of their last maps goes on. batch_norm: a modern option, as in `DeepIDNet`. local: conv3
    is shared in blocks of 2 x 2 and conv4 not at all, as in the paper; False: both are ordinary convolutions.
    forward: floats (N, 6, rows, columns) in about -1..1.
    """

    def __init__(
        self, input_shape=(39, 31), maps=(20, 40, 60, 80), dimension=80, meet="first", batch_norm=True, local=True
    ):
        super().__init__()
        if meet not in ("first", "last"):
            raise DataError(f"meet = {meet!r}: two faces meet in the first or the last layer")
        self.config = dict(
            architecture=type(self).__name__, input_shape=tuple(input_shape), maps=tuple(maps), dimension=dimension,
            meet=meet, batch_norm=batch_norm, local=local,
        )  # fmt: skip
        self.meet_first, self.channels = meet == "first", 6 if meet == "first" else 3
        convolved, handed_on = map_sizes(input_shape)
        self.conv1 = nn.Conv2d(self.channels, maps[0], KERNELS[0])
        self.conv2 = nn.Conv2d(maps[0], maps[1], KERNELS[1])
        if local:
            self.conv3 = LocallyConnected2d(maps[1], maps[2], KERNELS[2], convolved[2], share=2)
            self.conv4 = LocallyConnected2d(maps[2], maps[3], KERNELS[3], convolved[3], share=1)
        else:
            self.conv3 = nn.Conv2d(maps[1], maps[2], KERNELS[2])
            self.conv4 = nn.Conv2d(maps[2], maps[3], KERNELS[3])
        self.norms = nn.ModuleList(nn.BatchNorm2d(m) if batch_norm else nn.Identity() for m in maps)
        self.fc = nn.Linear(handed_on[3][0] * handed_on[3][1] * maps[3], dimension)
        self.classify = nn.Linear(dimension, 2)
        for module in (self.conv1, self.conv2, self.conv3, self.conv4, self.fc):
            if not isinstance(module, LocallyConnected2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def maps(self, x):
        """The maps of conv4 (N, channels * rows * columns)."""
        for layer, convolve in enumerate((self.conv1, self.conv2, self.conv3, self.conv4)):
            x = convolve(x)
            if layer < 3:
                x = F.max_pool2d(x, 2)
            x = F.relu(self.norms[layer](x))
        return x.permute(0, 2, 3, 1).flatten(1)

    def forward(self, x):
        if self.meet_first:
            return F.relu(self.fc(self.maps(x)))
        first, second = self.maps(torch.cat(x.split(3, 1))).chunk(2)
        return F.relu(self.fc((first - second).abs()))

    def of_face(self, x):
        """Features (N, dimension) of single faces (N, 3, rows, columns), for the control that names people."""
        return F.relu(self.fc(self.maps(x)))


ARCHITECTURES["PairNet"] = PairNet


def modes(x):
    """The eight ways to show a pair (N, 6, rows, columns): both orders, each face mirrored or not [section 3]."""
    first, second = x.split(3, 1)
    for a, b in ((first, second), (second, first)):
        for left in (a, a.flip(3)):
            for right in (b, b.flip(3)):
                yield torch.cat([left, right], 1)


def multiply_adds(config, faces=2, people=0):
    """Of one forward pass with one pair, or with the single face of the control that names so many people (faces=1)."""
    convolved, handed_on = map_sizes(config["input_shape"])
    channels = 6 if config["meet"] == "first" else 3
    work = 0
    for kernel, (rows, columns), maps in zip(KERNELS, convolved, config["maps"], strict=True):
        work += rows * columns * kernel**2 * channels * maps
        channels = maps
    towers = 1 if config["meet"] == "first" else faces
    return towers * work + (handed_on[3][0] * handed_on[3][1] * channels + people) * config["dimension"]


# 2 the objective


class SameOrNot(nn.Module):
    """Cross-entropy of "same person?" [section 3]. forward: batch (x, same), see `PairBatches`."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, batch, progress):
        x, same = batch
        scores = self.net.classify(self.net(x))
        loss = F.cross_entropy(scores, same)
        return loss, {"right": (scores.argmax(1) == same).float().mean()}


class Identification(nn.Module):
    """The control that names the person in one face, with the same layers. forward: batch (x, people)."""

    def __init__(self, net, n_people):
        super().__init__()
        self.net, self.names = net, nn.Linear(net.fc.out_features, n_people)

    def forward(self, batch, progress):
        x, people = batch
        loss = F.cross_entropy(self.names(self.net.of_face(x)), people)
        return loss, {"identification": loss}


# 3 the batches


class PairBatches:
    """step -> (x, same): pairs of people drawn anew, floats (B, 6, rows, columns); half of them of one person.

    images: uint8 (N, rows + 2m, columns + 2m, 3) crops, labels: int (N,). Each net has a bootstrap of the people of its
    own, drawn from recipe.seed [section 3]. share: of the steps that an epoch otherwise has, N / 2B. Faces are
    augmented each by itself, so that all eight modes occur.
    """

    def __init__(self, images, labels, recipe, shape, share=1.0):
        check_images(images, labels, shape)
        self.recipe, self.shape = recipe, shape
        self.pixels = torch.as_tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        self.people = People(labels, recipe.batch_size, recipe.seed)
        self.fingerprint = fingerprint(images, labels)
        self.steps = max(1, round(share * len(labels) / (2 * recipe.batch_size)))

    def __len__(self):
        return self.steps

    def __call__(self, step, device):
        first, second, same = self.people.pairs(np.random.default_rng([self.recipe.seed, step]))
        draws = torch.Generator().manual_seed(step_seed(self.recipe.seed, step))
        x = augment(self.pixels[np.concatenate([first, second])], self.shape, self.recipe.vary, draws)
        x = torch.cat(x.chunk(2), 1).contiguous(memory_format=torch.channels_last)
        return x.to(device), torch.as_tensor(same).long().to(device)


class SingleFaces(PairBatches):
    """step -> (x, people): as many faces as `PairBatches` has pairs, for `Identification`, of everybody."""

    def __init__(self, images, labels, recipe, shape, share=1.0):
        super().__init__(images, labels, recipe, shape, share)
        self.labels = torch.as_tensor(np.asarray(labels, np.int64))

    def __call__(self, step, device):
        draws = torch.Generator().manual_seed(step_seed(self.recipe.seed, step))
        rows = torch.randint(len(self.labels), (self.recipe.batch_size,), generator=draws)
        x = augment(self.pixels[rows], self.shape, self.recipe.vary, draws)
        return x.contiguous(memory_format=torch.channels_last).to(device), self.labels[rows].to(device)


class People:
    """Who may be drawn into pairs: people with two images or more; bootstrap: drawn with replacement, or all (None)."""

    def __init__(self, labels, batch_size, bootstrap=None):
        labels = np.asarray(labels)
        self.order = np.argsort(labels, kind="stable")
        people, self.start, self.count = np.unique(labels[self.order], return_index=True, return_counts=True)
        self.able = np.flatnonzero(self.count > 1)
        if len(self.able) < 2 or batch_size % 2:
            raise DataError(f"pairs: {len(self.able)} people have two images, batches of {batch_size}; give two people"
                            " and an even batch")  # fmt: skip
        if bootstrap is not None:
            self.able = np.random.default_rng([bootstrap, 1]).choice(self.able, len(self.able))
            if len(np.unique(self.able)) < 2:
                raise DataError(f"pairs: the bootstrap of seed {bootstrap} drew one person; give more people")
        self.half = batch_size // 2

    def pairs(self, rng):
        """Image numbers first, second (B,) and `same` (B,), the first half of them of one person."""
        mine = rng.choice(self.able, self.half)
        i = rng.integers(self.count[mine])
        j = (i + rng.integers(1, self.count[mine])) % self.count[mine]
        a, b = rng.choice(self.able, (2, self.half))
        while (a == b).any():
            b = np.where(a == b, rng.choice(self.able, self.half), b)
        places = [np.concatenate([self.start[mine] + i, self.start[a] + rng.integers(self.count[a])]),
                  np.concatenate([self.start[mine] + j, self.start[b] + rng.integers(self.count[b])])]  # fmt: skip
        return *(self.order[p] for p in places), np.arange(2 * self.half) < self.half


# 4 training


def shape_of(name):
    """Input of the net of that region, from the paper: 39 x 31 for rectangles, 31 x 31 for squares."""
    return (31, 31) if by_name(name).shape == SQUARE else (39, 31)


def cut(images, name, margin=0):
    """Crops uint8 (N, rows + 2 margin, columns + 2 margin, 3) of aligned faces for the net of that region."""
    return crop(images, dataclasses.replace(by_name(name), shape=shape_of(name)), margin)


def train(crops, labels, recipe, folder, identify=False, share=1.0, **options):
    """Train a PairNet, recipe.net, on crops of one region, with MARGIN pixels around them, and return it.

    identify: the control that names people. share: of the steps. options: see training.fit.
    """
    torch.manual_seed(recipe.seed)
    net = build({**recipe.net, "architecture": "PairNet"})
    shape = net.config["input_shape"]
    objective = Identification(net, int(np.max(labels)) + 1) if identify else SameOrNot(net)
    batches = (SingleFaces if identify else PairBatches)(crops, labels, recipe, shape, share)
    return fit(objective, batches, recipe, folder, **options).cpu()


# 5 use


def stack(first, second, shape=None):
    """Two sets of crops, uint8 (N, rows, columns, 3) each -> floats (N, 6, rows, columns), the input of a `PairNet`.

    DataError where they are not of one size, or not of the net's, `shape`.
    """
    for crops in (first, second):
        if crops.ndim != 4 or crops.dtype != np.uint8 or crops.shape[3] != 3:
            raise DataError(f"pair: got {crops.dtype} {crops.shape}, wanted uint8 (N, rows, columns, 3); cut a region")
    if first.shape != second.shape:
        raise DataError(f"pair: faces of {first.shape} and {second.shape}; cut the same region from as many of both")
    if shape and first.shape[1:3] != tuple(shape):
        raise DataError(f"pair: crops of {first.shape[1:3]} for a net of {tuple(shape)}; cut the region of this net")
    both = torch.as_tensor(np.concatenate([first, second], 3).transpose(0, 3, 1, 2))
    return to_input(both).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def outputs(net, crops, pairs, batch_size=500):
    """(p, features) of pairs in all modes: the net's "same person" (8, P), and the mean of its features (P, D)."""
    p, features = [], []
    for i in range(0, len(pairs.first), batch_size):
        rows = slice(i, i + batch_size)
        x = stack(crops[pairs.first[rows]], crops[pairs.second[rows]], net.config["input_shape"])
        of_modes = [net(mode) for mode in modes(x)]
        p.append(torch.stack([F.softmax(net.classify(f), 1)[:, 1] for f in of_modes]))
        features.append(torch.stack(of_modes).mean(0))
    return torch.cat(p, 1).numpy(), torch.cat(features).numpy()


@torch.no_grad()
def face_features(net, crops, batch_size=1000):
    """Of the control that names people: features (N, 2 dimension), of each face and of its mirror image."""
    found = []
    for i in range(0, len(crops), batch_size):
        x = to_input(torch.as_tensor(np.ascontiguousarray(crops[i : i + batch_size].transpose(0, 3, 1, 2))))
        found.append(torch.cat([net.of_face(x), net.of_face(x.flip(3))], 1))
    return torch.cat(found).numpy()
