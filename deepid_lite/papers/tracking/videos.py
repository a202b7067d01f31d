"""Drawn videos with truth: a person who moves and turns, another who crosses, a bar that covers; and faces on clutter.

Nothing here is a photograph. A video's bytes depend on its seed alone.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.people import LITE_SEED, attributes, draw, neutral, sample_identity, sample_nuisance

HEIGHT, WIDTH = 144, 192  # of a frame
FACE = np.array([26.0, 30.0, 76.0, 96.0])  # left, top, width, height of the face in the generator's 144 x 128 picture
TURN = -6.0  # pixels: a turned head is drawn to one side of its place, the face's parts to the other; half-way between
FIRST_PERSON = {"test": 60_000, "held_out": 70_000, "train": 80_000}  # nobody of the lite set or of the views
CROP = 64  # side of a training picture


@dataclass
class Video:
    """T frames with their truth.

    frames: uint8 (T, H, W, 3). boxes: float32 (T, 4), left, top, width and height of the target's face in pixels; a
    bar may cover it. others: float32 (T, 4), the face of the person who crosses, nan while they are outside. covered:
    bool (T,), the bar is in front of the target.
    """

    frames: np.ndarray
    boxes: np.ndarray
    others: np.ndarray
    covered: np.ndarray

    def __len__(self):
        return len(self.frames)


def make_video(seed, part="test", n_frames=90):
    """Draw a video -> Video: smooth path, yaw, size and light; a second person crosses halfway, a bar at the end.

    part: "test", "held_out" or "train", whose people are others.
    """
    if part not in FIRST_PERSON:
        raise DataError(f"part {part!r}: use {', '.join(FIRST_PERSON)}")
    if not isinstance(n_frames, int) or not 1 <= n_frames <= 10_000:
        raise DataError(f"n_frames = {n_frames!r}: give a whole number from 1 to 10000")
    rng = np.random.default_rng([4, LITE_SEED, FIRST_PERSON[part], seed])
    t = np.linspace(0, 1, n_frames)
    first = FIRST_PERSON[part] + 2 * seed
    scale = 0.42 * (1 + 0.15 * _wave(rng, t, 1.5))
    path = np.stack([WIDTH / 2 + 0.24 * WIDTH * _wave(rng, t, 2), HEIGHT * (0.48 + 0.12 * _wave(rng, t, 1.5))], 1)
    # the other person walks through the target's place at half time, from either side
    when, side = (t - 0.5) / 0.17, rng.choice([-1, 1])
    middle = np.array([np.interp(0.5, t, path[:, 0]), np.interp(0.5, t, path[:, 1])])
    way = middle + np.stack([side * when * WIDTH * 0.62, HEIGHT * (0.05 * rng.choice([-1, 1]) + 0.02 * when)], 1)
    busts = [
        _busts(first, scale, rng, 40 * _wave(rng, t, 2)),
        _busts(first + 1, np.full(n_frames, 0.42 * rng.uniform(0.9, 1.1)), rng, np.full(n_frames, 25.0 * side)),
    ]
    frames = np.repeat(clutter(rng, HEIGHT, WIDTH)[None], n_frames, 0)
    boxes = [_paste_all(frames, *bust, centres=centres) for bust, centres in zip(busts, (path, way), strict=True)]
    bar = (t - 0.8) / 0.09
    covered = np.abs(bar) < 1
    _bar(frames, boxes[0], bar, covered, rng)
    light = 1 + 0.12 * _wave(rng, t, 2)[:, None, None, None]
    noisy = frames * light + rng.normal(0, 4, frames.shape).astype(np.float32)
    inside = (boxes[1][:, 0] < WIDTH) & (boxes[1][:, :3:2].sum(1) > 0)
    boxes[1][~inside] = np.nan
    return Video(noisy.clip(0, 255).astype(np.uint8), boxes[0], boxes[1], covered)


def faces_on_clutter(n_people, each, seed=LITE_SEED):
    """Faces at random places and sizes on clutter, to train nets: (images uint8 (N, 64, 64, 3), people, {attribute}).

    A face is as large as a tracker's target in the region that it sees, give or take a third.
    """
    images = np.empty((n_people * each, CROP, CROP, 3), np.uint8)
    people, known = np.repeat(np.arange(n_people), each), []
    for person in range(n_people):
        rng = np.random.default_rng([5, seed, person])
        rows = [sample_nuisance(FIRST_PERSON["train"] + person, k, seed, yaw_limit=60) for k in range(each)]
        told = {name: np.array([row[name] for row in rows], np.float32) for name in rows[0]}
        told |= {"azimuth": np.zeros(each), "shift_x": np.zeros(each), "shift_y": np.zeros(each)}
        who = sample_identity(FIRST_PERSON["train"] + person, seed)
        colours, cover = _cut_out(who, told)
        known.append(attributes(np.repeat(who[None], each, 0), told))
        frames = np.stack([clutter(rng, CROP, CROP) for _ in range(each)])
        middle = CROP / 2 + rng.uniform(-9, 9, (each, 2))
        _paste_all(frames, colours, cover, 0.42 * np.exp(rng.uniform(-0.3, 0.3, each)), centres=middle)
        images[people == person] = (frames + rng.normal(0, 4, frames.shape)).clip(0, 255).astype(np.uint8)
    return images, people, {name: np.concatenate([found[name] for found in known]) for name in known[0]}


def clutter(rng, height, width):
    """A background of soft blotches and hard rectangles, some of the colour of skin: float32 (H, W, 3), 0 .. 255."""
    picture = np.full((height, width, 3), rng.uniform(60, 190, 3), np.float32)
    for cells in (3, 8, 20):
        coarse = (rng.normal(0, 24, (cells, cells, 1)) + rng.normal(0, 8, (cells, cells, 3))).astype(np.float32)
        picture += np.stack([_enlarged(coarse[..., c], height, width) for c in range(3)], 2)
    for _ in range(max(4, height * width // 900)):
        top, left = rng.integers(-10, height), rng.integers(-10, width)
        rows, columns = rng.integers(4, 30, 2)
        colour = rng.uniform(0, 255, 3) if rng.random() < 0.7 else rng.uniform(0.3, 1) * np.array([250, 200, 165])
        part = picture[max(top, 0) : top + rows, max(left, 0) : left + columns]
        part += rng.uniform(0.3, 0.9) * (colour.astype(np.float32) - part)
    return picture.clip(0, 255)


def _enlarged(plane, height, width):
    return np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC))


def _wave(rng, t, turns):
    """A smooth curve within -1 .. 1 over t in 0 .. 1."""
    fast = 0.35 * np.sin(2 * np.pi * (1.7 * turns * t + rng.random()))
    return (0.65 * np.sin(2 * np.pi * (turns * t * rng.uniform(0.6, 1) + rng.random())) + fast).astype(np.float32)


def _busts(person, scale, rng, yaw):
    """(colours, cover, scale, turn) of a person in each frame; turn: how far to the right the middle of the face is."""
    n, t = len(yaw), np.linspace(0, 1, len(yaw))
    told = neutral(n, yaw=yaw, pitch=6 * _wave(rng, t, 2), roll=7 * _wave(rng, t, 1), smile=0.6 * _wave(rng, t, 2),
                   mouth_open=0.3 * (1 + _wave(rng, t, 4)), elevation=25 + 20 * _wave(rng, t, 1), contrast=0.6,
                   cloth_hue=rng.random(), cloth_light=rng.uniform(0.1, 0.8), glasses=2.0 * (rng.random() < 0.2),
                   texture=rng.random())  # fmt: skip
    return *_cut_out(sample_identity(person), told), scale, TURN * np.sin(np.radians(yaw))


def _cut_out(who, told):
    """A person without background: colours float32 (B, 144, 128, 3), already times the cover (B, 144, 128) in 0 .. 1.

    Drawn on black and on white: what does not change is the person.
    """
    plain = told | {
        "back_texture": np.zeros(len(told["yaw"])),
        "noise": np.zeros(len(told["yaw"])),
        "blur": np.zeros(1),
    }
    black, white = (
        draw(who, plain | {"back_light": np.full(len(told["yaw"]), light, np.float32), "exposure": np.zeros(1)})[0]
        for light in (0, 0.9)
    )
    change = (white.astype(np.float32) - black).sum(3)
    return black.astype(np.float32), 1 - change / change.max((1, 2), keepdims=True)


def _paste_all(frames, colours, cover, scale, turn=None, *, centres):
    """Lay a person over each frame, in place, the face's middle at centres (T, 2) -> boxes float32 (T, 4)."""
    boxes = np.empty((len(frames), 4), np.float32)
    middle = FACE[:2] + FACE[2:] / 2
    layers = np.concatenate([colours, cover[..., None]], 3)
    small = layers.reshape(len(layers), 72, 2, 64, 2, 4).mean((2, 4))  # halved first: no aliasing
    turn = np.zeros(len(frames)) if turn is None else turn
    for frame, layer, s, aside, centre, box in zip(frames, small, scale, turn, centres, boxes, strict=True):
        corner = centre - s * (middle + (aside, 0))
        shape = frame.shape[1::-1]
        move = (0.5 / s, 0, -corner[0] * 0.5 / s, 0, 0.5 / s, -corner[1] * 0.5 / s)
        planes = [Image.fromarray(layer[..., c]) for c in range(4)]
        laid = [np.asarray(plane.transform(shape, Image.Transform.AFFINE, move, Image.Resampling.BILINEAR))
                for plane in planes]  # fmt: skip
        frame *= 1 - laid[3][..., None]
        frame += np.stack(laid[:3], 2)
        box[:] = [*(centre - s * FACE[2:] / 2), *(s * FACE[2:])]
    return boxes


def _bar(frames, boxes, place, covered, rng):
    """A striped bar that passes in front of the target, in place; place: -1 .. 1 while it covers."""
    stripes = np.repeat(rng.uniform(20, 235, (HEIGHT // 8, 1, 3)), 8, 0).astype(np.float32)
    for t in np.flatnonzero(covered):
        middle, half = boxes[t, 0] + (0.5 + place[t]) * boxes[t, 2], 0.34 * boxes[t, 2]
        left, right = (int(np.clip(round(middle + side * half), 0, WIDTH)) for side in (-1, 1))
        frames[t, :, left:right] = stripes
