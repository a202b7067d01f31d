"""How well boxes follow the truth [OTB, Wu, Lim, Yang, CVPR 2013]: overlap, centre error, success area, precision."""

import numpy as np

OVERLAPS = np.linspace(0, 1, 21)
PIXELS = 20  # centre error that counts as right
SCREEN = np.hypot(320, 240)  # the diagonal that these 20 pixels are for


def overlap(a, b):
    """Intersection over union of boxes (T, 4), each with each of the same row: (T,)."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    return shared / (a[:, 2:].prod(1) + b[:, 2:].prod(1) - shared)


def centre_error(a, b):
    """Distance of the middles, pixels (T,)."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.hypot(*(a[:, :2] + a[:, 2:] / 2 - b[:, :2] - b[:, 2:] / 2).T)


def success(boxes, truth):
    """Success area in percent: the share of frames whose overlap is above a threshold, mean over 21 thresholds."""
    return 100 * float((overlap(boxes, truth)[:, None] > OVERLAPS).mean())


def precision(boxes, truth, shape, scaled=True):
    """Percent of the frames whose middle is at most 20 pixels off; shape: (H, W) of the frames.

    scaled: 20 pixels belong to frames of 320 x 240; smaller drawn frames allow as much less as their diagonal is.
    """
    allowed = PIXELS * np.hypot(*shape) / SCREEN if scaled else PIXELS
    return 100 * float((centre_error(boxes, truth) <= allowed).mean())
