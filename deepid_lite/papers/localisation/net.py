"""The net that is told attributes of whole pictures, its response maps, and the best square in one of them."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from deepid_lite.errors import DataError
from deepid_lite.nets.batches import fingerprint, step_seed
from deepid_lite.nets.deepid import ARCHITECTURES, build, to_input
from deepid_lite.nets.training import fit
from deepid_lite.papers.localisation.scenes import SIDE

SIDES = tuple(range(16, 57, 4))  # of the squares that are tried, pixels of a scene
STEP = 2  # pixels between two places that are tried
RING = 1.6  # side of the ring around a square, as a multiple of the square's

# 1 the net


class LNet(nn.Module):
    """Four convolutions, shared everywhere, and an answer from the strongest place of each map [section 3.1, smaller].

    forward: floats (N, 3, rows, columns) -> scores (N, outputs). maps: (N, maps[-1], rows / 4, columns / 4) >= 0.
    """

    def __init__(self, outputs, maps=(12, 20, 28, 32)):
        super().__init__()
        self.config = dict(architecture="LNet", outputs=outputs, maps=tuple(maps))
        sizes = [3, *maps]
        shapes = [dict(stride=2, padding=1), dict(padding=1), dict(padding=2, dilation=2), dict(padding=2, dilation=2)]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, bias=False, **shape) for a, b, shape in zip(sizes, maps, shapes, strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(n) for n in maps)
        self.answer = nn.Linear(maps[-1], outputs)
        for layer in self.convolutions:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def maps(self, x):
        for number, (convolve, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = F.relu(norm(convolve(x)))
            x = F.max_pool2d(x, 2) if number == 0 else x
        return x

    def forward(self, x):
        return self.answer(self.maps(x).amax((2, 3)))


ARCHITECTURES["LNet"] = LNet


# 2 the objective


class Answers(nn.Module):
    """Cross-entropy of each attribute, its mean over the attributes; or over the people, for pre-training."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, batch, progress):
        x, wanted = batch
        scores = self.net(x)
        if wanted.ndim == 1:
            loss = F.cross_entropy(scores, wanted)
        else:
            loss = F.binary_cross_entropy_with_logits(scores, wanted)
        return loss, {"right": ((scores > 0) == (wanted > 0.5)).float().mean() if wanted.ndim > 1 else loss.detach()}


# 3 the batches


class SceneBatches:
    """step -> (x, wanted): scenes uint8 (N, SIDE, SIDE, 3), half of them mirrored, with attributes (N, K) or people."""

    def __init__(self, images, wanted, recipe):
        self.recipe, self.fingerprint = recipe, fingerprint(images, np.asarray(wanted))
        self.pixels = torch.as_tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
        people = np.asarray(wanted).ndim == 1
        self.wanted = torch.as_tensor(np.asarray(wanted), dtype=torch.long if people else torch.float32)

    def __len__(self):
        return len(self.pixels) // self.recipe.batch_size

    def __call__(self, step, device):
        epoch, place = divmod(step, len(self))
        size = self.recipe.batch_size
        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(len(self.pixels))
        rows = torch.as_tensor(order[place * size : (place + 1) * size])
        x = to_input(self.pixels[rows])
        turned = torch.rand(size, generator=torch.Generator().manual_seed(step_seed(self.recipe.seed, step))) < 0.5
        x[turned] = x[turned].flip(3)
        return x.to(device).contiguous(memory_format=torch.channels_last), self.wanted[rows].to(device)


# 4 training


def train(images, wanted, recipe, folder, start=None, device=None):
    """Train an LNet on scenes with attributes bool (N, K) or people int (N,).

    start: an LNet whose convolutions it begins with. recipe, folder, device: see training.fit.
    """
    wanted = np.asarray(wanted)
    outputs = wanted.shape[1] if wanted.ndim == 2 else int(wanted.max()) + 1
    torch.manual_seed(recipe.seed)
    net = build(recipe.net | {"architecture": "LNet", "outputs": outputs})
    init = start and net.state_dict() | {n: t for n, t in start.state_dict().items() if not n.startswith("answer.")}
    return fit(Answers(net), SceneBatches(images, wanted, recipe), recipe, folder, device, init=init or None)


# 5 use


@torch.inference_mode()
def responses(net, images, batch_size=256):
    """The averaged maps of the last convolution for scenes uint8 (N, SIDE, SIDE, 3): float32 (N, SIDE, SIDE)."""
    if images.dtype != np.uint8 or images.shape[1:] != (SIDE, SIDE, 3):
        raise DataError(f"scenes: got {images.dtype} {images.shape}, wanted uint8 (N, {SIDE}, {SIDE}, 3)")
    found = []
    for i in range(0, len(images), batch_size):
        x = to_input(torch.as_tensor(np.ascontiguousarray(images[i : i + batch_size])).permute(0, 3, 1, 2))
        mean = net.maps(x).mean(1, keepdim=True)
        found.append(F.interpolate(mean, size=(SIDE, SIDE), mode="bilinear", align_corners=False)[:, 0])
    return torch.cat(found).numpy()


def best_squares(maps):
    """The square of each map (N, SIDE, SIDE) that stands out most from the ring around it.

    Returns boxes float32 (N, 4), left, top, width, height, and scores (N,): mean inside minus mean of the ring. A ring
    ends where the scene does.
    """
    sums = np.zeros((len(maps), SIDE + 1, SIDE + 1))
    sums[:, 1:, 1:] = np.asarray(maps, np.float64).cumsum(1).cumsum(2)
    boxes, scores = np.zeros((len(maps), 4), np.float32), np.full(len(maps), -np.inf)
    for side in SIDES:
        start = np.arange(0, SIDE - side + 1, STEP)
        out = round(side * (RING - 1) / 2)
        low, high = np.maximum(start - out, 0), np.minimum(start + side + out, SIDE)
        inside, around = _sum(sums, start, start + side), _sum(sums, low, high)
        areas = (high - low)[:, None] * (high - low) - side**2
        found = (inside / side**2 - (around - inside) / areas).reshape(len(maps), -1)
        best = found.argmax(1)
        better = found.max(1) > scores
        scores[better] = found.max(1)[better]
        rows, columns = np.unravel_index(best, (len(start), len(start)))
        squares = np.stack([start[columns], start[rows], np.full(len(maps), side), np.full(len(maps), side)], 1)
        boxes[better] = squares[better]
    return boxes, scores


def _sum(sums, low, high):
    """Sums over all squares [low_i, high_i) x [low_j, high_j): (N, I, J)."""
    rows = sums[:, high] - sums[:, low]
    return rows[:, :, high] - rows[:, :, low]


def zoomed(boxes, factor):
    """Boxes (N, 4) that are `factor` times as large around their middles."""
    x, y, w, h = np.asarray(boxes, np.float64).T
    return np.stack([x + w * (1 - factor) / 2, y + h * (1 - factor) / 2, w * factor, h * factor], 1)


def overlap(boxes, others):
    """Intersection over union (N,) of boxes (N, 4) or (4,) with others (N, 4)."""
    a, b = np.broadcast_arrays(np.asarray(boxes, np.float64), np.asarray(others, np.float64))
    ends = np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    both = np.clip(ends - np.maximum(a[:, :2], b[:, :2]), 0, None).prod(1)
    return both / (a[:, 2:].prod(1) + b[:, 2:].prod(1) - both)
