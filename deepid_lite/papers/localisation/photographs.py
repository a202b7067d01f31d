"""The same scenes from photographs: CelebA's pictures as they were taken, each on a canvas, and windows without a face.

Needs celeba_wild.tar (pictures, people, landmarks) and a folder celeba_labels with the official list of attributes.
The attributes are those that people gave; boxes are made from landmarks and audited, and serve to measure.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from deepid_lite.errors import DataError
from deepid_lite.faces.celeba import CELEBA_ATTRIBUTES, celeba_attributes
from deepid_lite.faces.pictures import load_pictures
from deepid_lite.papers.localisation.scenes import FACE, SIDE, Scenes, face_square

AROUND = 2.0  # how much wider than the face's square what a window without a face keeps clear of is
LEAST = 0.35  # of the picture's shorter side, such a window's side


def sound(pictures):
    """Whose box and landmarks fit each other: bool (N,).

    A wrong registration puts one of them elsewhere: the square of the landmarks must lie inside the box, or nearly,
    and be as large to it as is usual, to a third.
    """
    squares, boxes = face_square(pictures.landmarks), pictures.boxes
    middle = squares[:, :2] + squares[:, 2:] / 2
    inside = ((middle > boxes[:, :2]) & (middle < boxes[:, :2] + boxes[:, 2:])).all(1)
    ratio = squares[:, 2] / np.sqrt(boxes[:, 2] * boxes[:, 3])
    return inside & (np.abs(np.log(ratio / np.median(ratio))) < np.log(4 / 3))


def read_photographs(root, seed=0):
    """Scenes of people who train, choose and test (half, a quarter, a quarter), and without a face, to choose and test.

    Five Scenes. root: the folder with celeba_wild.tar and celeba_labels. DataError where one is missing, or no picture
    has all attributes.
    """
    root = Path(root)
    pictures = load_pictures(root / "celeba_wild.tar")
    named = SimpleNamespace(source="celeba", paths=[Path(path).name for path in pictures.paths])
    known = celeba_attributes(named, root / "celeba_labels")
    told = np.stack([known[name] for name in CELEBA_ATTRIBUTES], 1)
    kept = np.flatnonzero(sound(pictures) & ~np.isnan(told).any(1))
    part_of = np.random.default_rng([8, seed]).permutation(len(pictures.names)) * 4 // len(pictures.names)
    parts = [np.isin(part_of[pictures.labels[kept]], which) for which in ((0, 1), (2,), (3,))]
    if not all(part.any() for part in parts):
        raise DataError(
            f"{root}: {len(kept)} pictures with all attributes; put list_attr_celeba.zip into celeba_labels"
        )
    squares, placed, clear = face_square(pictures.landmarks), {}, {}
    wanted = set(kept.tolist())
    for row, image in pictures.decoded():
        if row in wanted:
            rng = np.random.default_rng([9, seed, row])
            times = 2 if part_of[pictures.labels[row]] < 2 else 1
            placed[row] = [place(rng, image, squares[row]) for _ in range(times)]
            clear[row] = window(rng, image, squares[row])
    found = [_scenes(kept[part], placed, pictures.labels, told) for part in parts]
    for part in parts[1:]:
        images = [clear[row] for row in kept[part] if clear[row] is not None]
        n = len(images)
        found.append(
            Scenes(np.stack(images), np.full((n, 4), np.nan), np.arange(n), np.zeros((n, told.shape[1]), bool))
        )
    return found


def _scenes(rows, placed, labels, told):
    each = [(row, image, box) for row in rows for image, box in placed[row]]
    rows = np.array([row for row, _, _ in each])
    people = np.unique(labels[rows], return_inverse=True)[1]
    images, boxes = (np.stack([entry[k] for entry in each]) for k in (1, 2))
    return Scenes(images, boxes, people, told[rows] > 0.5)


def place(rng, image, square):
    """A picture uint8 (rows, columns, 3) on a canvas, so that the face is at a random place and size -> (scene, box).

    Beyond the picture its border goes on.
    """
    side = rng.uniform(*FACE) * SIDE
    scale = side / square[2]
    at = rng.uniform(side / 2, SIDE - side / 2, 2)
    first = square[:2] + square[2:] / 2 + 0.5 - at / scale
    pad = int(np.ceil(SIDE / scale)) + 2
    around = Image.fromarray(np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="edge"))
    box = (*(first + pad), *(first + pad + SIDE / scale))
    scene = around.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=tuple(np.clip(box, 0, [*around.size] * 2)))
    scene = np.asarray(scene)
    if rng.random() < 0.5:
        scene, at = scene[:, ::-1], np.array([SIDE - at[0], at[1]])
    return np.ascontiguousarray(scene), np.array([*(at - side / 2), side, side])


def window(rng, image, square, tries=30):
    """A random window that keeps clear of the face, as a scene; None where none was found."""
    rows, columns = image.shape[:2]
    middle, reach = square[:2] + square[2:] / 2, AROUND * square[2] / 2
    for _ in range(tries):
        side = rng.uniform(LEAST, 1) * min(rows, columns)
        x, y = rng.uniform(0, columns - side), rng.uniform(0, rows - side)
        apart = (
            x > middle[0] + reach,
            x + side < middle[0] - reach,
            y > middle[1] + reach,
            y + side < middle[1] - reach,
        )
        if any(apart):
            part = Image.fromarray(image).resize(
                (SIDE, SIDE), Image.Resampling.BILINEAR, box=(x, y, x + side, y + side)
            )
            return np.asarray(part)
    return None
