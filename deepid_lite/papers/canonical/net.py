"""The net of [Zhu, Luo, Wang, Tang, ICCV 2013]: filters of their own, a start by least squares, the frontal picture."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.views import PIXELS
from deepid_lite.files import shipped
from deepid_lite.nets.batches import fingerprint
from deepid_lite.nets.deepid import ARCHITECTURES, build, load_net, to_input
from deepid_lite.nets.layers import LocallyConnected2d
from deepid_lite.nets.training import fit

KERNEL = 5

# 1 the net


class CanonicalViewNet(nn.Module):
    """Grey pictures (N, 1, 32, 32) -> the frontal picture (N, 1024).

    Three locally connected layers of 5 x 5 windows with a filter of its own at every place, each rectified and the
    first two pooled by 2, so maps of 32, 16 and 8 pixels a side; `features` are the last, maps[2] * 64 numbers. Then
    one full layer.
    """

    def __init__(self, maps=(4, 8, 8)):
        super().__init__()
        if len(maps) != 3 or min(maps) < 1:
            raise DataError(f"CanonicalViewNet: maps {tuple(maps)}; give three positive numbers")
        self.config = {"architecture": type(self).__name__, "maps": tuple(maps)}
        sides = (PIXELS, PIXELS // 2, PIXELS // 4)
        self.local = nn.ModuleList(
            LocallyConnected2d(n_in, n_out, KERNEL, (side, side))
            for n_in, n_out, side in zip((1, *maps), maps, sides, strict=False)
        )
        self.full = nn.Linear(maps[2] * sides[2] ** 2, PIXELS**2)

    def layer(self, number, x):
        """What one locally connected layer hands on: rectified, and pooled but for the last."""
        x = F.relu(self.local[number](_padded(x)))
        return F.max_pool2d(x, 2) if number < 2 else x

    def features(self, x):
        for number in range(3):
            x = self.layer(number, x)
        return x.flatten(1)

    def forward(self, x):
        return self.full(self.features(x))


def _padded(x):
    return F.pad(x, (KERNEL // 2,) * 4)


ARCHITECTURES["CanonicalViewNet"] = CanonicalViewNet


@torch.no_grad()
def least_squares(net, x, y, ridge=1.0):
    """Weights of a net from one layer at a time, each supervised by the target -> {name: tensor}.

    x: inputs (N, 1, 32, 32), y: frontal pictures (N, 1, 32, 32). In a locally connected layer every place is a problem
    of its own: a ridge regression from its window to the target's pixel there. The paper lets the maps of a place
    sum up to the pixel, which leaves all maps alike; here they come one after the other, each rectified and fitted to
    what the ones before it left over, added and taken away by turns. At the end a ridge regression from the features.
    """
    for number, layer in enumerate(net.local):
        rows, columns = layer.output_size
        goal = F.adaptive_avg_pool2d(y, (rows, columns)).flatten(1).T[..., None]  # (places, N, 1)
        windows = F.unfold(_padded(x), KERNEL).permute(2, 0, 1)  # (places, N, in * 25)
        windows = torch.cat([windows, torch.ones_like(windows[..., :1])], 2)
        gram = windows.transpose(1, 2) @ windows
        factor = torch.linalg.cholesky(gram + ridge * torch.eye(gram.shape[-1]))
        left, weight = goal, []
        for k in range(layer.bias.shape[-1]):
            sign = (-1) ** k
            weight.append(torch.cholesky_solve(windows.transpose(1, 2) @ (sign * left), factor))
            left = left - sign * F.relu(windows @ weight[-1])
        solved = torch.cat(weight, 2)  # (places, in * 25 + 1, out), windows in the order channel, row, column
        shape = (rows, columns, -1, KERNEL, KERNEL, len(weight))
        layer.weight.copy_(solved[:, :-1].view(shape).permute(0, 1, 3, 4, 2, 5))
        layer.bias.copy_(solved[:, -1].view(rows, columns, -1))
        x = net.layer(number, x)
    features = torch.cat([x.flatten(1), torch.ones(len(x), 1)], 1)
    gram = features.T @ features + ridge * torch.eye(features.shape[1])
    solved = torch.linalg.solve(gram, features.T @ y.flatten(1))
    net.full.weight.copy_(solved[:-1].T)
    net.full.bias.copy_(solved[-1])
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


# 2 the objective


class Reconstruction(nn.Module):
    """Mean squared distance of the net's picture and the person's frontal one: batch (x, y)."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, batch, progress):
        x, y = batch
        loss = F.mse_loss(self.net(x), y)
        return loss, {"rms": loss.detach().sqrt()}


class Identification(nn.Module):
    """The control: the same layers, the same pictures, but the target is the person's number; batch (x, people)."""

    def __init__(self, net, n_people):
        super().__init__()
        self.net, self.classifier = net, nn.Linear(net.full.in_features, n_people)

    def forward(self, batch, progress):
        x, people = batch
        loss = F.cross_entropy(self.classifier(self.net.features(x)), people)
        return loss, {"identification": loss.detach()}


# 3 the batches


class Faces:
    """step -> (x, y): pictures, and for each the frontal picture of its person, or the person's number.

    frontal: uint8 (people, 32, 32), or None for the numbers.
    """

    def __init__(self, faces, frontal, recipe):
        if frontal is not None and len(frontal) != len(np.unique(faces.labels)):
            raise DataError(
                f"{len(frontal)} frontal pictures for {len(np.unique(faces.labels))} people; give one of each"
            )
        self.recipe, self.inputs, self.people = recipe, as_input(faces.images), torch.as_tensor(faces.labels)
        self.targets = None if frontal is None else as_input(frontal).flatten(1)
        self.fingerprint = fingerprint(faces.images, faces.labels) + (
            "" if frontal is None else fingerprint(frontal, np.arange(len(frontal)))
        )

    def __len__(self):
        return len(self.people) // self.recipe.batch_size

    def __call__(self, step, device):
        epoch, place = divmod(step, len(self))
        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(len(self.people))
        rows = torch.as_tensor(order[place * self.recipe.batch_size :][: self.recipe.batch_size])
        people = self.people[rows]
        goal = people if self.targets is None else self.targets[people]
        return self.inputs[rows].to(device), goal.to(device)


# 4 training


def train(faces, frontal, recipe, folder, start="least squares", pictures=900, **options):
    """Train on faces in all views towards the frontal pictures (people, 32, 32), and return the net.

    start: "least squares", on the first so many `pictures` of a random order, or "random". frontal: None trains the
    control `Identification`, from a random start.
    """
    if len(faces) < recipe.batch_size:
        raise DataError(f"batch size {recipe.batch_size}: the set has {len(faces)} pictures; use a smaller batch")
    if start not in ("least squares", "random"):
        raise DataError(f"start {start!r}: use 'least squares' or 'random'")
    torch.manual_seed(recipe.seed)
    net = build({**recipe.net, "architecture": recipe.architecture})
    batches = Faces(faces, frontal, recipe)
    if frontal is None:
        return fit(Identification(net, int(faces.labels.max()) + 1), batches, recipe, folder, **options)
    rows = np.random.default_rng(recipe.seed).permutation(len(faces))[:pictures]
    goal = batches.targets[batches.people[rows]].view(-1, 1, PIXELS, PIXELS)
    init = least_squares(net, batches.inputs[rows], goal) if start == "least squares" else None
    return fit(Reconstruction(net), batches, recipe, folder, init=init, **options)


# 5 use


def pretrained():
    """The net that ships with the book: the study's, of the first seed."""
    return load_net(shipped("canonical.safetensors"), CanonicalViewNet)[0]


@torch.no_grad()
def features(net, images):
    """uint8 (N, 32, 32) -> FIP features, float32 (N, D)."""
    return torch.cat([net.features(x) for x in as_input(images).split(512)]).numpy()


@torch.no_grad()
def canonical(net, images):
    """uint8 (N, 32, 32) -> the frontal pictures that the net draws, floats (N, 32, 32) in about -1 .. 1."""
    return torch.cat([net(x) for x in as_input(images).split(512)]).numpy().reshape(-1, PIXELS, PIXELS)


def frontality(images, weight=0.1):
    """How frontal pictures uint8 (N, H, W) look without labels, smaller is more so: (N,) [arXiv 1404.3543].

    M(Y) = ||left - mirrored right||² - weight * ||Y||_*, of grey values from 0 to 1: a frontal face is symmetric, and
    a sharp, well lit one has a large nuclear norm (the sum of its singular values). The paper's weight is not known to
    us.
    """
    if images.ndim != 3 or images.shape[2] % 2:
        raise DataError(f"pictures: got {images.shape}, wanted (N, H, W) with an even W")
    y = images / 255.0
    half = y.shape[2] // 2
    asymmetry = ((y[:, :, :half] - y[:, :, : half - 1 : -1]) ** 2).sum((1, 2))
    return asymmetry - weight * np.linalg.svd(y, compute_uv=False).sum(1)


def as_input(images):
    if images.shape[1:] != (PIXELS, PIXELS) or images.dtype != np.uint8:
        raise DataError(f"pictures: got {images.dtype} {images.shape}, wanted uint8 (N, {PIXELS}, {PIXELS}), grey")
    return to_input(torch.as_tensor(images))[:, None]
