"""How well boxes follow the truth [OTB, Wu, Lim, Yang, CVPR 2013]: overlap, centre error, success area, precision."""

import numpy as np

from deepid_lite.faces.pictures import overlap

OVERLAPS = np.linspace(0, 1, 21)
PIXELS = 20  # centre error that counts as right
SCREEN = np.hypot(320, 240)  # the diagonal that these 20 pixels are for


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
