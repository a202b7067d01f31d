"""The net whose maps are followed: four shared convolutions that learn people, or attributes, from faces on clutter."""

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from deepid_lite.errors import DataError
from deepid_lite.files import shipped
from deepid_lite.nets.batches import FaceBatches, fingerprint
from deepid_lite.nets.deepid import ARCHITECTURES, build, load_net, to_input
from deepid_lite.nets.training import fit
from deepid_lite.papers.tracking.videos import CROP

ROI = 96  # side of the square that the net sees of a frame, pixels
MAP = ROI // 4  # side of the heat maps

# 1 the net


class TrackingNet(nn.Module):
    """Pictures (N, 3, R, C) -> maps of conv2 at a quarter of R x C, and of conv4 at an eighth.

    In the place of VGG-16's conv4-3 and conv5-3. maps: of each convolution.
    """

    def __init__(self, maps=(16, 32, 48, 64)):
        super().__init__()
        if len(maps) != 4 or min(maps) < 1:
            raise DataError(f"maps {tuple(maps)}: use four positive numbers")
        self.config = dict(architecture=type(self).__name__, maps=tuple(maps))
        sizes = (3, *maps)
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=1 + (n == 0), padding=1)
            for n, (a, b) in enumerate(zip(sizes, maps, strict=False))
        )
        self.norms = nn.ModuleList(map(nn.BatchNorm2d, maps))
        for layer in self.convs:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, x):
        found = []
        for n, (convolve, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = F.relu(norm(convolve(x)))
            found.append(x)
            x = F.max_pool2d(x, 2) if n in (1, 2) else x
        return F.max_pool2d(found[1], 2), found[3]


ARCHITECTURES["TrackingNet"] = TrackingNet


# 2 the objective


class Names(nn.Module):
    """Cross-entropy over people, or over attributes, from mean and maximum of each map of conv4."""

    def __init__(self, net, targets):
        super().__init__()
        self.net, self.people = net, targets.ndim == 1
        self.head = nn.Linear(2 * net.config["maps"][-1], int(targets.max()) + 1 if self.people else targets.shape[1])

    def forward(self, batch, progress):
        x, wanted = batch
        upper = self.net(x)[1]
        scores = self.head(torch.cat([upper.mean((2, 3)), upper.amax((2, 3))], 1))
        if self.people:
            loss = F.cross_entropy(scores, wanted)
        else:
            loss = F.binary_cross_entropy_with_logits(scores, wanted, reduction="none").sum(1).mean()
        return loss, {}


# 3 the batches


class Crops(FaceBatches):
    """step -> (x, targets): people (B,) or attributes (B, A) of 0 and 1; images uint8 (N, 64, 64, 3)."""

    def __init__(self, images, targets, recipe):
        super().__init__(images, np.arange(len(images)), recipe, (CROP, CROP))
        self.targets = torch.as_tensor(targets if targets.ndim == 1 else targets.astype(np.float32))
        self.fingerprint += fingerprint(targets.astype(np.uint8), np.arange(len(targets)))

    def __call__(self, step, device):
        x, rows = super().__call__(step, device)
        return x, self.targets.to(device)[rows]


# 4 training


def train(images, targets, recipe, folder, device=None):
    """Train on crops uint8 (N, 64, 64, 3): targets are people int (N,) or attributes bool (N, A). See training.fit."""
    torch.manual_seed(recipe.seed)
    net = build(recipe.net | {"architecture": recipe.architecture})
    targets = np.asarray(targets)
    return fit(Names(net, targets), Crops(images, targets, recipe), recipe, folder, device)


# 5 use


def load_tracking_net(path=None):
    """A net that `save_net` wrote -> TrackingNet; None: the shipped one, of drawn people."""
    path = path or shipped("tracking.safetensors")
    return load_net(path, TrackingNet)[0]


def region(box):
    """The square that is looked at: left, top and side in pixels; its side is twice the box's diagonal [their code]."""
    x, y, w, h = (float(v) for v in box)
    side = 2 * np.hypot(w, h)
    return x + w / 2 - side / 2, y + h / 2 - side / 2, side


def look(frame, box, size=ROI):
    """The region of a box of a frame uint8 (H, W, 3) -> uint8 (size, size, 3), grey where the frame ends."""
    left, top, side = region(box)
    first = np.floor([left, top]).astype(int)
    last = np.maximum(np.ceil([left + side, top + side]).astype(int), first + 1)
    canvas = np.full((last[1] - first[1], last[0] - first[0], 3), 128, np.uint8)
    inside = [slice(max(a, 0), max(min(b, n), 0)) for a, b, n in zip(first, last, frame.shape[1::-1], strict=True)]
    part = frame[inside[1], inside[0]]
    at = [max(-a, 0) for a in first]
    canvas[at[1] : at[1] + part.shape[0], at[0] : at[0] + part.shape[1]] = part
    where = (left - first[0], top - first[1], left - first[0] + side, top - first[1] + side)
    return np.asarray(Image.fromarray(canvas).resize((size, size), Image.Resampling.BILINEAR, box=where))


@torch.no_grad()
def feature_maps(net, seen):
    """A region uint8 (96, 96, 3) -> {"lower": (1, C, 24, 24), "upper": (1, D, 24, 24)}, conv4's enlarged."""
    x = to_input(torch.as_tensor(np.ascontiguousarray(seen.transpose(2, 0, 1)))[None])
    lower, upper = net(x)
    return {"lower": lower, "upper": F.interpolate(upper, size=lower.shape[2:], mode="bilinear", align_corners=False)}
