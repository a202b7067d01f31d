"""Drawn pictures in which to look for a face: one at any place and size on clutter, or clutter alone; boxes are true.

Face and clutter are pasted alike, as soft ellipses of all sizes, so that no edge and no outline gives the face away.
The clutter is hair, cloth, background and bare skin of drawn people.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 64  # pixels of a scene
FACE = (22.0, 38.0, 84.0)  # left, top and side of the square around a face in the aligned frame
HEAD = (64, 74, 112, 140)  # centre x, y, width and height of the ellipse that is pasted
WINDOWS = ((0, 0), (52, 0), (104, 0), (0, 120), (52, 120), (104, 120), (30, 84))  # left, top; the last is a cheek
WINDOW = 24
SCALES = (0.3, 0.8)  # side of the face's square, as a share of the scene's


@dataclass
class Scenes:
    """images: uint8 (N, SIDE, SIDE, 3). boxes: float32 (N, 4), left, top, width, height of the face, nan without one.
    rows: int64 (N,), which face of the set it is, or -1."""

    images: np.ndarray
    boxes: np.ndarray
    rows: np.ndarray

    def __len__(self):
        return len(self.images)


def make_scenes(faces, rows, seed=0):
    """A scene for each row (N,) of aligned faces uint8 (M, 144, 128, 3), or for -1 one without a face -> Scenes."""
    images, boxes = np.empty((len(rows), SIDE, SIDE, 3), np.uint8), np.full((len(rows), 4), np.nan, np.float32)
    for number, row in enumerate(rows):
        rng = np.random.default_rng([seed, number])
        scene = _window(faces, rng).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        for _ in range(int(rng.integers(4, 9))):
            size = rng.uniform(0.2, 0.9, 2) * SIDE
            _paste(scene, _window(faces, rng), *rng.uniform(0, SIDE, 2), *size)
        if row >= 0:
            boxes[number] = _paste_face(scene, faces[row], rng)
        images[number] = np.asarray(scene)
    return Scenes(images, boxes, np.asarray(rows, np.int64))


def _window(faces, rng):
    """A square of a drawn picture in which there is no face."""
    left, top = WINDOWS[rng.integers(len(WINDOWS))]
    return Image.fromarray(faces[rng.integers(len(faces))][top : top + WINDOW, left : left + WINDOW])


def _paste_face(scene, face, rng):
    """Paste a head so that the face's square lies inside the scene; its box."""
    left, top, side = FACE
    wanted = rng.uniform(*SCALES) * SIDE
    x, y = rng.uniform(0, SIDE - wanted, 2)
    scale = wanted / side
    cx, cy, width, height = HEAD
    head = Image.fromarray(face).crop((cx - width // 2, cy - height // 2, cx + width // 2, cy + height // 2))
    _paste(scene, head, x + (cx - left) * scale, y + (cy - top) * scale, width * scale, height * scale)
    return x, y, wanted, wanted


def _paste(scene, picture, x, y, width, height):
    """Paste a picture as a soft ellipse of that size around (x, y)."""
    size = (max(2, round(width)), max(2, round(height)))
    place = (round(x - size[0] / 2), round(y - size[1] / 2))
    scene.paste(picture.resize(size, Image.Resampling.BILINEAR), place, ELLIPSE.resize(size))


def _ellipse(side=64):
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).ellipse((4, 4, side - 5, side - 5), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(2))


ELLIPSE = _ellipse()
