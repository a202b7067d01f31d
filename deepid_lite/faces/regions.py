"""Face regions: rectangles of the aligned frame, resized to the input of a net.

The DeepID papers feed one net per region, 55 x 47 pixels for rectangles and 47 x 47 for squares
[DeepID2+, section 2]. The region of a whole face is not printed there, so ours was chosen on
validation people (see WHOLE_FACE below). REGIONS has twenty-five, and CANDIDATES a larger pool to choose from
(region_selection.py).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import FRAME

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


def _around(name, x, y, height, shape):
    """The region of that height around (x, y), as wide as its net's input asks for."""
    width = height * shape[1] / shape[0]
    return Region(name, x - width / 2, y - height / 2, width, height, shape)


# Of three crops this one verified validation people best (84.1 %, against 81.6 and 79.3 % for tighter ones
# after two epochs; book/results/reference/crop_selection.json): hair and chin help.
WHOLE_FACE = Region("whole face", 8, 10, 112, 131)
WHOLE_FACE_SQUARE = Region("square whole face", 4, 16, 120, 120, SQUARE)

# Twenty-five regions. The paper shows its own only in a picture [DeepID2, Fig. 2]; these are ours. The beginning of
# the table is an ensemble as well: large and unlike regions come first, twins on the other side of the face late.
# Around (x, y) in the frame, with the eyes at y = 60, the tip of the nose at (64, 85) and the mouth at y = 104.5.
REGIONS = {region.name: region for region in (
    WHOLE_FACE,
    _around("eyes and nose", 64, 66, 92, SQUARE),
    _around("lower face", 64, 96, 88, SQUARE),
    _around("left half", 47, 75, 110, RECTANGLE),
    _around("inner face", 64, 78, 100, RECTANGLE),
    _around("upper face", 64, 56, 108, SQUARE),
    WHOLE_FACE_SQUARE,
    _around("left eye", 46, 60, 72, SQUARE),
    _around("nose", 64, 80, 76, RECTANGLE),
    _around("mouth", 64, 104, 72, SQUARE),
    _around("right half", 81, 75, 110, RECTANGLE),
    _around("both eyes", 64, 58, 76, SQUARE),
    _around("left cheek", 44, 88, 84, RECTANGLE),
    _around("forehead", 64, 46, 90, SQUARE),
    _around("right eye", 82, 60, 72, SQUARE),
    _around("chin", 64, 110, 66, SQUARE),
    _around("right cheek", 84, 88, 84, RECTANGLE),
    _around("left mouth corner", 47, 104, 64, SQUARE),
    _around("right mouth corner", 81, 104, 64, SQUARE),
    _around("bridge of the nose", 64, 62, 64, RECTANGLE),
    _around("eyes to mouth", 64, 84, 94, RECTANGLE),
    _around("left eye alone", 44, 60, 52, SQUARE),
    _around("right eye alone", 84, 60, 52, SQUARE),
    _around("tip of the nose", 64, 85, 52, SQUARE),
    _around("mouth alone", 64, 104.5, 52, SQUARE),
)}  # fmt: skip


# The pool that a selection may draw on: every place in every height and shape that stays inside the frame.
PLACES = {
    "face": (64, 78), "forehead": (64, 46), "eyes": (64, 60), "nose": (64, 80), "mouth": (64, 104), "chin": (64, 114),
    "left eye": (44, 60), "right eye": (84, 60), "left cheek": (44, 85), "right cheek": (84, 85),
    "left mouth": (47, 104), "right mouth": (81, 104),
}  # fmt: skip
HEIGHTS = (44, 52, 64, 76, 88, 100, 116, 130)


def _pool():
    rows, columns = FRAME
    for place, (x, y) in PLACES.items():
        for height in HEIGHTS:
            for kind, shape in (("square", SQUARE), ("rectangle", RECTANGLE)):
                half = height * shape[1] / shape[0] / 2
                if half <= x <= columns - half and height / 2 <= y <= rows - height / 2:
                    yield _around(f"{place} {height} {kind}", x, y, height, shape)


CANDIDATES = REGIONS | {region.name: region for region in _pool()}


def by_name(name):
    """The region of that name, of the twenty-five or of the larger pool."""
    if name not in CANDIDATES:
        known = ", ".join(map(repr, REGIONS))
        raise DataError(f"region {name!r}: use one of {known}, or of the pool that `deepid regions list --pool` prints")
    return CANDIDATES[name]


def by_names(wanted):
    """Regions that a user asks for: "all", a number (the first so many of the table), or names with commas between."""
    wanted = str(wanted).strip()
    if wanted == "all":
        return list(REGIONS.values())
    if wanted.isdecimal():
        if not 1 <= int(wanted) <= len(REGIONS):
            raise DataError(f"regions {wanted}: the table has {len(REGIONS)}; use 1 to {len(REGIONS)}, or names")
        return list(REGIONS.values())[: int(wanted)]
    regions = [by_name(name.strip()) for name in wanted.split(",")]
    if len(set(regions)) < len(regions):
        raise DataError(f"regions {wanted!r}: a region is named twice; name each once")
    return regions


def folder_of(region):
    """The name of a region's folder in that of its ensemble: "whole face" -> "whole-face"."""
    return region.name.replace(" ", "-")


@lru_cache
def _averaging(start, length, n_out, n_in, margin):
    """(n_out + 2 margin, n_in) weights and (n_out + 2 margin,) their sums: output pixel i averages what it covers.

    The weights are whole numbers: lengths on the coarsest grid that has all edges on it, which every region of the
    tables has; other regions are put on a fine one.
    """
    step = length / n_out
    edges = start + step * np.arange(-margin, n_out + margin + 1)
    fitting = (unit for unit in range(1, 256) if np.abs(edges * unit - np.rint(edges * unit)).max() < 1e-6)
    unit = next(fitting, int(2**22 / max(step, 1)))
    edges = np.rint(edges * unit)
    low, high = unit * np.arange(0.0, n_in), unit * np.arange(1.0, n_in + 1)
    low[0], high[-1] = -np.inf, np.inf  # beyond the frame its border repeats
    overlap = np.minimum(edges[1:, None], high) - np.maximum(edges[:-1, None], low)
    return np.clip(overlap, 0, None), np.diff(edges)


def crop(images: np.ndarray, region: Region = WHOLE_FACE, margin: int = 0, batch_size: int = 32) -> np.ndarray:
    """Cut a region from aligned faces and resize it by area averaging; halves are rounded to the even number.

    images: uint8 (N, 144, 128, 3). Returns uint8 (N, rows + 2 margin, columns + 2 margin, 3) with
    (rows, columns) = region.shape. A margin, in output pixels, leaves room for random shifts in training. The bytes
    are the same on every machine: all sums are of whole numbers that a float holds, so their order does not matter.
    """
    if images.ndim != 4 or images.shape[1:] != (*FRAME, 3) or images.dtype != np.uint8:
        got, wanted = f"{images.dtype} {images.shape}", f"uint8 (N, {FRAME[0]}, {FRAME[1]}, 3)"
        raise DataError(f"crop: got {got}, wanted {wanted}; align the faces first")
    rows, heights = _averaging(region.top, region.height, region.shape[0], FRAME[0], margin)
    columns, widths = _averaging(region.left, region.width, region.shape[1], FRAME[1], margin)
    used_rows, used_columns = rows.any(0).nonzero()[0], columns.any(0).nonzero()[0]
    top, bottom, left, right = used_rows[0], used_rows[-1] + 1, used_columns[0], used_columns[-1] + 1
    kind = np.float32 if 255 * heights.max() * widths.max() < 2**24 else np.float64  # holds every sum
    rows, columns = rows[:, top:bottom].astype(kind), columns[:, left:right].astype(kind)
    areas = (heights[:, None] * widths)[..., None].astype(kind)
    out = np.empty((len(images), len(rows), len(columns), 3), np.uint8)
    for i in range(0, len(images), batch_size):
        part = images[i : i + batch_size, top:bottom, left:right].astype(kind)
        n, h, w, c = part.shape
        part = (rows @ part.reshape(n, h, w * c)).reshape(n, len(rows), w, c)
        out[i : i + batch_size] = np.rint(columns @ part / areas)
    return out
