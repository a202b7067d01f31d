"""Sunglasses and masks drawn from five landmarks: occlusions that people wear, beyond the paper's black areas.

Shapes are given in a face's own axes, so that they follow its place, size, roll and, roughly, its turn: `across` is the
vector from eye to eye, `down` that from between the eyes to between the corners of the mouth.
"""

import numpy as np
from PIL import Image, ImageDraw
from scipy.interpolate import CubicSpline

from deepid_lite.errors import DataError

FINE = 4  # outlines are drawn this much larger and averaged, for smooth edges
LENS, FRAME_COLOUR = (28, 26, 30), (12, 12, 14)
CLOTH, FOLD = (176, 203, 216), (142, 172, 190)


def sunglasses(images, landmarks):
    """Dark glasses on each face: images uint8 (N, H, W, 3), landmarks (N, 5, 2) in their pixels -> new images."""
    return _worn(images, landmarks, _draw_glasses)


def surgical_mask(images, landmarks):
    """A surgical mask from the bridge of the nose to below the chin; otherwise as `sunglasses`."""
    return _worn(images, landmarks, _draw_mask)


def _worn(images, landmarks, draw):
    images, landmarks = np.asarray(images), np.asarray(landmarks, np.float64)
    if images.ndim != 4 or images.dtype != np.uint8 or landmarks.shape != (len(images), 5, 2):
        raise DataError(
            f"disguise: got {images.dtype} {images.shape} and landmarks {landmarks.shape},"
            " wanted uint8 (N, H, W, 3) and (N, 5, 2)"
        )
    if not np.isfinite(landmarks).all():
        raise DataError("disguise: a landmark is not finite; correct or drop that row")
    return np.stack([draw(image, points) for image, points in zip(images, landmarks, strict=True)]) if len(
        images) else images.copy()  # fmt: skip


def _axes(points):
    """(left eye, right eye, nose, middle of the mouth, across, down, left and right room) of five landmarks.

    Room: how far the face goes beyond an eye, in units of across; the side that the nose turns to has less.
    """
    left, right, nose = points[:3]
    mouth, across = points[3:].mean(0), right - left
    turn = (nose - (left + right) / 2) @ across / (across @ across)
    return left, right, nose, mouth, across, mouth - (left + right) / 2, *np.clip([0.5 + turn, 0.5 - turn], 0.1, 1.2)


def _draw_glasses(image, points):
    left, right, nose, _, across, down, room_left, room_right = _axes(points)
    turn = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    # a superellipse: rounder than a box, fuller than an ellipse
    x, y = (np.sign(v) * np.abs(v) ** 0.62 for v in (np.cos(turn), np.sin(turn)))
    shift = 0.15 * (room_left - room_right) / 2 * across  # the frame sits on the nose, which a turn moves
    rims = [eye + shift + 0.10 * down + 0.43 * x[:, None] * across + 0.30 * y[:, None] * down
            for eye in (left, right)]  # fmt: skip
    middle = (left + right) / 2 + shift
    lines = [[middle - 0.10 * across - 0.04 * down, middle + 0.10 * across - 0.04 * down]]
    for eye, way, room in ((left, -1, room_left), (right, 1, room_right)):
        if room > 0.4:  # else that arm is behind the face
            lines.append([eye + shift + way * 0.40 * across - 0.03 * down, eye + way * (room + 0.06) * across])
    image = _paint(image, FRAME_COLOUR, lines=lines, width=0.09 * np.linalg.norm(down))
    image = _paint(image, FRAME_COLOUR, polygons=rims)
    return _paint(image, LENS, polygons=[rim.mean(0) + 0.88 * (rim - rim.mean(0)) for rim in rims])


def _draw_mask(image, points):
    left, right, nose, mouth, across, down, room_left, room_right = _axes(points)
    eyes = (left + right) / 2
    bridge = eyes + 0.55 * (nose - eyes)
    corner_left, corner_right = (eye + way * room * across + 0.50 * down
                                 for eye, way, room in ((left, -1, room_left), (right, 1, room_right)))  # fmt: skip
    outline = np.array([
        bridge, right + 0.3 * room_right * across + 0.36 * down, corner_right,
        mouth + (0.32 + room_right) * across + 0.36 * down, mouth + 0.8 * room_right * across + 0.74 * down,
        mouth + 0.82 * down,
        mouth - 0.8 * room_left * across + 0.74 * down, mouth - (0.32 + room_left) * across + 0.36 * down,
        corner_left, left - 0.3 * room_left * across + 0.36 * down,
    ])  # fmt: skip
    straps = [[corner, corner + way * 0.16 * across - 0.28 * down]
              for corner, way, room in ((corner_left, -1, room_left), (corner_right, 1, room_right))
              if room > 0.3]  # fmt: skip
    folds = []
    for height in (0.10, 0.34, 0.58):
        middle = nose + (0.1 + height) * (mouth + 0.74 * down - nose)
        folds.append([middle - (0.1 + room_left) * across - 0.10 * down, middle,
                      middle + (0.1 + room_right) * across - 0.10 * down])  # fmt: skip
    image = _paint(image, FOLD, lines=straps, width=0.04 * np.linalg.norm(down))
    image = _paint(image, CLOTH, polygons=[_smooth(outline)])
    return _paint(image, FOLD, lines=folds, width=0.03 * np.linalg.norm(down))


def _smooth(points, n=96):
    """A closed curve through points (K, 2), as n points."""
    closed = np.concatenate([points, points[:1]])
    return CubicSpline(np.arange(len(closed)), closed, bc_type="periodic")(np.linspace(0, len(points), n))


def _paint(image, colour, polygons=(), lines=(), width=1.0):
    """The image with shapes in one colour; points are (x, y) in pixels, whose centres are whole numbers."""
    rows, columns = image.shape[:2]
    canvas = Image.new("L", (columns * FINE, rows * FINE))
    pen = ImageDraw.Draw(canvas)
    for points in polygons:
        pen.polygon([tuple(p) for p in (np.asarray(points) + 0.5) * FINE - 0.5], fill=255)
    for points in lines:
        pen.line([tuple(p) for p in (np.asarray(points) + 0.5) * FINE - 0.5], fill=255,
                 width=max(1, round(width * FINE)), joint="curve")  # fmt: skip
    share = np.asarray(canvas.reduce(FINE), np.float64)[..., None] / 255
    return np.rint(image * (1 - share) + np.array(colour) * share).astype(np.uint8)
