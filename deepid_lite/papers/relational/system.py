"""All of it in one: groups of nets, two levels of averaging, the RBM, and training that reaches down to the nets."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from deepid_lite.errors import DataError
from deepid_lite.files import shipped
from deepid_lite.nets.batches import fingerprint
from deepid_lite.nets.deepid import ARCHITECTURES, build, load_net
from deepid_lite.nets.training import fit
from deepid_lite.papers.relational.net import People, cut, modes, outputs, shape_of, stack
from deepid_lite.papers.relational.rbm import ClassificationRBM, rbm_scores

REGIONS = ("whole face", "eyes and nose", "lower face")
MOST_NETS = 100  # of a region; the paper has five


class ConvNetRBM(nn.Module):
    """Nets of several regions, `nets` of each, and an RBM on their averages [section 3].

    net: options of every `PairNet`. forward: one (N, 6, rows, columns) a region -> log p(y | x), (N, 2). The nets stay
    in evaluation mode, so that batch norm keeps its statistics when all is trained together.
    """

    def __init__(self, regions=REGIONS, nets=2, hidden=8, net=None):
        super().__init__()
        net = net or {}
        if not 1 <= nets <= MOST_NETS:
            raise DataError(f"nets = {nets!r}: use 1 to {MOST_NETS} of a region")
        self.config = dict(
            architecture=type(self).__name__, regions=tuple(regions), nets=nets, hidden=hidden, net=dict(net)
        )
        self.regions = tuple(regions)
        self.groups = nn.ModuleList(
            nn.ModuleList(build({**net, "architecture": "PairNet", "input_shape": shape_of(name)}) for _ in range(nets))
            for name in regions
        )
        self.rbm = ClassificationRBM(len(self.regions), hidden)

    def train(self, mode=True):
        return super().train(False)

    def averages(self, xs):
        """Level 1, the mean of a net's "same person" over the modes, and level 2, over a group's nets: (N, regions)."""
        groups = self.net_outputs(xs)
        return torch.stack([torch.stack(p).mean(0) for p in groups], 1)

    def net_outputs(self, xs):
        """Level 1 alone: for each region a list with (N,) of each of its nets."""
        return [
            [torch.stack([F.softmax(net.classify(net(mode)), 1)[:, 1] for mode in modes(x)]).mean(0) for net in group]
            for x, group in zip(xs, self.groups, strict=True)
        ]

    def forward(self, xs):
        return self.rbm(self.averages(xs))

    def scores(self, images, pairs):
        """log p(same) - log p(different), (P,), of pairs of aligned faces uint8 (N, 144, 128, 3)."""
        x = [
            np.mean([outputs(net, cut(images, name), pairs)[0].mean(0) for net in group], 0)
            for name, group in zip(self.regions, self.groups, strict=True)
        ]
        return rbm_scores(self.rbm, np.stack(x, 1))


ARCHITECTURES["ConvNetRBM"] = ConvNetRBM


class Together(nn.Module):
    """Cross-entropy of the RBM, whose gradient goes down to every net [section 3].

    apart: the control; each net has its own cross-entropy, as before, and the RBM stays as it is. batch: one
    (B, 6, rows, columns) a region, and `same` (B,).
    """

    def __init__(self, net, apart=False):
        super().__init__()
        self.net, self.apart = net, apart
        if apart:
            net.rbm.requires_grad_(False)

    def forward(self, batch, progress):
        *xs, same = batch
        if not self.apart:
            loss = F.nll_loss(self.net(xs), same)
        else:
            p = torch.stack([p for group in self.net.net_outputs(xs) for p in group])
            loss = F.binary_cross_entropy(p, same.float().expand_as(p))
        return loss, {"rbm": loss}


class GroupBatches:
    """step -> (x of each region ..., same): pairs of people as in `PairBatches`, not augmented, for `Together`.

    images: aligned faces uint8 (N, 144, 128, 3); steps: of the one epoch.
    """

    def __init__(self, images, labels, recipe, regions, steps):
        self.recipe, self.steps = recipe, steps
        self.crops = [cut(images, name) for name in regions]
        self.people = People(labels, recipe.batch_size)
        self.fingerprint = fingerprint(self.crops[0], labels)

    def __len__(self):
        return self.steps

    def __call__(self, step, device):
        first, second, same = self.people.pairs(np.random.default_rng([self.recipe.seed, 2, step]))
        xs = [stack(crops[first], crops[second]).to(device) for crops in self.crops]
        return *xs, torch.as_tensor(same).long().to(device)


def fine_tune(system, faces, recipe, folder, steps, apart=False, **options):
    """Train nets and RBM on together and return the system, which is changed in place; apart: see `Together`.

    faces: FaceSet of people whom the nets did not learn from, as those for whom the RBM was fitted.
    """
    batches = GroupBatches(faces.images, faces.labels, recipe, system.regions, steps)
    return fit(Together(system, apart), batches, recipe, folder, **options).cpu()


def pretrained(path=None):
    """The system that ships with the book, or that of a file; DataError where it is of another paper's net."""
    path = path or shipped("relational.safetensors")
    return load_net(path, ConvNetRBM)[0]
