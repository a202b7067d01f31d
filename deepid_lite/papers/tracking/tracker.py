"""The tracker [Wang, Ouyang, Wang, Lu, ICCV 2015]: maps chosen by saliency, two heat maps, a test for distracters.

Constants are those of the authors' code; where it differs from the paper a comment says so. The steps are Adam's here:
their learning rates belong to the unscaled maps of VGG-16.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from deepid_lite import tensors
from deepid_lite.errors import DataError
from deepid_lite.papers.tracking.net import MAP, feature_maps, look, region

FILTERS = 32  # of a heat net's first layer; the paper says 36
KEPT = 0.75  # share of the maps that is kept: 384 of 512
CANDIDATES = 700
FLOOR = 0.1  # of a heat map's maximum; what is lower counts as nothing
AREA = {"upper": 0.7, "lower": 0.75}  # a candidate's score: mean inside times area to this power
FOREGROUND, OUTSIDE = 0.2, 0.2  # distracter: outside the box lies more than a fifth of what lies inside
MOVE, LEARN = 0.1, 0.35  # confidence from which the box moves, and from which the frame may teach
EVERY = 20  # frames from one update of the lower net to the next
STEPS = {"select": 100, "first": 50, "update": 1, "distracter": 10}
RATE = {"select": 3e-3, "first": 2e-4, "update": 5e-5}  # ours, chosen on held-out videos
LAYERS = ("lower", "upper")
WAYS = ("paper", "code", "random", "all")  # to choose maps
KEPT_TENSORS = ("wanted", "first", "best", "best_wanted")  # of a tracker's state
KEPT_FACTS = ("use", "seed", "resize", "frames", "best_confidence")


class Found(NamedTuple):
    """box: float (4,). confidence: the highest value of the map that decided. by: "upper" (GNet) or "lower" (SNet)."""

    box: np.ndarray
    confidence: float
    by: str


def target_map(box, looked_at):
    """The map (24, 24) that a net should answer with: a Gaussian over the box, its peak 1; nothing outside the box.

    box: left, top, width, height. looked_at: the `region` that the map covers. Standard deviation: a third of the side.
    """
    left, top, side = looked_at
    centres = (np.arange(MAP) + 0.5) * side / MAP
    x, y = ((centres + start - v - n / 2) / n for start, v, n in zip((left, top), box[:2], box[2:], strict=True))
    inside = (np.abs(y)[:, None] <= 0.5) & (np.abs(x) <= 0.5)
    return np.exp(-(x**2 + y[:, None] ** 2) * 9 / 2).astype(np.float32) * inside


# choosing maps


def saliency(weight, maps, residual, way="paper"):
    """How much each map matters to a linear heat net: (C,), from its Taylor expansion at the map's removal.

    weight: (1, C, 3, 3). maps: (1, C, R, S). residual: (1, 1, R, S), answer minus target. The loss L is half the sum of
    the squared residuals; without the value f it changes by -g f + h f^2 / 2, g and h its first and second derivatives:
    the paper's score. "code" is -(g f + h f^2 / 2), what the authors' code ranks by.
    """
    g = F.conv_transpose2d(residual, weight, padding=1)
    h = F.conv_transpose2d(torch.ones_like(residual), weight**2, padding=1)
    first, second = (g * maps).sum((0, 2, 3)), 0.5 * (h * maps**2).sum((0, 2, 3))
    return second - first if way == "paper" else -(first + second)


def choose_maps(maps, wanted, way="paper", seed=0, kept=KEPT):
    """Indices of the maps that are kept, sorted; maps (1, C, 24, 24), wanted (24, 24). way: of WAYS.

    A 3 x 3 convolution behind dropout learns the target; then the maps are ranked [section 4.1].
    """
    if way not in WAYS:
        raise DataError(f"way {way!r}: use one of {', '.join(WAYS)}")
    channels = maps.shape[1]
    n = round(kept * channels)
    if way == "all":
        return torch.arange(channels)
    draws = torch.Generator().manual_seed(seed)
    if way == "random":
        return torch.randperm(channels, generator=draws)[:n].sort().values
    wanted = torch.as_tensor(wanted)[None, None]
    weight = torch.zeros(1, channels, 3, 3, requires_grad=True)
    optimizer = torch.optim.Adam([weight], RATE["select"])
    for _ in range(STEPS["select"]):
        held = (torch.rand(1, channels, 1, 1, generator=draws) >= 0.3) / 0.7  # dropout of whole maps
        loss = 0.5 * ((F.conv2d(maps * held, weight, padding=1) - wanted) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        scores = saliency(weight, maps, F.conv2d(maps, weight, padding=1) - wanted, way)
    return scores.argsort(descending=True, stable=True)[:n].sort().values


# heat maps


def heat_net(channels, seed):
    """GNet or SNet: 9 x 9 to 32 maps, ReLU, 5 x 5 to one map; no ReLU behind it, which the paper has."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(channels, FILTERS, 9, padding=4), nn.ReLU(), nn.Conv2d(FILTERS, 1, 5, padding=2))


def teach(net, optimizer, maps, wanted, weight, steps, rate):
    """Steps on half the mean of squared differences; maps (N, C, 24, 24), wanted and weight (N, 1, 24, 24)."""
    optimizer.param_groups[0]["lr"] = rate
    for _ in range(steps):
        loss = 0.5 * (weight * (net(maps) - wanted) ** 2).sum() / MAP**2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def inside(heat, boxes, looked_at):
    """Sum of a map (24, 24) inside boxes (N, 4) of the frame, cells cut where a box cuts them: (N,)."""
    left, top, side = looked_at
    table = np.pad(heat.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    edges = np.clip((np.stack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]) - (left, top)) * MAP / side, 0, MAP)
    (x0, y0), (x1, y1) = edges[0].T, edges[1].T

    def below(y, x):
        i, j = np.minimum(y.astype(int), MAP - 1), np.minimum(x.astype(int), MAP - 1)
        a, b = y - i, x - j
        return (table[i, j] * (1 - a) * (1 - b) + table[i + 1, j] * a * (1 - b)
                + table[i, j + 1] * (1 - a) * b + table[i + 1, j + 1] * a * b)  # fmt: skip

    return below(y1, x1) - below(y0, x1) - below(y1, x0) + below(y0, x0)


def locate(heat, candidates, looked_at, power):
    """The best of candidate boxes (N, 4): mean inside, of what is above a tenth of the maximum, times area^power."""
    shown = np.where(heat >= FLOOR * heat.max(), heat / max(heat.max(), 1e-6), 0)
    area = candidates[:, 2] * candidates[:, 3]
    return candidates[np.argmax(inside(shown, candidates, looked_at) * area ** (power - 1))]


def distracted(heat, box, looked_at):
    """Whether a map sees something like the target outside the box [section 4.3]."""
    shown = np.where(heat > FOREGROUND * heat.max(), heat, 0)
    within = inside(shown, box[None], looked_at)[0]
    return shown.sum() - within >= OUTSIDE * within


# the tracker


class Tracker:
    """Follow what is in a box of the first frame.

    net: TrackingNet. frame: uint8 (H, W, 3). box: left, top, width, height in pixels. way: of WAYS, how maps are
    chosen. use: "both", or one of LAYERS alone: "upper", the maps of conv4 (GNet), "lower", those of conv2 (SNet).
    Random numbers of a frame depend on seed and the frame's number alone. DataError for a box that is none.
    """

    def __init__(self, net, frame, box, way="paper", use="both", seed=0, resize=0.01):
        if use not in ("both", *LAYERS):
            raise DataError(f"use {use!r}: use both, {' or '.join(LAYERS)}")
        self.net, self.use, self.seed, self.resize = net.eval(), use, seed, resize
        self.box, self.frames = check_box(box, frame), 1
        seen, looked_at = self._maps(frame)
        wanted = target_map(self.box, looked_at)
        self.chosen = {layer: choose_maps(seen[layer], wanted, way, seed) for layer in LAYERS}
        self.heat = {layer: heat_net(len(self.chosen[layer]), seed) for layer in LAYERS}
        self.wanted = torch.as_tensor(wanted)[None, None]
        self.first = seen["lower"][:, self.chosen["lower"]]
        self.best, self.best_wanted, self.best_confidence = self.first, self.wanted, -1.0
        for layer in LAYERS[::-1]:  # the lower one last: its optimiser goes on
            if use in ("both", layer):
                steps, rate = STEPS["first"], RATE["first"]
                self.optimizer = torch.optim.Adam(self.heat[layer].parameters())
                teach(
                    self.heat[layer], self.optimizer, seen[layer][:, self.chosen[layer]], self.wanted, 1.0, steps, rate
                )

    def step(self, frame):
        """Find the target in the next frame -> Found."""
        rng = np.random.default_rng([self.seed, self.frames])
        seen, looked_at = self._maps(frame)
        heat = self.heats(seen)
        candidates = self._candidates(rng)
        by = "lower" if self.use == "lower" else "upper"
        box = locate(heat[by], candidates, looked_at, AREA[by])
        alarm = distracted(heat[by], box, looked_at)
        if self.use == "both" and alarm:
            by = "lower"
            box = locate(heat["lower"], candidates, looked_at, AREA["lower"])
        confidence = float(heat[by].max())
        old = self.box
        if confidence > MOVE:
            size = box[2:] if confidence > LEARN else old[2:]
            self.box = np.concatenate([box[:2] + (box[2:] - size) / 2, size])
        if self.use != "upper" and confidence > LEARN:
            self._learn(seen["lower"][:, self.chosen["lower"]], looked_at, heat["lower"], confidence)
        self.frames += 1
        return Found(self.box.copy(), confidence, by)

    def heats(self, seen):
        """{layer: heat map (24, 24)} of feature maps."""
        with torch.no_grad():
            return {layer: self.heat[layer](seen[layer][:, self.chosen[layer]])[0, 0].numpy()
                    for layer in LAYERS if self.use in ("both", layer)}  # fmt: skip

    def view(self, frame):
        """What is looked at around the present box: the picture (96, 96, 3), and the heat maps of it."""
        seen = look(frame, self.box)
        return seen, self.heats(feature_maps(self.net, seen))

    def state(self):
        """({name: tensor}, facts): all that the next step depends on besides the net and the frame."""
        found = {f"heat.{layer}.{name}": t for layer in LAYERS for name, t in self.heat[layer].state_dict().items()}
        found |= {f"chosen.{layer}": self.chosen[layer] for layer in LAYERS} | tensors.optimizer_tensors(self.optimizer)
        found |= {name: getattr(self, name) for name in KEPT_TENSORS}
        found["box"] = torch.as_tensor(self.box)
        return found, {name: getattr(self, name) for name in KEPT_FACTS}

    @classmethod
    def resumed(cls, net, found, facts):
        """The tracker whose `state` this was, to the last bit."""
        self = cls.__new__(cls)
        self.net, self.box = net.eval(), found["box"].numpy().copy()
        for name, value in ({name: found[name] for name in KEPT_TENSORS} | {n: facts[n] for n in KEPT_FACTS}).items():
            setattr(self, name, value)
        self.chosen = {layer: found[f"chosen.{layer}"] for layer in LAYERS}
        self.heat = {layer: heat_net(len(self.chosen[layer]), self.seed) for layer in LAYERS}
        for layer in LAYERS:
            start = f"heat.{layer}."
            self.heat[layer].load_state_dict(
                {n.removeprefix(start): t for n, t in found.items() if n.startswith(start)}
            )
        self.optimizer = torch.optim.Adam(self.heat["upper" if self.use == "upper" else "lower"].parameters())
        tensors.restore_optimizer(self.optimizer, found)
        return self

    def _maps(self, frame):
        return feature_maps(self.net, look(frame, self.box)), region(self.box)

    def _candidates(self, rng):
        """Boxes (700, 4) around the last one; their size stays for 20 frames."""
        x, y, w, h = self.box
        spread = np.ceil(np.hypot(w, h) / 7)
        centres = np.array([x + w / 2, y + h / 2]) + spread * rng.normal(size=(CANDIDATES, 2))
        sizes = np.exp(self.resize * rng.normal(size=(CANDIDATES, 1)) * (self.frames >= EVERY)) * self.box[2:]
        centres[0], sizes[0] = (x + w / 2, y + h / 2), self.box[2:]
        return np.concatenate([centres - sizes / 2, sizes], 1)

    def _learn(self, maps, looked_at, heat, confidence):
        """The lower net: every 20 frames from the first and the best frame, at once where it sees a distracter."""
        net = self.heat["lower"]
        wanted = torch.as_tensor(target_map(self.box, looked_at))[None, None]
        if confidence > self.best_confidence:
            self.best, self.best_wanted, self.best_confidence = maps, wanted, confidence
        if distracted(heat, self.box, looked_at):
            both, weight = torch.cat([self.first, maps]), torch.cat([torch.ones_like(wanted), (wanted == 0).float()])
            teach(net, self.optimizer, both, torch.cat([self.wanted, wanted]), 0.5 * weight, STEPS["distracter"],
                  RATE["update"])  # fmt: skip
        if self.frames % EVERY == 0:
            both = torch.cat([self.first, self.best])
            wanted = torch.cat([self.wanted, self.best_wanted])
            teach(net, self.optimizer, both, wanted, 0.5, STEPS["update"], RATE["update"])
            self.best_confidence = -1.0


def check_box(box, frame):
    """The box as float64 (4,), or DataError: it must have a size and its middle must lie inside the frame."""
    box = np.array(box, np.float64)  # a copy: trackers move it
    height, width = frame.shape[:2]
    said = ",".join(f"{v:g}" for v in box.ravel())
    if box.shape != (4,) or not np.isfinite(box).all() or box[2:].min() < 4:
        raise DataError(f"box {said}: give left, top, width and height in pixels, at least 4 wide and high")
    middle = box[:2] + box[2:] / 2
    if (middle < 0).any() or (middle >= (width, height)).any() or (box[2:] > 2 * np.array([width, height])).any():
        raise DataError(f"box {said}: outside the frame of {width} x {height} pixels; give one inside")
    return box
