"""Alignment: the least-squares similarity and the warp that follows it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import FRAME, TEMPLATE, align, similarity, transform_points

angles = st.floats(-3.1, 3.1)
scales = st.floats(0.05, 20)
shifts = st.floats(-500, 500)


def matrix_of(angle, scale, dx, dy):
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, dx], [s, c, dy]])


@settings(deadline=None)
@given(angles, scales, shifts, shifts)
def test_recovers_a_known_similarity(angle, scale, dx, dy):
    known = matrix_of(angle, scale, dx, dy)
    there = transform_points(TEMPLATE, known)
    back = similarity(there)
    np.testing.assert_allclose(transform_points(there, back), TEMPLATE, atol=1e-4)
    size = max(1, scale, abs(dx), abs(dy))
    np.testing.assert_allclose(similarity(TEMPLATE, there), known, atol=1e-5 * size)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_never_mirrors(seed):
    points = np.random.default_rng(seed).normal(size=(5, 2)) * 30
    a = similarity(points)[:, :2]
    scale = np.hypot(*a[:, 0])
    assert np.linalg.det(a) >= 0
    np.testing.assert_allclose(a @ a.T, scale**2 * np.eye(2), atol=1e-9 * max(1, scale**2))


def test_mirrored_landmarks_get_no_mirror_image():
    mirrored = TEMPLATE * [-1, 1] + [128, 0]  # without swapping left and right
    a = similarity(mirrored)[:, :2]
    assert np.linalg.det(a) > 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_equals_brute_force_least_squares(seed):
    rng = np.random.default_rng(seed)
    points = transform_points(TEMPLATE, matrix_of(rng.uniform(-1, 1), rng.uniform(0.5, 3), 20, 30))
    points = points + rng.normal(size=points.shape) * 3

    def residual(p):
        matrix = np.array([[p[0], -p[1], p[2]], [p[1], p[0], p[3]]])
        return (transform_points(points, matrix) - TEMPLATE).ravel()

    best = least_squares(residual, [1.0, 0, 0, 0], xtol=1e-14, ftol=1e-14, gtol=1e-14)
    ours = transform_points(points, similarity(points)) - TEMPLATE
    np.testing.assert_allclose((ours**2).sum(), 2 * best.cost, rtol=1e-8)


def test_many_faces_at_once():
    points = np.random.default_rng(0).normal(size=(3, 4, 5, 2)) * 20
    together = similarity(points)
    assert together.shape == (3, 4, 2, 3)
    np.testing.assert_allclose(together[2, 1], similarity(points[2, 1]))
    moved = transform_points(points, together)
    np.testing.assert_allclose(moved[2, 1], transform_points(points[2, 1], together[2, 1]))


@pytest.mark.parametrize("scale", [0.4, 1.0, 1.7, 5.3])  # from 2 on the picture is averaged first
@pytest.mark.parametrize("angle", [0.0, 0.5])
def test_landmarks_land_on_the_template(scale, angle):
    landmarks = transform_points(TEMPLATE - [64, 72], matrix_of(angle, scale, 100 * scale, 110 * scale))
    y, x = np.mgrid[0 : int(220 * scale), 0 : int(200 * scale)] + 0.5
    radius = max(2 * scale, 1.2)
    picture = np.zeros((*x.shape, 3))
    for px, py in landmarks:  # a soft spot on each landmark
        picture += 255 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * radius**2))[..., None]
    face = align(picture.clip(0, 255).astype(np.uint8), landmarks)
    assert face.shape == (*FRAME, 3) and face.dtype == np.uint8
    rows, columns = np.mgrid[0 : FRAME[0], 0 : FRAME[1]] + 0.5
    for px, py in TEMPLATE:
        near = face[..., 0] * ((columns - px) ** 2 + (rows - py) ** 2 < 10**2)
        centre = (near * columns).sum() / near.sum(), (near * rows).sum() / near.sum()
        np.testing.assert_allclose(centre, (px, py), atol=0.15)


def test_a_face_in_its_frame_stays_as_it_is():
    picture = np.random.default_rng(0).integers(0, 256, (*FRAME, 3), dtype=np.uint8)
    np.testing.assert_array_equal(align(picture, TEMPLATE), picture)


def test_border_is_repeated():
    picture = np.full((60, 60, 3), 200, np.uint8)  # far smaller than the frame asks for
    picture[:, :30] = 90
    face = align(picture, TEMPLATE - [34, 55])
    assert set(np.unique(face)) == {90, 200}  # no black corner
    assert (face[:, :60] == 90).all() and (face[:, 70:] == 200).all()


def test_the_picture_is_not_changed():
    picture = np.random.default_rng(0).integers(0, 256, (100, 90, 3), dtype=np.uint8)
    before = picture.copy()
    align(picture, TEMPLATE * 0.7)
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize(
    ("landmarks", "says"),
    [
        (np.full((5, 2), 7.0), "coincide"),
        (np.where(np.eye(5, 2), np.nan, TEMPLATE), "not finite"),
        (np.zeros((4, 2)), "shape"),
        (np.zeros(10), "shape"),
        (TEMPLATE + 5000, "outside"),
    ],
)
def test_wrong_landmarks_get_one_line(landmarks, says):
    with pytest.raises(DataError, match=says) as error:
        align(np.zeros((100, 100, 3), np.uint8), landmarks)
    assert "\n" not in str(error.value)
