"""Brushes of the synthetic faces: soft edges, bumps, colours, noise textures and small windows on a picture."""

from functools import lru_cache
from types import SimpleNamespace

import numpy as np
from scipy.ndimage import gaussian_filter

from deepid_lite.faces.synthetic.head import HEIGHT, WIDTH, Pose


def col(x):
    """(..., B) -> (..., B, 1, 1), to meet planes (B, h, w)."""
    return x[..., None, None]


def edge(distance, softness=1.6):
    """Coverage of a shape from the signed distance to its outline in pixels (> 0 inside)."""
    out = distance * np.float32(1 / softness)
    out += np.float32(0.5)
    return np.clip(out, 0, 1, out=out)


def bump(squared):
    """exp(-x) of a squared, scaled distance, to within 0.02, at the price of three products."""
    out = np.maximum(1 - np.float32(0.25) * squared, 0)
    out *= out
    out *= out
    return out


def over(canvas, colour, coverage):
    """Lay a colour (3, B, 1, 1 or h, w) on a canvas (3, B, h, w), in place."""
    layer = colour - canvas
    layer *= coverage
    canvas += layer


def hue_colour(hue, light, strength=0.55):
    """RGB (3, B) of a hue in [0, 1) at a lightness in [0, 1]."""
    phase = hue + np.array([[0.0], [2 / 3], [1 / 3]], np.float32)
    return (light * (1 - strength + strength * (0.5 + 0.5 * np.cos(2 * np.pi * phase)) * 1.6)).astype(np.float32)


@lru_cache(maxsize=1)
def banks():
    """Wrapped noise pictures 512 x 512 of deviation 1: white, hair strands, curls, clutter, stubble and
    spots."""
    white = np.random.default_rng(20150).standard_normal((512, 512)).astype(np.float32)
    pictures = {"white": white}
    for name, sigma in {
        "strands": (7, 0.9),
        "curls": (2.2, 2.2),
        "clutter": (11, 11),
        "stubble": (1.4, 0.7),
        "spots": (1.5, 1.5),
    }.items():
        smooth = gaussian_filter(np.where(white > 2.6, 1.0, 0.0) if name == "spots" else white, sigma, mode="wrap")
        pictures[name] = (smooth / smooth.std()).astype(np.float32)
    return pictures


def texture(face, name, salt, rows=HEIGHT, columns=WIDTH, chosen=slice(None)):
    """A window (B, rows, columns) of a noise bank for each image, picked by its nuisance number `texture`."""
    spin = np.floor(face.n.texture[chosen].astype(np.float64) * 2**24).astype(np.int64) * 7919 + salt * 104729
    top, left = (spin // 384) % 368, spin % 384
    bank = banks()[name]
    return np.stack([bank[t : t + rows, x : x + columns] for t, x in zip(top, left, strict=True)])


class Patch:
    """A window of fixed size around a picture-plane point (x, y) in each image, moved inside the frame."""

    def __init__(self, face, x, y, height, width, image=None):
        self.face = face
        self.image = np.arange(face.canvas.shape[1]) if image is None else image
        self.pose = SimpleNamespace(**{k: v[self.image] for k, v in vars(face.pose).items()})
        px, py = Pose.to_pixels(self.pose, x, y)
        self.top = np.clip(np.rint(py - height / 2), 0, HEIGHT - height).astype(int)
        self.left = np.clip(np.rint(px - width / 2), 0, WIDTH - width).astype(int)
        self.height, self.width = height, width
        rows = self.top[:, None] + np.arange(height, dtype=np.float32)
        columns = self.left[:, None] + np.arange(width, dtype=np.float32)
        self.x, self.y = Pose.from_pixels(self.pose, rows.astype(np.float32), columns.astype(np.float32))

    def _windows(self):
        for k, (b, t, x) in enumerate(zip(self.image, self.top, self.left, strict=True)):
            yield k, (b, slice(t, t + self.height), slice(x, x + self.width))

    def take(self, plane):
        """Copy of a plane (B, H, W) in the windows."""
        out = np.empty((len(self.image), self.height, self.width), np.float32)
        for k, where in self._windows():
            out[k] = plane[where]
        return out

    def paint(self, *layers):
        """Lay (colour, coverage) layers on the face's canvas in the windows, one after another. A colour is
        (3, B) or (3, B, h, w); a number multiplies what is there."""
        part = np.stack([self.take(channel) for channel in self.face.canvas])
        for colour, coverage in layers:
            if isinstance(colour, (int, float)):
                part *= 1 - coverage * np.float32(1 - colour)
            else:
                over(part, col(colour) if colour.ndim == 2 else colour, coverage)
        for k, (b, rows, columns) in self._windows():
            self.face.canvas[:, b, rows, columns] = part[:, k]
