"""Pictures as they are, not aligned and of any size, each with the box of a face and, where known, its landmarks.

For systems that look for the face themselves. A `PictureSet` knows names and numbers; a picture is decoded when it is
asked for.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

import numpy as np

from deepid_lite.errors import DataError
from deepid_lite.faces.decoding import decode
from deepid_lite.faces.images import Files, match_paths, open_files, user_path
from deepid_lite.faces.tables import (
    INDEX_LANDMARKS,
    as_attribute,
    as_text,
    landmarks_of,
    plain_path,
    read_columns,
    read_table,
)

BOX = ("x", "y", "w", "h")
TABLES = ("faces.csv", "index.csv")
BOXES = "groundtruth_rect.txt"  # of a sequence, as the tracking benchmarks [OTB, Wu et al., CVPR 2013] have it


@dataclass
class PictureSet:
    """N pictures of P people.

    boxes: float32 (N, 4), left, top, width and height of the face in pixels. landmarks: float32 (N, 5, 2), pixels
    (x, y) in the order of alignment.LANDMARKS, or None. labels: int64 (N,), indices into names. paths: N names of
    files, members of `files`. attributes: name -> (N,), unknown numbers are nan.
    """

    files: Files
    paths: list[str]
    labels: np.ndarray
    names: list[str]
    boxes: np.ndarray
    landmarks: np.ndarray | None = None
    attributes: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, row):
        """The picture, uint8 (H, W, 3). Raises BadImage, a DataError, naming it, when it cannot be decoded."""
        path = self.paths[row]
        return decode(self.files.read_one(path), path)

    def decoded(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (row, picture) of all pictures, in the order that is quickest for the archive."""
        rows = {path: row for row, path in enumerate(self.paths)}
        return ((rows[path], decode(data, path)) for path, data in self.files.read(self.paths))

    def subset(self, which):
        """The pictures at these indices, in this order, or where a (N,) mask is true; people keep their numbers."""
        rows = np.arange(len(self))[which]
        return replace(
            self,
            paths=[self.paths[row] for row in rows],
            labels=self.labels[rows],
            boxes=self.boxes[rows],
            landmarks=None if self.landmarks is None else self.landmarks[rows],
            attributes={name: values[rows] for name, values in self.attributes.items()},
        )


def load_pictures(root, table=None):
    """A folder, tar or zip of pictures with a table -> PictureSet.

    table: its name below root, by default faces.csv or index.csv. Columns: file or path, x, y, w, h of the box in
    pixels; optional are identity and the ten of the landmarks, as in an index.csv; others become attributes. DataError
    for a table or a row that is wrong, with its line, and for a row whose picture is not there.
    """
    files = open_files(user_path(root))
    wanted = TABLES if table is None else (table,)
    found = [name for name in files.names if name in wanted or PurePosixPath(name).name in wanted]
    if len(found) != 1:
        raise DataError(f"{files.root}: {len(found)} tables {' or '.join(wanted)}; give the name of one, table=...")
    where = f"{files.root}: {found[0]}"
    rows = read_columns(files.read_one(found[0]), where)
    rows = rows.rename(columns=lambda name: re.sub(r"^(left|right)_mouth_(x|y)$", r"mouth_\1_\2", str(name)))
    path = next((name for name in ("path", "file") if name in rows), None)
    marked = [name for name in INDEX_LANDMARKS if name in rows]
    if not len(rows) or path is None or not set(BOX) <= set(rows) or len(marked) not in (0, 10):
        columns = f"the columns file, {', '.join(BOX)} are expected, and ten of landmarks or none"
        raise DataError(f"{where}: {columns}; it has {len(rows)} rows of {', '.join(map(str, rows)) or 'nothing'}")
    members = match_paths(map(plain_path, rows[path]), files.names)
    places = [f"{where}, line {line}" for line in rows.index]
    paths = []
    for name, place in zip(map(plain_path, rows[path]), places, strict=True):
        if name not in members:
            raise DataError(f"{place}: {name!r} is not there, or more than once; drop the row or add the picture")
        paths.append(members[name])
    if len(set(paths)) < len(paths):
        row = next(row for row, name in enumerate(paths) if name in paths[:row])
        raise DataError(f"{places[row]}: {paths[row]} is listed twice; keep one row")
    names, labels = np.unique(rows["identity"] if "identity" in rows else [""] * len(rows), return_inverse=True)
    others = [name for name in rows if name not in {path, "identity", *BOX, *INDEX_LANDMARKS}]
    return PictureSet(
        files=files,
        paths=paths,
        labels=labels.astype(np.int64),
        names=names.tolist(),
        boxes=_boxes(rows[list(BOX)].values.tolist(), places),
        landmarks=landmarks_of(rows, where).astype(np.float32) if marked else None,
        attributes={name: as_attribute(rows[name].tolist()) for name in others},
    )


def load_sequence(root, name=None):
    """A sequence of frames with the target's box in each -> PictureSet, in the order of time.

    root: a folder, tar or zip with `groundtruth_rect.txt` (x y w h a line, with commas, tabs or blanks) and the frames
    in `img/` beside it. name: of the sequence's folder where there are several. DataError: no such sequence, a row that
    is no box, another number of boxes than of frames.
    """
    files = open_files(user_path(root))
    lists = {PurePosixPath(f).parent.name: f for f in files.names if PurePosixPath(f).name == BOXES}
    if name is None and len(lists) == 1:
        name = next(iter(lists))
    if name not in lists:
        known = ", ".join(lists) or f"none, for want of a {BOXES}"
        raise DataError(f"{files.root}: no sequence {name!r}; name one of those there: {known}")
    where, folder = f"{files.root}: {lists[name]}", lists[name].removesuffix(BOXES) + "img/"
    rows = read_table(re.sub(r"[,;]", " ", as_text(files.read_one(lists[name]), where)), where, columns=4)
    frames, _ = files.pictures([member for member in files.names if member.startswith(folder)])
    frames.sort(key=lambda member: (len(member), member))  # 10.jpg comes after 9.jpg
    if len(frames) != len(rows) or not frames:
        raise DataError(f"{where}: {len(rows)} boxes for {len(frames)} frames in {folder}; fetch the sequence again")
    boxes = _boxes(rows.values.tolist(), [f"{where}, line {line}" for line in rows.index])
    return PictureSet(files, frames, np.zeros(len(frames), np.int64), [name], boxes)


def overlap(a, b):
    """Intersection over union of boxes (N, 4), each with the one of the same row, in float64: (N,)."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    return shared / (a[:, 2:].prod(1) + b[:, 2:].prod(1) - shared)


def _boxes(rows, places):
    """Rows of four texts as float32 (N, 4); a row that is no box is refused with its place."""
    boxes = np.full((len(rows), 4), np.nan)
    for number, (row, place) in enumerate(zip(rows, places, strict=True)):
        try:
            boxes[number] = [float(value) for value in row]
        except ValueError:
            pass
        if not np.isfinite(boxes[number]).all() or boxes[number, 2:].min() <= 0:
            raise DataError(
                f"{place}: {' '.join(row)!r} is no box: left, top, width and height in pixels; mend the row"
            )
    return boxes.astype(np.float32)
