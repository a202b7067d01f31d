"""Trackers that learned nothing before the first frame: a box that stays, a template, a correlation filter."""

import numpy as np
from PIL import Image
from skimage.feature import match_template

from deepid_lite.papers.tracking.net import look
from deepid_lite.papers.tracking.tracker import Found, check_box

SIDE = 64  # of what template and filter look at, pixels; its middle half is as wide as the box's diagonal


class StaticBox:
    """The null: the target is where it was."""

    def __init__(self, frame, box):
        self.box = check_box(box, frame)

    def step(self, frame):
        return Found(self.box.copy(), 1.0, "static")


class Template:
    """The first frame's box, found again by normalised correlation around the last place; never updated."""

    def __init__(self, frame, box):
        self.box = check_box(box, frame)
        seen = _grey(look(frame, self.box, SIDE))
        self.scale = SIDE / (2 * np.hypot(*self.box[2:]))  # pixels of what is seen to a pixel of the frame
        self.half = np.maximum(np.rint(self.box[2:] * self.scale / 2), 2).astype(int)
        (w, h), c = self.half, SIDE // 2
        self.template = seen[c - h : c + h, c - w : c + w]

    def step(self, frame):
        found = match_template(_grey(look(frame, self.box, SIDE)), self.template)
        y, x = np.unravel_index(np.argmax(found), found.shape)
        self.box[:2] += (np.array([x, y]) + self.half - SIDE / 2) / self.scale
        return Found(self.box.copy(), float(found.max()), "template")


class Mosse:
    """The correlation filter MOSSE [Bolme, Beveridge, Draper, Lui, CVPR 2010] with their constants.

    H* = sum G F* / sum F F*, running with rate 0.125, from 8 small warps of the first frame; G: a Gaussian of two
    pixels. Confidence is the peak-to-sidelobe ratio; below 7 the filter does not learn. The size stays.
    """

    rate, width, trust = 0.125, 2.0, 7.0

    def __init__(self, frame, box, seed=0):
        self.box = check_box(box, frame)
        self.scale = SIDE / (2 * np.hypot(*self.box[2:]))
        self.window = np.outer(np.hanning(SIDE), np.hanning(SIDE))
        y, x = np.mgrid[:SIDE, :SIDE] - SIDE // 2
        self.wanted = np.fft.fft2(np.exp(-(x**2 + y**2) / (2 * self.width**2)))
        seen, rng = look(frame, self.box, SIDE), np.random.default_rng(seed)
        self.a, self.b = 0, 0
        for _ in range(8):
            f = self._spectrum(_warped(seen, rng))
            self.a, self.b = self.a + self.wanted * f.conj(), self.b + f * f.conj()

    def step(self, frame):
        answer = np.real(np.fft.ifft2(self.a / (self.b + 1e-3) * self._spectrum(look(frame, self.box, SIDE))))
        y, x = np.unravel_index(np.argmax(answer), answer.shape)
        self.box[:2] += (np.array([x, y]) - SIDE // 2) / self.scale
        side = answer.copy()
        side[max(y - 5, 0) : y + 6, max(x - 5, 0) : x + 6] = np.nan
        ratio = float((answer[y, x] - np.nanmean(side)) / (np.nanstd(side) + 1e-9))
        if ratio > self.trust:
            f = self._spectrum(look(frame, self.box, SIDE))
            self.a = (1 - self.rate) * self.a + self.rate * self.wanted * f.conj()
            self.b = (1 - self.rate) * self.b + self.rate * f * f.conj()
        return Found(self.box.copy(), ratio, "mosse")

    def _spectrum(self, seen):
        x = np.log1p(_grey(seen))
        return np.fft.fft2((x - x.mean()) / (x.std() + 1e-5) * self.window)


BASELINES = {"static box": StaticBox, "template": Template, "MOSSE": Mosse}


def _grey(seen):
    return seen.astype(np.float64) @ [0.299, 0.587, 0.114]


def _warped(seen, rng):
    """Turned by up to 6 degrees and scaled by up to 5 %."""
    angle, scale, c = rng.uniform(-0.1, 0.1), np.exp(rng.uniform(-0.05, 0.05)), SIDE / 2
    a, b = np.cos(angle) * scale, np.sin(angle) * scale
    move = (a, -b, c - a * c + b * c, b, a, c - b * c - a * c)
    return np.asarray(
        Image.fromarray(seen).transform((SIDE, SIDE), Image.Transform.AFFINE, move, Image.Resampling.BILINEAR)
    )
