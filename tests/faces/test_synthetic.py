"""The synthetic faces: the same bytes always, true labels, features at the landmarks, hard for raw pixels."""

import numpy as np
import pytest

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import TEMPLATE, align
from deepid_lite.faces.regions import crop
from deepid_lite.faces.synthetic import draw as drawing
from deepid_lite.faces.synthetic import people as synthetic
from deepid_lite.faces.synthetic.people import (
    ATTRIBUTES,
    IDENTITY,
    NUISANCE,
    PARTS,
    PERSON_ATTRIBUTES,
    draw,
    lite_part,
    make_faces,
    neutral,
    sample_identity,
    sample_nuisance,
)


@pytest.fixture(scope="module")
def faces():
    """Twelve images of forty people whom the lite test part holds."""
    return make_faces(40, 12, first_person=synthetic.FIRST_PERSON["test"])


def mean_person():
    return np.zeros(len(IDENTITY), np.float32)


def patch(image, point, half):
    x, y = np.rint(point).astype(int)
    return image[y - half : y + half + 1, x - half : x + half + 1].astype(float)


def same_or_not(faces, rng, n=2000):
    """As many random pairs of one person as of two."""
    first, second = rng.integers(0, len(faces), (2, 60 * n))
    same = faces.labels[first] == faces.labels[second]
    pick = np.concatenate([np.flatnonzero(same & (first != second))[:n], np.flatnonzero(~same)[:n]])
    return first[pick], second[pick], same[pick]


def best_accuracy(scores, same):
    thresholds = np.quantile(scores, np.linspace(0, 1, 201))
    return max(np.mean((scores > threshold) == same) for threshold in thresholds)


# ------------------------------------------------------------------------------------------ the same bytes


def test_a_person_is_the_same_in_any_set(faces):
    start = synthetic.FIRST_PERSON["test"]
    alone = make_faces(1, 12, first_person=start + 17)
    assert np.array_equal(alone.images, faces.images[17 * 12 : 18 * 12])
    assert np.array_equal(alone.landmarks, faces.landmarks[17 * 12 : 18 * 12])
    fewer = make_faces(2, 5, first_person=start + 17)
    assert np.array_equal(fewer.images[:5], alone.images[:5])


def test_a_face_does_not_depend_on_its_neighbours_in_the_batch(faces, monkeypatch):
    start = synthetic.FIRST_PERSON["test"]
    rows = [(start + p, i) for p in (3, 9, 11) for i in range(7)]
    people = np.stack([sample_identity(p) for p, _ in rows])
    nuisance = [sample_nuisance(p, i) for p, i in rows]
    nuisance = {name: np.array([row[name] for row in nuisance]) for name in NUISANCE}
    images, points = draw(people, nuisance)
    backwards, _ = draw(people[::-1], {name: v[::-1] for name, v in nuisance.items()})
    assert np.array_equal(backwards[::-1], images)
    for chunk in (1, 5, 21):
        monkeypatch.setattr(drawing, "CHUNK", chunk)
        again, again_points = draw(people, nuisance)
        assert np.array_equal(again, images) and np.array_equal(again_points, points)
    assert np.array_equal(images[:7], faces.images[3 * 12 : 3 * 12 + 7])


def test_seed_and_person_change_the_face():
    person = sample_identity(4)
    assert np.array_equal(person, sample_identity(4))
    assert not np.allclose(person, sample_identity(5)) and not np.allclose(person, sample_identity(4, seed=1))
    assert sample_nuisance(4, 0) != sample_nuisance(4, 1) != sample_nuisance(5, 1)
    assert sample_nuisance(4, 1, seed=1) != sample_nuisance(4, 1)
    pictures = draw(np.stack([person, sample_identity(5)]))[0].astype(int)
    assert np.abs(pictures[0] - pictures[1]).mean() > 5


# ------------------------------------------------------------------------------------------ arrays and labels


def test_shapes_types_and_ranges(faces):
    n = 480
    assert len(faces) == n
    assert faces.images.shape == (n, 144, 128, 3) and faces.images.dtype == np.uint8
    assert faces.labels.dtype == np.int64 and faces.labels.tolist() == np.repeat(np.arange(40), 12).tolist()
    assert faces.landmarks.shape == (n, 5, 2) and faces.landmarks.dtype == np.float32
    assert faces.yaw.shape == (n,) and faces.yaw.dtype == np.float32
    assert faces.light.shape == (n, 2) and faces.light.dtype == np.float32
    assert faces.identity.shape == (n, len(IDENTITY)) and faces.identity.dtype == np.float32
    assert np.abs(faces.identity).max() <= 1
    assert tuple(faces.attributes) == ATTRIBUTES and len(ATTRIBUTES) >= 10
    assert all(v.shape == (n,) and v.dtype == bool for v in faces.attributes.values())
    assert faces.images[::20].std((1, 2, 3)).min() > 10  # no empty picture


def test_yaw_and_light_stay_within_their_limits(faces):
    assert np.abs(faces.yaw).max() <= 60 and np.abs(faces.yaw).max() > 45
    assert np.abs(faces.light[:, 0]).max() <= 75
    narrow = make_faces(3, 10, yaw_limit=15.0, light_limit=0.0, jitter=0.0)
    assert 5 < np.abs(narrow.yaw).max() <= 15 and np.all(narrow.light[:, 0] == 0)


def test_landmarks_lie_inside_the_frame_in_their_order(faces):
    assert faces.landmarks.min() > 4
    assert faces.landmarks[..., 0].max() < 124 and faces.landmarks[..., 1].max() < 140
    left, right, nose, mouth_left, mouth_right = faces.landmarks.transpose(1, 0, 2)
    assert np.all(left[:, 0] < right[:, 0]) and np.all(mouth_left[:, 0] < mouth_right[:, 0])
    assert np.all(nose[:, 1] > np.maximum(left, right)[:, 1] - 2)
    assert np.all(np.minimum(mouth_left, mouth_right)[:, 1] > np.minimum(left, right)[:, 1] + 20)


def test_the_average_frontal_face_lies_on_the_template():
    _, points = draw(mean_person())
    np.testing.assert_allclose(points[0], TEMPLATE, atol=3)


def test_parts_share_no_person(monkeypatch):
    spans = []
    for part, (people, images) in PARTS.items():
        start = synthetic.FIRST_PERSON[part]
        spans.append(set(range(start, start + people)))
        least = {"train": (500, 20), "celebrities": (5, 100)}.get(part, (200, 20))
        assert people >= least[0] and images >= least[1]
    assert len(set().union(*spans)) == sum(len(span) for span in spans)
    monkeypatch.setattr(synthetic, "PARTS", {"celebrities": (2, 1), "test": (2, 1)})
    np.testing.assert_array_equal(lite_part("test").identity[1], sample_identity(20_001))
    np.testing.assert_array_equal(lite_part("celebrities").identity[0], sample_identity(30_000))


# ------------------------------------------------------------------------------------------ attributes


def test_every_attribute_is_present_and_absent():
    people = np.stack([sample_identity(p) for p in range(500)])
    rows = [sample_nuisance(p, 0) for p in range(500)]
    found = synthetic.attributes(people, {name: np.array([row[name] for row in rows]) for name in NUISANCE})
    rates = {name: float(v.mean()) for name, v in found.items()}
    assert all(0.02 < rate < 0.98 for rate in rates.values()), rates


def test_a_persons_attributes_do_not_change(faces):
    for name in PERSON_ATTRIBUTES:
        values = faces.attributes[name].reshape(40, 12)
        assert np.all(values == values[:, :1]), name
    for name in ("smiling", "mouth_open", "hat"):
        assert np.any(faces.attributes[name].reshape(40, 12).std(1) > 0), name
    hair = np.stack([faces.attributes[f"{c}_hair"] for c in ("black", "brown", "blond", "red", "gray")])
    assert np.array_equal(hair.sum(0), (~faces.attributes["bald"]).astype(int))  # one colour, or none


@pytest.mark.parametrize(
    "name, on, box",
    [
        ("glasses", {"glasses": 2}, (44, 76)),
        ("hat", {"hat": 1}, (5, 45)),
        ("smiling", {"smile": 1}, (94, 116)),
        ("mouth_open", {"mouth_open": 1}, (94, 120)),
        ("eyes_closed", {"eye_closure": 1}, (48, 72)),
    ],
)
def test_an_attribute_of_the_image_changes_its_part_of_the_picture(name, on, box):
    """Only rows of the part change, and they do change."""
    off = neutral()
    assert not synthetic.attributes(mean_person()[None], off)[name][0]
    assert synthetic.attributes(mean_person()[None], {**off, **neutral(**on)})[name][0]
    before, after = (draw(mean_person(), **kw)[0][0].astype(int) for kw in ({}, on))
    change = np.abs(after - before).mean((1, 2))
    assert change[box[0] : box[1]].max() > 4
    assert change[120:].max() < 0.5 or name == "smiling"


def test_hair_and_skin_have_the_colour_that_the_attribute_says():
    def person(**numbers):
        row = mean_person()
        for name, value in numbers.items():
            row[IDENTITY.index(name)] = value
        return row

    top = [draw(person(hair_colour=c))[0][0, 18:26, 56:72].mean((0, 1)) for c in (-0.9, 0.3)]
    assert top[0].max() < 60 and top[1].mean() > 90 and top[1][0] > top[1][2] + 40  # black, blond
    cheek = [patch(draw(person(skin_tone=t))[0][0], (46, 84), 3).mean() for t in (-1, 0, 1)]
    assert cheek[0] > cheek[1] + 20 > cheek[2] + 40
    chin = [patch(draw(person(beard=b, hair_colour=-0.9))[0][0], (64, 118), 3).mean() for b in (-1, 1)]
    assert chin[1] < chin[0] - 50
    bare, haired = (draw(person(hair_style=s, hair_colour=-0.9))[0][0, 20:28, 56:72].mean() for s in (-1, 0))
    assert bare > haired + 60


# ------------------------------------------------------------------------------------------ geometry


def test_features_are_drawn_at_the_landmarks():
    """Frontal: a dark pupil in a lighter eye, and lips redder than the cheek, for most of many people."""
    people = np.stack([sample_identity(p) for p in range(60)])
    images, points = draw(people)
    pupils, eyes, redder = [], [], []
    for image, point in zip(images, points, strict=True):
        for eye in point[:2]:
            pupils.append(patch(image, eye + (0, 0.5), 1).mean())
            eyes.append(patch(image, eye, 6).max())
        lips = patch(image, (point[3] + point[4]) / 2, 2).mean((0, 1))
        skin = patch(image, point[2] + (18, 0), 2).mean((0, 1))
        redder.append(lips[0] / lips.sum() > skin[0] / skin.sum())
    assert np.mean(np.array(pupils) < 0.6 * np.array(eyes)) > 0.95
    assert np.mean(redder) > 0.9


def test_landmarks_follow_yaw_scale_shift_and_roll():
    _, points = draw(mean_person(), yaw=[-60, -30, 0, 30, 60])
    gap = points[:, 1, 0] - points[:, 0, 0]
    assert np.all(gap[[0, 1]] < gap[[1, 2]]) and np.all(gap[[4, 3]] < gap[[3, 2]])
    middle = points[:, :2, 0].mean(1)
    assert np.all(np.diff(points[:, 2, 0] - middle) > 0)  # the nose moves to the right of the eyes
    base, big, moved, rolled = draw(
        mean_person(), scale=[1, 1.1, 1, 1], shift_x=[0, 0, 3, 0], shift_y=[0, 0, -2, 0], roll=[0, 0, 0, 10]
    )[1]
    assert np.allclose(moved - base, (3, -2), atol=1e-3)
    assert np.allclose(big[1] - big[0], 1.1 * (base[1] - base[0]), atol=1e-3)
    turn = base[1] - base[0], rolled[1] - rolled[0]
    assert np.degrees(np.arctan2(turn[1][1], turn[1][0])) == pytest.approx(10, abs=0.1)
    assert np.hypot(*turn[1]) == pytest.approx(np.hypot(*turn[0]), abs=1e-3)


def test_light_changes_pixels_but_no_landmark():
    images, points = draw(sample_identity(8), azimuth=[-70, 70], contrast=0.9)
    assert np.array_equal(points[0], points[1])
    x, y = np.rint(points[0, 2]).astype(int)
    left, right = (images[:, y - 10 : y, x + dx - 3 : x + dx + 4].mean((1, 2, 3)) for dx in (-20, 20))
    assert left[0] > right[0] + 15 and right[1] > left[1] + 15


def test_a_mirrored_head_gives_a_mirrored_picture():
    """For a person without moles, parting and freckles the two turns differ by little but hair strands."""
    images, points = draw(mean_person(), yaw=[-35, 35], azimuth=[-30, 30], gaze=[-0.5, 0.5])
    mirrored = images[1, :, :0:-1].astype(int)  # column x meets column 128 - x, as 64 is the mid-line
    difference = np.abs(images[0, :, 1:].astype(int) - mirrored).mean(-1)
    x0, x1 = (int(points[0, :, 0].min()) - 6, int(points[0, :, 0].max()) + 6)
    assert difference[50:112, x0:x1].mean() < 4
    unmirrored = np.abs(images[0].astype(int) - images[1].astype(int)).mean(-1)
    assert difference[50:112, x0:x1].mean() < 0.3 * unmirrored[50:112, x0:x1].mean()
    swapped = points[1, [1, 0, 2, 4, 3]] * (-1, 1) + (128, 0)
    np.testing.assert_allclose(points[0], swapped, atol=1e-3)


# ------------------------------------------------------------------------------------------ difficulty


def test_raw_pixels_hardly_tell_people_apart(faces):
    """Cosine of aligned, centred pixels: above chance, at most 75 %, with the best of all thresholds."""
    pixels = crop(np.stack([align(i, p) for i, p in zip(faces.images, faces.landmarks, strict=True)]))
    pixels = pixels.reshape(len(faces), -1).astype(np.float32)
    first, second, same = same_or_not(faces, np.random.default_rng(0))
    assert same.mean() == 0.5
    for mean in (pixels.mean(1, keepdims=True), pixels.mean(0)):
        centred = pixels - mean
        centred /= np.linalg.norm(centred, axis=1, keepdims=True)
        accuracy = best_accuracy((centred[first] * centred[second]).sum(1), same)
        assert 0.53 < accuracy <= 0.75


def test_the_identity_is_in_the_pictures():
    """Two clean frontal pictures of one person under another light are closer than those of two people."""
    people = np.stack([sample_identity(p) for p in range(20)])
    one = draw(people, azimuth=-15)[0][:, 30:125, 30:98].astype(float)
    two = draw(people, azimuth=15)[0][:, 30:125, 30:98].astype(float)
    distance = np.abs(one[:, None] - two[None]).mean((2, 3, 4))
    assert np.array_equal(distance.argmin(1), np.arange(20))


# ------------------------------------------------------------------------------------------ wrong input


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: make_faces(0, 3), ("n_people", "at least 1")),
        (lambda: make_faces(3, 0), ("images_per_person", "at least 1")),
        (lambda: make_faces(2.5, 3), ("n_people", "2.5")),
        (lambda: make_faces(1, 1, seed=-1), ("seed", "-1")),
        (lambda: make_faces(1, 1, first_person=-3), ("first_person",)),
        (lambda: make_faces(1, 1, yaw_limit=90), ("yaw_limit", "75")),
        (lambda: make_faces(1, 1, jitter=float("nan")), ("jitter",)),
        (lambda: lite_part("validation"), ("validation", "joint_bayesian")),
        (lambda: draw(np.zeros(7)), ("shape", "(1, 7)")),
        (lambda: draw(mean_person(), yaw=80), ("yaw", "75")),
        (lambda: draw(mean_person(), smiles=1), ("smiles", "smile")),
        (lambda: neutral(2, smiles=1), ("smiles", "smile")),
        (lambda: draw(mean_person(), yaw=[1, 2, 3], smile=[0, 1]), ("lengths",)),
        (lambda: draw(mean_person(), yaw=[]), ("lengths",)),
        (lambda: draw(mean_person() + np.nan), ("NaN",)),
        (lambda: draw(mean_person(), smile=np.inf), ("finite",)),
    ],
)
def test_wrong_arguments_get_one_line(call, words):
    with pytest.raises(DataError) as caught:
        call()
    line = str(caught.value)
    assert "\n" not in line and all(word in line for word in words), line


def test_progress_reaches_the_total():
    steps = []
    make_faces(2, 3, progress=lambda done, total: steps.append((done, total)))
    assert steps[-1] == (6, 6)


def test_one_set_of_numbers_serves_many_conditions():
    images, points = draw(sample_identity(2), neutral(3, yaw=20), smile=[-1, 0, 1])
    assert images.shape == (3, 144, 128, 3) and points.shape == (3, 5, 2)
    assert np.all(np.diff(points[:, 3, 1]) < 0)  # a smile lifts the corners of the mouth


def test_a_limit_draws_the_first_images_alone():
    whole, some = make_faces(3, 4, first_person=7), make_faces(3, 4, first_person=7, limit=5)
    assert len(some) == 5
    for name in ("images", "labels", "landmarks", "yaw", "light", "identity"):
        np.testing.assert_array_equal(getattr(some, name), getattr(whole, name)[:5], err_msg=name)
    np.testing.assert_array_equal(some.attributes["hat"], whole.attributes["hat"][:5])
    assert len(make_faces(1, 2, limit=99)) == 2
