"""People who turn their heads: a studio's layout, pictures that depend on nothing but what they show."""

import numpy as np
import pytest

from deepid_lite.errors import DataError
from deepid_lite.faces.synthetic.views import FIRST_PERSON, LIGHTS, make_views
from deepid_lite.papers.localisation import scenes
from deepid_lite.papers.tracking import videos


@pytest.fixture(scope="module")
def faces():
    return make_views(2, views=(-30, 0, 30), lights=2)


def test_every_person_in_every_view_and_light(faces):
    assert faces.images.shape == (12, 32, 32) and faces.images.dtype == np.uint8
    assert sorted(set(zip(faces.labels, faces.views, faces.lights, strict=True))) == [
        (person, view, light) for person in (0, 1) for view in (-30, 0, 30) for light in (0, 1)
    ]
    assert faces.in_gallery.sum() == 2 and (faces.views[faces.in_gallery] == 0).all()


def test_a_picture_depends_on_its_person_view_and_light_alone(faces):
    fewer = make_views(1, views=(30,), lights=1)
    (row,) = np.flatnonzero((faces.labels == 0) & (faces.views == 30) & (faces.lights == 0))
    assert (fewer.images[0] == faces.images[row]).all() and (fewer.landmarks[0] == faces.landmarks[row]).all()


def test_the_nose_moves_with_the_view(faces):
    """Between the eyes when frontal, towards the side that the head turns to."""
    offset = faces.landmarks[:, 2, 0] - faces.landmarks[:, :2, 0].mean(1)
    assert (offset[faces.views == 30] > 1).all() and (offset[faces.views == -30] < -1).all()
    assert (np.abs(offset[faces.views == 0]) < 1).all()
    assert ((faces.landmarks > 0) & (faces.landmarks < 31)).all()


def test_clean_pictures_differ_by_nothing_but_what_is_asked_for():
    clean, jittered, smiling = (
        make_views(1, views=(0,), lights=1, **options)
        for options in ({"jitter": 0}, {}, {"jitter": 0, "expression": 1})
    )
    assert (clean.images == make_views(1, views=(0,), lights=1, jitter=0, seed=2015).images).all()
    assert (clean.images != jittered.images).any() and (clean.images != smiling.images).any()


def test_the_people_of_each_part_are_others():
    parts = [make_views(2, views=(0,), lights=1, part=part, jitter=0).images for part in FIRST_PERSON]
    drawn = np.concatenate(parts)
    assert len(np.unique(drawn.reshape(len(drawn), -1), axis=0)) == 2 * len(FIRST_PERSON) == 6
    first = sorted([*FIRST_PERSON.values(), *videos.FIRST_PERSON.values(), *scenes.FIRST_PERSON.values()])
    assert len(set(first)) >= len(FIRST_PERSON) + 3 and min(np.diff(sorted(set(first)))) >= 5_000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"views": (80,)}, "views [80]: give whole degrees from -75 to 75"),
        ({"views": ()}, "views []"),
        ({"views": (0.5,)}, "whole degrees"),
        ({"n_people": 0}, "n_people = 0: give a whole number from 1"),
        ({"lights": len(LIGHTS) + 1}, f"from 1 to {len(LIGHTS)}"),
        ({"part": "val"}, "part 'val': use train, held_out, test"),
        ({"jitter": -1}, "jitter = -1"),
        ({"expression": 3}, "expression = 3"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(options, says):
    with pytest.raises(DataError) as caught:
        make_views(**({"n_people": 1} | options))
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_person_without_a_frontal_picture_is_named(faces):
    with pytest.raises(DataError, match="person 1: no frontal picture in neutral light"):
        faces.subset((faces.labels == 0) | (faces.views != 0)).in_gallery  # noqa: B018
