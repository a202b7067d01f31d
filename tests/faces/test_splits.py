"""No person, and no family, stands on both sides of a split."""

import numpy as np
import pytest

from deepid_lite.errors import DataError
from deepid_lite.faces.dataset import FaceSet
from deepid_lite.faces.splits import flagged_people, hold_out, renumber, split_people


def people(names_and_counts):
    names = [name for name, _ in names_and_counts]
    labels = np.repeat(np.arange(len(names)), [count for _, count in names_and_counts])
    n = len(labels)
    zeros = np.zeros((n, 144, 128, 3), np.uint8)
    return FaceSet(
        images=zeros,
        labels=labels,
        names=names,
        landmarks=np.zeros((n, 5, 2), np.float32),
        attributes={},
        paths=[str(i) for i in range(n)],
        source="made",
    )


@pytest.fixture
def mixed():
    families = [(f"fiw-f{f:04d}-mid{m}", 3) for f in range(40) for m in range(3)]
    return people(
        families
        + [(f"celeba-{i}", 4) for i in range(5)]
        + [(f"name-{i:02d}", 5) for i in range(30)]
        + [("fiw-f9000-mid1", 1)]
    )


def parts(faces, **options):
    net, held_out = hold_out(faces, **options)
    names = np.array(faces.names)
    return set(names[faces.labels[net]]), set(names[faces.labels[held_out]])


def test_nobody_stands_on_both_sides(mixed):
    net, held_out = parts(mixed)
    assert net and held_out and not net & held_out


def test_families_stay_together(mixed):
    net, held_out = (
        {name.rsplit("-", 1)[0] for name in side if name.startswith("fiw-")} for side in parts(mixed, fraction=0.3)
    )
    assert net and held_out and not net & held_out


def test_celeba_people_never_train_the_net(mixed):
    net, held_out = parts(mixed)
    assert not any(name.startswith("celeba-") for name in net)
    assert sum(name.startswith("celeba-") for name in held_out) == 5


def test_celebas_own_parts_decide_when_they_are_known(mixed):
    part = {"celeba-0": 0, "celeba-1": 0, "celeba-2": 0, "celeba-3": 1, "celeba-4": 2}
    web = parts(mixed)
    mixed.attributes["part"] = np.array([part.get(mixed.names[label], np.nan) for label in mixed.labels])
    net, kept = parts(mixed)
    assert {name for name in net if name in part} == {"celeba-0", "celeba-1", "celeba-2"}
    assert {name for name in kept if name in part} == {"celeba-3", "celeba-4"}
    assert {name for name in net if name not in part} == web[0]  # nobody else moves
    mixed.attributes["part"][np.flatnonzero(mixed.labels == mixed.names.index("celeba-0"))[-1]] = 2
    net, kept = parts(mixed)
    assert "celeba-0" in kept and not net & kept  # one image in the test part holds the person out


def test_people_with_one_image_never_train_the_net(mixed):
    assert "fiw-f9000-mid1" not in parts(mixed, fraction=0.01)[0]


def test_flagged_people_are_in_neither_part():
    flagged = sorted(flagged_people())
    assert flagged, "the audit flagged people; the list must not be lost"
    net, held_out = parts(people([(name, 3) for name in flagged] + [(f"name-{i}", 3) for i in range(20)]))
    assert not (net | held_out) & set(flagged)


def test_a_split_depends_on_the_seed_alone(mixed):
    assert parts(mixed, seed=3) == parts(mixed, seed=3)
    assert parts(mixed, seed=3) != parts(mixed, seed=4)


def test_a_set_that_cannot_be_split_is_refused():
    with pytest.raises(DataError, match="cannot be split"):
        hold_out(people([("name-a", 1), ("name-b", 1)]))
    with pytest.raises(DataError, match="between 0 and 1"):
        hold_out(people([("name-a", 3), ("name-b", 3)]), fraction=1.5)


def test_split_people_splits_people_not_images():
    labels = np.repeat(np.arange(9), 4)
    mask = split_people(labels)
    assert len(set(labels[mask])) == 5 and not set(labels[mask]) & set(labels[~mask])


def test_renumber_keeps_the_order():
    assert renumber(np.array([7, 3, 7, 9])).tolist() == [1, 0, 1, 2]
