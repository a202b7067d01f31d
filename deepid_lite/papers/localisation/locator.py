"""A net, the scale of its boxes and its threshold: from a picture of any size to a box in it, or to none."""

import dataclasses
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from deepid_lite import tensors
from deepid_lite.errors import DataError
from deepid_lite.nets.deepid import load_net
from deepid_lite.papers.localisation.net import best_squares, overlap, responses, zoomed
from deepid_lite.papers.localisation.scenes import SIDE

FALSE_POSITIVES = 0.1  # a picture without a face
HIT = 0.5  # intersection over union from which on a face is found
ZOOMS = np.arange(0.6, 1.81, 0.1)


@dataclasses.dataclass
class Locator:
    """A net with the two numbers that were chosen on scenes of other people.

    zoom: what its best square is multiplied by. threshold: the score that at most FALSE_POSITIVES of the scenes
    without a face exceed.
    """

    net: torch.nn.Module
    zoom: float
    threshold: float

    def __call__(self, images):
        """Scenes uint8 (N, SIDE, SIDE, 3) -> boxes (N, 4) and scores (N,)."""
        boxes, scores = best_squares(responses(self.net, images))
        return zoomed(boxes, self.zoom), scores


def calibrated(maps, boxes, empty_maps):
    """(zoom, threshold) from maps (N, SIDE, SIDE) of scenes with true boxes (N, 4), and of scenes without a face."""
    found, _ = best_squares(maps)
    hits = [(overlap(zoomed(found, zoom), boxes) >= HIT).mean() for zoom in ZOOMS]
    _, scores = best_squares(empty_maps)
    return float(ZOOMS[int(np.argmax(hits))]), float(np.quantile(scores, 1 - FALSE_POSITIVES, method="higher"))


def locate(locator, picture):
    """The face in a picture uint8 (H, W, 3) of any size: (left, top, side) in its pixels, and the score.

    The picture is put into a square, with its border repeated, and reduced to SIDE pixels: a face should take a third
    to four fifths of the shorter side. DataError where nothing exceeds the threshold.
    """
    rows, columns = picture.shape[:2]
    side = max(rows, columns)
    top, left = (side - rows) // 2, (side - columns) // 2
    square = np.pad(picture, ((top, side - rows - top), (left, side - columns - left), (0, 0)), mode="edge")
    pixels = torch.as_tensor(square).permute(2, 0, 1)[None].float()
    small = F.interpolate(pixels, size=(SIDE, SIDE), mode="area").round().byte()
    boxes, scores = locator(small.permute(0, 2, 3, 1).numpy())
    if scores[0] <= locator.threshold:
        raise DataError(f"no face found: the response is {scores[0]:.3f}, a face has more than {locator.threshold:.3f}")
    x, y, width, _ = boxes[0] * side / SIDE
    return (float(x - left), float(y - top), float(width)), float(scores[0])


def save_locator(path, locator):
    """Write a Locator, whole or not at all."""
    facts = {"net": locator.net.config, "zoom": locator.zoom, "threshold": locator.threshold}
    tensors.save(path, locator.net.state_dict(), facts)


def load_locator(path=None):
    """Read what `save_locator` wrote; None: the shipped one, of drawn faces."""
    path = path or Path(str(resources.files("deepid_lite") / "shipped" / "localisation.safetensors"))
    net, facts = load_net(path)
    try:
        return Locator(net, float(facts["zoom"]), float(facts["threshold"]))
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{path}: no locator; give a file that save_locator wrote") from None
