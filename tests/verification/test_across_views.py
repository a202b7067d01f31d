"""Identification from one frontal picture: LDA against its definition, rank-1 against a loop."""

import numpy as np
import pytest

from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.views import ViewFaces
from deepid_lite.verification.across_views import LDA, baselines, estimate, rank1_by_view

VIEWS = (-30, 0, 30)


def studio(n_people, seed, lights=2):
    """Noise in the layout of a studio."""
    n_each = len(VIEWS) * lights
    rng = np.random.default_rng(seed)
    n = n_people * n_each
    return ViewFaces(
        rng.integers(0, 256, (n, 32, 32), dtype=np.uint8),
        np.repeat(np.arange(n_people), n_each),
        np.tile(np.repeat(VIEWS, lights), n_people),
        np.tile(np.arange(lights), n_people * len(VIEWS)),
        rng.uniform(0, 32, (n, 5, 2)).astype(np.float32),
    )


def people_with_noise(faces, noise, seed, dimension=8):
    """Features that are a person's own point, and noise."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(faces.labels.max() + 1, dimension))[faces.labels] + rng.normal(
        0, noise, (len(faces), dimension)
    )


def test_the_scatter_within_people_becomes_the_identity():
    faces = studio(20, 0)
    x = people_with_noise(faces, 0.5, 1) @ np.random.default_rng(2).normal(size=(8, 8))
    z = LDA().fit(x, faces.labels).transform(x)
    deviations = z - np.stack([z[faces.labels == p].mean(0) for p in range(20)])[faces.labels]
    np.testing.assert_allclose(deviations.T @ deviations / (len(z) - 20), np.eye(8), atol=1e-3)
    means = np.stack([z[faces.labels == p].mean(0) for p in range(20)])
    between = means.T @ means
    assert np.abs(between - np.diag(np.diag(between))).max() < 1e-3 * between.max()  # and people differ axis by axis
    assert (np.diff(np.diag(between)) < 0).all()  # the first most


def test_lda_does_not_mind_how_features_are_scaled():
    faces, test = studio(12, 0), studio(6, 1)
    x, y = people_with_noise(faces, 0.5, 1), people_with_noise(test, 0.5, 2)
    scales = np.logspace(-1, 1, 8)
    first, second = rank1_by_view(faces, test, x, y), rank1_by_view(faces, test, x * scales, y * scales)
    np.testing.assert_allclose(first, second)


def test_rank1_is_that_of_a_loop():
    train, test = studio(12, 0), studio(7, 1)
    x, y = people_with_noise(train, 1.0, 1), people_with_noise(test, 1.0, 2)
    z = LDA().fit(x, train.labels).transform(y)
    found = np.zeros((7, 3))
    for person in range(7):
        for column, view in enumerate(VIEWS):
            right = []
            for row in np.flatnonzero((test.labels == person) & (test.views == view) & ~test.in_gallery):
                cosines = [z[row] @ g / np.linalg.norm(z[row]) / np.linalg.norm(g) for g in z[test.in_gallery]]
                right.append(np.argmax(cosines) == person)
            found[person, column] = 100 * np.mean(right)
    assert 0 < found.mean() < 100
    np.testing.assert_allclose(rank1_by_view(train, test, x, y), found)


def test_perfect_features_find_everybody_and_equal_ones_nobody():
    train, test = studio(5, 0), studio(4, 1)
    assert (
        rank1_by_view(train, test, people_with_noise(train, 0.01, 1, 3), people_with_noise(test, 0.01, 2, 3)) == 100
    ).all()
    x = people_with_noise(train, 1.0, 1, 3)
    assert (rank1_by_view(train, test, x, np.ones((len(test), 3))) == 0).all()  # all ties


@pytest.mark.parametrize(
    ("train", "test", "says"),
    [
        (studio(1, 0), studio(4, 1), "LDA: one person only"),
        (studio(5, 0), studio(1, 1), "test: one person only"),
        (studio(5, 0).subset(slice(None, None, 6)), studio(4, 1), "singular in"),
    ],
)
def test_too_few_people_or_pictures_are_one_line(train, test, says):
    x, y = (np.random.default_rng(0).normal(size=(len(faces), 8)) for faces in (train, test))
    with pytest.raises(DataError, match=says):
        rank1_by_view(train, test, x, y)


def test_a_test_person_without_a_frontal_picture_is_named():
    train, test = studio(5, 0), studio(4, 1)
    test = test.subset((test.views != 0) | (test.labels != 2))
    with pytest.raises(DataError, match="person 2: no frontal picture"):
        rank1_by_view(train, test, np.ones((len(train), 3)), np.ones((len(test), 3)))


def test_an_interval_holds_the_chance_of_people_and_of_trainings():
    rng = np.random.default_rng(0)
    people = rng.normal(50, 10, 200)
    value, low, high = estimate(people)
    assert value == pytest.approx(people.mean(), abs=1e-3)
    assert high - low == pytest.approx(2 * 1.96 * 10 / 200**0.5, rel=0.2)
    same = estimate(np.stack([people] * 3))
    assert same == [value, low, high]  # trainings that agree add nothing
    apart = estimate(np.stack([people - 20, people, people + 20]))
    assert apart[2] - apart[1] > 4 * (high - low)


def test_lbp_counts_every_pixel_once_and_forgets_brightness():
    faces = studio(1, 3)
    found = baselines(faces)
    assert (found["LBP"].reshape(len(faces), 64, 59) ** 2).sum(2) == pytest.approx(64)  # 8 x 8 pixels a cell
    assert (found["landmark LBP"].reshape(len(faces), 20, 59) ** 2).sum(2) == pytest.approx(144)
    faces.images //= 2
    faces.images *= 2  # so that halving keeps the order of all pixels
    darker = ViewFaces(faces.images // 2, faces.labels, faces.views, faces.lights, faces.landmarks)
    assert (baselines(faces)["LBP"] == baselines(darker)["LBP"]).all()
