"""A net that is told what a face is like, never where it is, and the best square of its averaged maps [section 3]."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from deepid_lite.errors import DataError
from deepid_lite.faces.pictures import overlap
from deepid_lite.files import shipped
from deepid_lite.nets.batches import fingerprint, step_seed
from deepid_lite.nets.deepid import ARCHITECTURES, build, load_net, save_net, to_input
from deepid_lite.nets.training import fit
from deepid_lite.papers.localisation.scenes import SIDE
from deepid_lite.tensors import contents_of

GRID = SIDE // 2  # places a side on which squares are tried
SIDES = np.linspace(0.25, 0.9, 14)  # of the squares that are tried, as a share of the picture's
MOST_RATIO = 8  # of a picture's sides
RING = 0.25  # width of the ring about a square, as a share of the square's side
FALSE_POSITIVES = 0.1  # an image [Fig. 9]

# 1 the net


class LocatorNet(nn.Module):
    """Four shared convolutions, one number of each of the last maps, and a score for each label [section 3.1, smaller].

    forward: floats (N, 3, rows, columns) -> scores (N, labels), maps (N, maps[-1], rows / 8, columns / 8), >= 0. No
    layer is bound to a place, so a map's value says what is there and not where it is. The number of a map z is a soft
    maximum over its places, log(mean(exp(s z))) / s with s = sharpness: near 0 the mean, above 10 the largest.
    """

    def __init__(self, labels=23, maps=(16, 32, 48, 64), sharpness=3.0):
        super().__init__()
        if not 0 < sharpness <= 1e3:
            raise DataError(f"sharpness {sharpness!r}: use a number above 0, up to 1,000")
        self.config = dict(architecture="LocatorNet", labels=labels, maps=tuple(maps), sharpness=sharpness)
        self.sharpness = sharpness
        layers, before = [], 3
        for place, after in enumerate(maps):
            size, stride = (5, 2) if place == 0 else (3, 1)
            convolution = nn.Conv2d(before, after, size, stride, size // 2, bias=False)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()] + [nn.MaxPool2d(2)] * (place < 2)
            before = after
        self.body, self.answers = nn.Sequential(*layers), nn.Linear(before, labels)

    def forward(self, x):
        maps = self.body(x)
        places = maps.flatten(2)
        soft = (torch.logsumexp(self.sharpness * places, 2) - math.log(places.shape[2])) / self.sharpness
        return self.answers(soft), maps


ARCHITECTURES["LocatorNet"] = LocatorNet

# 2 the objective


class ImageLabels(nn.Module):
    """Labels of whole pictures: logistic losses of attributes (B, A), or the cross-entropy of who it is (B,)."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, batch, progress):
        x, told = batch
        scores, _ = self.net(x)
        loss = F.binary_cross_entropy_with_logits if told.ndim == 2 else F.cross_entropy
        found = loss(scores, told)
        return found, {"labels": found.detach()}


# 3 the batches


class LabelledScenes:
    """step -> (x, told): half of the scenes mirrored.

    images: uint8 (N, SIDE, SIDE, 3); told: bool (N, A) or int (N,).
    """

    def __init__(self, images, told, recipe):
        self.recipe, self.pixels = recipe, torch.as_tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        self.told = torch.as_tensor(np.asarray(told, np.float32 if np.ndim(told) == 2 else np.int64))
        self.fingerprint = fingerprint(images, np.asarray(told, np.int64))

    def __len__(self):
        return len(self.pixels) // self.recipe.batch_size

    def __call__(self, step, device):
        epoch, place = divmod(step, len(self))
        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(len(self.pixels))
        rows = torch.as_tensor(order[place * self.recipe.batch_size :][: self.recipe.batch_size])
        draws = torch.Generator().manual_seed(step_seed(self.recipe.seed, step))
        mirrored = (torch.rand(len(rows), generator=draws) < 0.5)[:, None, None, None]
        x = to_input(self.pixels[rows])
        x = torch.where(mirrored, x.flip(3), x).contiguous(memory_format=torch.channels_last)
        return x.to(device), self.told[rows].to(device)


# 4 training


def train(images, told, recipe, folder, start=None, device=None):
    """Train a LocatorNet on pictures uint8 (N, SIDE, SIDE, 3) and what is told: bool (N, A), or people int (N,).

    start: a net whose convolutions go on; its answers are forgotten. recipe, folder, device: see training.fit.
    """
    if len(images) < recipe.batch_size:
        raise DataError(f"batch size {recipe.batch_size}: the set has {len(images)} pictures; use a smaller batch")
    labels = np.shape(told)[1] if np.ndim(told) == 2 else int(np.max(told)) + 1
    torch.manual_seed(recipe.seed)
    net = build({**recipe.net, "architecture": recipe.architecture, "labels": labels})
    init = None
    if start is not None:
        init = start.state_dict() | {name: t for name, t in net.state_dict().items() if name.startswith("answers")}
    return fit(ImageLabels(net), LabelledScenes(images, told, recipe), recipe, folder, device, init=init)


# 5 use


@torch.no_grad()
def responses(net, images, batch_size=200):
    """The mean of the last maps on pictures uint8 (N, rows, columns, 3): float32 (N, rows / 8, columns / 8)."""
    found = []
    for start in range(0, len(images), batch_size):
        x = to_input(torch.as_tensor(images[start : start + batch_size]).permute(0, 3, 1, 2))
        found.append(net(x.contiguous(memory_format=torch.channels_last))[1].mean(1))
    return torch.cat(found).numpy()


def enlarged(maps, size=GRID):
    """Maps (N, h, w) as (N, size, size), bilinear."""
    planes = torch.as_tensor(maps, dtype=torch.float32)[:, None]
    return F.interpolate(planes, (size, size), mode="bilinear", align_corners=False)[:, 0].numpy()


def best_squares(maps):
    """The square of each map that is brightest against the ring about it -> squares (N, 4), values (N,).

    maps: (N, h, w), enlarged here. A square: left, top, width, height as shares of the picture's side. Its value: mean
    inside minus mean of the ring, whose part beyond the border does not count.
    """
    maps = enlarged(maps).astype(np.float64)
    n, size = len(maps), maps.shape[1]
    sums = np.zeros((n, size + 1, size + 1))
    sums[:, 1:, 1:] = maps.cumsum(1).cumsum(2)
    values, squares = np.full(n, -np.inf), np.zeros((n, 4))
    for side in np.unique(np.rint(SIDES * size).astype(int)):
        first = np.arange(size - side + 1)
        ring = max(1, round(RING * side))
        low, high = np.maximum(first - ring, 0), np.minimum(first + side + ring, size)
        inside, around = _sum(sums, first, first + side), _sum(sums, low, high)
        area = (high - low)[:, None] * (high - low)[None] - side**2
        found = (inside / side**2 - (around - inside) / area).reshape(n, -1)
        best = found.argmax(1)
        value = found[np.arange(n), best]
        better = value > values
        square = np.stack([best % len(first), best // len(first), np.full(n, side), np.full(n, side)], 1) / size
        values, squares = np.where(better, value, values), np.where(better[:, None], square, squares)
    return squares, values


def _sum(sums, low, high):
    """Sums over the squares from low to high, (N, K, K), from the running sums."""
    a, b = low, high
    return sums[:, b][:, :, b] - sums[:, a][:, :, b] - sums[:, b][:, :, a] + sums[:, a][:, :, a]


@dataclass(frozen=True)
class Frame:
    """How a face lies to the best square: so many times as large, and so many of its own sides further down."""

    size: float = 1.0
    down: float = 0.0

    def __call__(self, squares):
        side = self.size * squares[:, 2:]
        middle = squares[:, :2] + squares[:, 2:] / 2 + side * [0, self.down]
        return np.concatenate([middle - side / 2, side], 1)


def fit_frame(squares, boxes):
    """The Frame with the largest mean overlap, on validation scenes: the only use of boxes."""
    frames = [
        Frame(round(float(s), 2), round(float(d), 2))
        for s in np.arange(0.5, 2, 0.1)
        for d in np.arange(-0.3, 0.31, 0.05)
    ]
    return max(frames, key=lambda frame: overlap(frame(squares), boxes).mean())


@dataclass(frozen=True)
class Locator:
    """A net with what was chosen on validation scenes. threshold: of a square's value, below it there is no face."""

    net: LocatorNet
    frame: Frame
    threshold: float

    def __call__(self, images):
        """Boxes (N, 4) as shares of the side, and whether there is a face, bool (N,); images: uint8 (N, S, S, 3)."""
        squares, values = best_squares(responses(self.net, images))
        return self.frame(squares), values > self.threshold


def fit_locator(net, scenes, empty):
    """Choose frame and threshold on validation scenes with a face, and without one -> Locator."""
    squares, _ = best_squares(responses(net, scenes.images))
    _, values = best_squares(responses(net, empty.images))
    threshold = float(np.quantile(values, 1 - FALSE_POSITIVES))
    return Locator(net, fit_frame(squares, scenes.boxes / SIDE), threshold)


def as_scene(image, name="picture"):
    """A picture uint8 (rows, columns, 3) in the middle of a square, and made as small as the net's.

    Beside it is the mean colour of its border. Returns the scene, uint8 (SIDE, SIDE, 3), and the function that turns
    boxes as shares of the scene's side (N, 4) into boxes in pixels of the picture. DataError for a strip.
    """
    rows, columns = image.shape[:2]
    side = max(rows, columns)
    if side > MOST_RATIO * min(rows, columns):
        raise DataError(f"{name}: {columns} x {rows} pixels: too long and narrow to show a face; cut the picture")
    border = np.concatenate([image[[0, -1]].reshape(-1, 3), image[:, [0, -1]].reshape(-1, 3)])
    canvas = np.empty((side, side, 3), np.uint8)
    canvas[:] = border.mean(0)
    corner = (side - columns) // 2, (side - rows) // 2
    canvas[corner[1] : corner[1] + rows, corner[0] : corner[0] + columns] = image
    scene = np.array(Image.fromarray(canvas).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return scene, lambda boxes: np.asarray(boxes) * side - [*corner, 0, 0]


def save_locator(path, locator):
    """Write a Locator, whole or not at all."""
    frame = locator.frame
    save_net(path, locator.net, {"size": frame.size, "down": frame.down, "threshold": locator.threshold})


def load_locator(path=None):
    """Read what `save_locator` wrote; None: the one that ships, of drawn people."""
    path = path or shipped("locator.safetensors")
    net, facts = load_net(path, LocatorNet)
    with contents_of(path):
        size, down, threshold = (facts[name] for name in ("size", "down", "threshold"))
        known = all(isinstance(number, float) for number in (size, down, threshold))
        if not (known and 0 < size < 10 and abs(down) < 1 and abs(threshold) < 1e6):
            raise DataError(f"size {size!r}, down {down!r}, threshold {threshold!r}: no place and value of a square")
    return Locator(net, Frame(size, down), threshold)
