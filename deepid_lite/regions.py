"""Face regions: rectangles of the aligned frame, resized to the input of a net.

The DeepID papers feed one net per region, 55 x 47 pixels for rectangles and 47 x 47 for squares
[DeepID2+, section 2]. The region of a whole face is not printed there, so ours was chosen on
validation people (see WHOLE_FACE below).
"""

from dataclasses import dataclass

import numpy as np

from .align import FRAME
from .errors import DataError

RECTANGLE = (55, 47)
SQUARE = (47, 47)


@dataclass(frozen=True)
class Region:
    """A rectangle of the aligned frame, in its pixels; shape: (rows, columns) of the input of its net."""

    name: str
    left: float
    top: float
    width: float
    height: float
    shape: tuple[int, int] = RECTANGLE

    def __post_init__(self):
        rows, columns = FRAME
        right, bottom = self.left + self.width, self.top + self.height
        inside = self.left >= 0 and self.top >= 0 and right <= columns and bottom <= rows
        if not inside or self.width <= 0 or self.height <= 0:
            raise DataError(f"region {self.name}: it leaves the {rows} x {columns} frame; move or shrink it")


# Of three crops this one verified validation people best (84.1 %, against 81.6 and 79.3 % for tighter ones
# after two epochs; book/results/reference/crop_selection.json): hair and chin help.
WHOLE_FACE = Region("whole face", 8, 10, 112, 131)
WHOLE_FACE_SQUARE = Region("whole face, square", 4, 16, 120, 120, SQUARE)
REGIONS = {region.name: region for region in (WHOLE_FACE, WHOLE_FACE_SQUARE)}


def by_name(name):
    """The region of that name."""
    if name not in REGIONS:
        raise DataError(f"region {name!r}: use one of {', '.join(map(repr, REGIONS))}")
    return REGIONS[name]


def _averaging(start, length, n_out, n_in, margin):
    """(n_out + 2 margin, n_in) weights: output pixel i averages the source interval that it covers."""
    step = length / n_out
    edges = start + step * np.arange(-margin, n_out + margin + 1)
    source = np.arange(n_in)
    low, high = source.astype(np.float64), source + 1.0
    low[0], high[-1] = -np.inf, np.inf  # beyond the frame its border repeats
    overlap = np.minimum(edges[1:, None], high) - np.maximum(edges[:-1, None], low)
    return (np.clip(overlap, 0, None) / step).astype(np.float32)


def crop(images, region=WHOLE_FACE, margin=0, batch_size=256):
    """Cut a region from aligned faces and resize it by area averaging.

    images: uint8 (N, 144, 128, 3). Returns uint8 (N, rows + 2 margin, columns + 2 margin, 3) with
    (rows, columns) = region.shape. A margin, in output pixels, leaves room for random shifts in training.
    """
    if images.ndim != 4 or images.shape[1:] != (*FRAME, 3) or images.dtype != np.uint8:
        got, wanted = f"{images.dtype} {images.shape}", f"uint8 (N, {FRAME[0]}, {FRAME[1]}, 3)"
        raise DataError(f"crop: got {got}, wanted {wanted}; align the faces first")
    rows = _averaging(region.top, region.height, region.shape[0], FRAME[0], margin)
    columns = _averaging(region.left, region.width, region.shape[1], FRAME[1], margin)
    used_rows, used_columns = rows.any(0).nonzero()[0], columns.any(0).nonzero()[0]
    top, bottom, left, right = used_rows[0], used_rows[-1] + 1, used_columns[0], used_columns[-1] + 1
    rows, columns = rows[:, top:bottom], columns[:, left:right]
    out = np.empty((len(images), len(rows), len(columns), 3), np.uint8)
    for i in range(0, len(images), batch_size):
        part = images[i : i + batch_size, top:bottom, left:right].astype(np.float32)
        n, h, w, c = part.shape
        part = (rows @ part.reshape(n, h, w * c)).reshape(n, len(rows), w, c)
        out[i : i + batch_size] = np.rint(columns @ part)
    return out
