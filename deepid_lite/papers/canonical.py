"""The canonical view [Zhu, Luo, Wang, Tang, ICCV 2013]: a face in any view and light -> the same face from the front.

Paper: a net of locally connected layers learns to draw each person's frontal picture in neutral light. Its last maps,
the face identity-preserving (FIP) features, and its pictures (RL) then recognise people across views better than LBP.
Here: drawn people of 32 x 32 pixels, fewer maps, an Adam in place of plain gradient steps, and a start by least squares
whose details are ours. Not tested: real people. Chapter 16.
"""

import dataclasses
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.views import PIXELS, VIEWS, make_views
from deepid_lite.nets.batches import fingerprint
from deepid_lite.nets.deepid import ARCHITECTURES, build, load_net, to_input
from deepid_lite.nets.layers import LocallyConnected2d
from deepid_lite.nets.recipe import read_recipe
from deepid_lite.nets.training import fit
from deepid_lite.registry import Claim, Estimate, claims, study
from deepid_lite.verification.across_views import baselines, by_view, estimate, rank1_by_view

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
        self.recipe, self.inputs, self.people = recipe, _input(faces.images), torch.as_tensor(faces.labels)
        self.targets = None if frontal is None else _input(frontal).flatten(1)
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
    return load_net(Path(str(resources.files("deepid_lite") / "shipped" / "canonical.safetensors")))[0]


@torch.no_grad()
def features(net, images):
    """uint8 (N, 32, 32) -> FIP features, float32 (N, D)."""
    return torch.cat([net.features(x) for x in _input(images).split(512)]).numpy()


@torch.no_grad()
def canonical(net, images):
    """uint8 (N, 32, 32) -> the frontal pictures that the net draws, floats (N, 32, 32) in about -1 .. 1."""
    return torch.cat([net(x) for x in _input(images).split(512)]).numpy().reshape(-1, PIXELS, PIXELS)


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


def _input(images):
    if images.shape[1:] != (PIXELS, PIXELS) or images.dtype != np.uint8:
        raise DataError(f"pictures: got {images.dtype} {images.shape}, wanted uint8 (N, {PIXELS}, {PIXELS}), grey")
    return to_input(torch.as_tensor(images))[:, None]


# 6 the study

PEOPLE, LIGHTS, SEEDS = (120, 60), 3, (0, 1, 2)
WEIGHTS = {"symmetry alone": 0.0, "symmetry and rank": 0.1, "rank alone": 1e6}


@study
def canonical_view(setup, folder="runs/canonical", people=PEOPLE, seeds=SEEDS, **changes):
    """Rank-1 by view and the error of the frontal picture, of the net, its controls, and features without a net.

    Everything here is drawn, so there is the lite scale only. Numbers with intervals are [value, low, high]: the
    people are drawn anew, and over the seeds Student's t where that is wider. Errors are in percent of the range from
    black to white. `right`: is the true frontal picture that is nearest to the net's the person's own? `chosen`: the
    yaw, without its sign, of each person's picture that a rule without labels takes for the most frontal.
    """
    if setup.name != "lite":
        raise DataError(f"canonical_view, scale {setup.name}: its people are drawn; use --scale lite")
    train_set, test = (
        make_views(n, lights=LIGHTS, part=part) for n, part in zip(people, ("train", "test"), strict=True)
    )
    fronts = [
        make_views(n, (0,), 1, part=part, jitter=0).images for n, part in zip(people, ("train", "test"), strict=True)
    ]
    recipe = read_recipe("canonical", **changes)
    of_train, of_test = baselines(train_set), baselines(test)
    rates = {name: [rank1_by_view(train_set, test, of_train[name], of_test[name])] for name in of_train}
    pictures = {"the input": [_compared(test, test.images / 127.5 - 1, fronts[1])]}
    mean = np.broadcast_to(fronts[0].mean(0) / 127.5 - 1, test.images.shape)
    pictures["mean frontal face"] = [_compared(test, mean, fronts[1])]
    for seed in seeds:
        for name, net in _trained(
            train_set, fronts[0], dataclasses.replace(recipe, seed=seed), Path(folder) / f"seed-{seed}"
        ):
            found = rank1_by_view(train_set, test, features(net, train_set.images), features(net, test.images))
            rates.setdefault(name, []).append(found)
            if name == "FIP":
                both = [canonical(net, faces.images).reshape(len(faces), -1) for faces in (train_set, test)]
                rates.setdefault("its picture", []).append(rank1_by_view(train_set, test, *both))
            if name not in ("untrained", "identification"):
                pictures.setdefault(name, []).append(_compared(test, canonical(net, test.images), fronts[1]))
    return {
        "scale": setup.name, "people": list(people), "views": list(VIEWS), "lights": LIGHTS, "seeds": list(seeds),
        "recipe": dataclasses.asdict(recipe),
        "data_hash": fingerprint(train_set.images, train_set.labels) + fingerprint(test.images, test.labels),
        "rank1": {name: by_view(found) | {"people": np.round(np.mean(found, 2), 3).tolist()}
                  for name, found in rates.items()},
        "pictures": {name: {key: by_view([one[key] for one in found]) for key in ("error", "right")}
                     for name, found in pictures.items()},
        "chosen": {name: _rounded(chosen) for name, chosen in _chosen(test).items()},
    }  # fmt: skip


def _trained(faces, frontal, recipe, folder):
    """(name, net) of each net of a seed."""
    torch.manual_seed(recipe.seed)
    net = build({**recipe.net, "architecture": recipe.architecture}).eval()
    yield "untrained", net
    rows = np.random.default_rng(recipe.seed).permutation(len(faces))[:900]
    goal = _input(frontal)[faces.labels[rows]]
    least_squares(net, _input(faces.images[rows]), goal)
    yield "least squares alone", net
    yield "FIP", train(faces, frontal, recipe, folder / "fip", device="cpu")
    yield "random start", train(faces, frontal, recipe, folder / "random", start="random", device="cpu")
    yield "identification", train(faces, None, recipe, folder / "identification", device="cpu")


def _compared(faces, drawn, frontal):
    """Pictures (N, 32, 32), floats, with the true frontal ones, uint8 (people, 32, 32) -> (people, views) each."""
    true = frontal.reshape(len(frontal), -1) / 127.5 - 1
    errors = ((drawn.reshape(len(drawn), 1, -1) - true) ** 2).mean(2)  # (N, people)
    own = errors[np.arange(len(errors)), faces.labels]
    shape = (len(frontal), len(VIEWS), -1)
    right = 100.0 * (errors.argmin(1) == faces.labels)
    return {"error": 50 * np.sqrt(own).reshape(shape).mean(2), "right": right.reshape(shape).mean(2)}


def _chosen(faces):
    """The yaw of the picture of each person that looks most frontal, by rule: {rule: (people,)}; and of any picture."""
    yaw = np.abs(faces.views).reshape(-1, len(VIEWS) * LIGHTS)
    found = {"any picture": yaw.mean(1)}
    for name, weight in WEIGHTS.items():
        score = frontality(faces.images, weight).reshape(yaw.shape)
        found[name] = yaw[np.arange(len(yaw)), score.argmin(1)]
    return found


def _rounded(values):
    return {"mean": estimate(values), "people": np.round(values, 2).tolist()}


# 7 the claims


def rank1(result, name):
    """Mean over the views, percent."""
    return Estimate(*result["rank1"][name]["mean"])


def gain(result, name, other, part="rank1"):
    """How much more of one method than of the other; the same people and seeds."""
    return Estimate(*estimate(np.array(result[part][name]["people"]) - np.array(result[part][other]["people"])))


claims(
    Claim(
        "F1", section="other systems", study="canonical_view", source="rank-1 by view", paper="72.9 %",
        statement="Features that learn to draw the frontal view recognise people across views better than LBP",
        ours=lambda r: rank1(r, "FIP"), difference=lambda r: gain(r, "FIP", "landmark LBP"), kind="baseline",
        against="landmark LBP", interval="people", margin=4.8, of="FIP",
    ),
    Claim(
        "F2", section="other systems", study="canonical_view", source="rank-1 by view", paper="72.9 %",
        statement="The frontal picture is the stronger supervision than the person's name",
        ours=lambda r: rank1(r, "FIP"), difference=lambda r: gain(r, "FIP", "identification"), kind="baseline",
        against="the same layers trained to name the person", interval="seeds", margin=7.4, of="FIP",
    ),
    Claim(
        "F3", section="other systems", study="canonical_view", source="the start of the training", paper="no number",
        statement="A start by least squares, layer by layer, makes better features than a random one",
        ours=lambda r: rank1(r, "FIP"), difference=lambda r: gain(r, "FIP", "random start"), kind="baseline",
        against="a random start and as many steps", interval="seeds", of="FIP",
    ),
    Claim(
        "F4", section="other systems", study="canonical_view", source="arXiv 1404.3543", paper="no number",
        statement="Symmetry and rank find a person's frontal picture without labels",
        ours=lambda r: Estimate(*r["chosen"]["symmetry and rank"]["mean"]),
        difference=lambda r: gain(r, "any picture", "symmetry and rank", "chosen"), kind="chance",
        against="any picture of the person", interval="people", smaller=True, unit="{:.1f}° of yaw", of="FIP",
    ),
)  # fmt: skip
