"""Bring every face into one frame by a similarity transform from five landmarks.

The DeepID papers align faces by a similarity from facial landmarks before they cut regions. A similarity
turns, scales and shifts; it cannot shear or squeeze, so the shape of the face, which tells people apart, is
kept. The least-squares similarity between two point sets has a closed form [Umeyama, TPAMI 1991].
"""

import numpy as np
from PIL import Image

from deepid_lite.errors import DataError

FRAME = (144, 128)  # rows, columns of an aligned face
# left and right as one sees them in the picture
LANDMARKS = ("left eye", "right eye", "nose", "left mouth corner", "right mouth corner")
# where they belong: (x, y) in the frame
TEMPLATE = np.array([[44, 60], [84, 60], [64, 85], [47, 104.5], [81, 104.5]], dtype=np.float32)


def similarity(landmarks, template=TEMPLATE):
    """The similarity that carries `landmarks` closest to `template` in the least-squares sense.

    landmarks: (..., K, 2) points (x, y) in pixels; template: (K, 2). Returns (..., 2, 3) matrices A with
    A @ (x, y, 1) in the template's frame. In two dimensions a similarity is multiplication by one complex
    number, so Umeyama's problem is a linear regression of complex numbers, and it never yields a mirror
    image. Raises DataError when all points of a face coincide or one is not finite.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape[-2:] != np.shape(template):
        raise DataError(f"landmarks: got shape {points.shape}, wanted (..., {len(template)}, 2)")
    if not np.isfinite(points).all():
        raise DataError("landmarks: a coordinate is not finite; mend or drop that row")
    z = points[..., 0] + 1j * points[..., 1]
    target = np.asarray(template, dtype=np.float64) @ np.array([1, 1j])
    z_mean = z.mean(-1, keepdims=True)
    centred = z - z_mean
    power = (np.abs(centred) ** 2).sum(-1)
    if (power < 1e-6).any():
        raise DataError("landmarks: all points of a face coincide; mend or drop that row")
    turn = (centred.conj() * (target - target.mean())).sum(-1) / power  # scale * exp(i * angle)
    shift = target.mean() - turn * z_mean[..., 0]
    rows = [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def transform_points(points, matrix):
    """Apply (..., 2, 3) matrices to (..., K, 2) points."""
    points = np.asarray(points)
    return np.einsum("...ij,...kj->...ki", matrix[..., :2], points) + matrix[..., None, :, 2]


def align(image: np.ndarray, landmarks: np.ndarray, size: tuple[int, int] = FRAME) -> np.ndarray:
    """Warp one uint8 (H, W, 3) picture so that its five landmarks fall on the template.

    Returns uint8 (rows, columns, 3). Pixels from outside the picture repeat its border, because a black
    corner would be a feature of the photograph and not of the face.
    """
    matrix = similarity(landmarks)
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    scale = np.hypot(*inverse[:, 0])  # picture pixels per frame pixel
    if scale > 2:  # bilinear sampling would skip pixels: average them first
        factor = int(scale)
        reduced = Image.fromarray(image).reduce(factor)
        image = np.asarray(reduced)
        inverse = inverse / factor
    rows, columns = size
    corners = transform_points(np.array([[0, 0], [columns, 0], [0, rows], [columns, rows]]), inverse)
    before = np.maximum(np.ceil(-corners.min(0)).astype(int) + 1, 0)
    after = np.maximum(np.ceil(corners.max(0) - np.array(image.shape[1::-1])).astype(int) + 1, 0)
    if before.any() or after.any():
        if max(before.max(), after.max()) > 4 * max(image.shape[:2]):
            raise DataError("landmarks: they lie far outside the picture; mend or drop that row")
        image = np.pad(image, ((before[1], after[1]), (before[0], after[0]), (0, 0)), mode="edge")
        inverse = inverse + np.array([[0, 0, before[0]], [0, 0, before[1]]])
    # PIL asks for the map from frame to picture, and samples at pixel centres by itself
    affine, bilinear = Image.Transform.AFFINE, Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(image).transform((columns, rows), affine, inverse.ravel().tolist(), bilinear))
