"""Pairs and identification lists: what they promise, their file, and too few people."""

import json
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import assert_disjoint, people_with

from deepid_lite.errors import DataError
from deepid_lite.verification.pairs import Identification, identification_lists, make_pairs


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), counts=st.lists(st.integers(1, 8), min_size=20, max_size=60))
def test_made_pairs_are_what_they_say(seed, counts):
    labels = np.random.default_rng(seed).permutation(people_with([4] * 8 + counts)[0])
    pairs = make_pairs(labels, n_folds=4, per_fold=6, seed=seed)
    np.testing.assert_array_equal(pairs.same, labels[pairs.first] == labels[pairs.second])
    for fold in range(4):
        assert np.sum(pairs.same & (pairs.fold == fold)) == np.sum(~pairs.same & (pairs.fold == fold)) == 6
    assert (pairs.first != pairs.second).all()
    assert len({frozenset(p) for p in zip(pairs.first, pairs.second, strict=True)}) == len(pairs)
    assert_disjoint(pairs, labels)
    again, other = make_pairs(labels, 4, 6, seed), make_pairs(labels, 4, 6, seed + 1)
    np.testing.assert_array_equal(pairs.first, again.first)
    assert (pairs.first != other.first).any()


def test_made_pairs_use_all_that_there_is():
    """As many different pairs as exist, and each person before any a second time."""
    pairs = make_pairs(np.repeat(np.arange(6), 2), n_folds=2, per_fold=3)
    assert sorted(np.repeat(np.arange(6), 2)[pairs.first[pairs.same]]) == list(range(6))
    make_pairs(np.array([0, 0, 1, 1, 2, 2, 3, 3]), n_folds=2, per_fold=2)


@pytest.mark.parametrize("labels, options, words", [
    (np.arange(50), dict(n_folds=2, per_fold=3), "0 genuine pairs, 3 are needed"),
    (np.repeat(np.arange(4), 9), dict(n_folds=4, per_fold=3), "0 impostor pairs"),
    (np.repeat(np.arange(3), 9), dict(n_folds=4, per_fold=3), "fold 1 of 4: 1 people"),
    (np.repeat(np.arange(30), 2), dict(), "ask for fewer"),
    (np.repeat(np.arange(30), 2), dict(n_folds=1), "at least 2 folds"),
])  # fmt: skip
def test_too_few_people_for_pairs(labels, options, words):
    with pytest.raises(DataError, match=words):
        make_pairs(labels, **options)


def test_identification_lists_and_their_file(tmp_path):
    labels, paths = people_with([3] * 30 + [1] * 40)
    lists = identification_lists(labels, seed=3, enrolled=10, impostors=80)
    assert len(lists.gallery) == 70 and len(lists.probes) == 60
    assert (labels[lists.gallery] == np.arange(70)).all() and set(np.diff(lists.gallery)[:29]) == {3}
    assert not set(lists.gallery) & set(lists.probes)
    np.testing.assert_array_equal(labels[lists.open_gallery], labels[lists.genuine])
    assert (lists.open_gallery != lists.genuine).all() and len(set(labels[lists.genuine])) == 10
    assert not set(labels[lists.impostors]) & set(labels[lists.genuine])
    assert len(set(lists.impostors)) == 80

    lists.write(tmp_path / "lists.json", paths)
    assert json.loads((tmp_path / "lists.json").read_text())["genuine"][0] == paths[lists.genuine[0]]
    back = Identification.read(tmp_path / "lists.json", paths[::-1])
    for name in ("gallery", "probes", "open_gallery", "genuine", "impostors"):
        np.testing.assert_array_equal(len(paths) - 1 - getattr(back, name), getattr(lists, name))
    assert back.seed == 3 and os.listdir(tmp_path) == ["lists.json"]

    some = identification_lists(labels, closed=[0, 2, 5, 3], enrolled=2, impostors=4)
    assert some.gallery.tolist() == [0, 3] and some.probes.tolist() == [2, 5]


def test_impostors_are_drawn_again_until_there_are_enough():
    labels, _ = people_with([2] * 10 + [30])
    for seed in range(20):  # the crowd of 30 is enrolled in a quarter of the draws
        lists = identification_lists(labels, seed=seed, enrolled=3, impostors=40)
        assert 10 not in labels[lists.genuine] and len(lists.impostors) == 40


def test_wrong_identification_input(tmp_path):
    labels, paths = people_with([2] * 5)
    with pytest.raises(DataError, match="5 people have two images, 596"):
        identification_lists(labels)
    with pytest.raises(DataError, match="too few for 9 impostors"):
        identification_lists(labels, enrolled=2, impostors=9)
    lists = identification_lists(labels, enrolled=2, impostors=4)
    lists.write(tmp_path / "lists.json", paths)
    with pytest.raises(DataError, match="cannot be written"):
        lists.write(tmp_path / "lists.json" / "below", paths)
    with pytest.raises(DataError, match="names 1 images .* P0/P0_0001"):
        Identification.read(tmp_path / "lists.json", paths[1:])
    for text in ("{", "[]", '{"seed": 1}'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(DataError, match="write it again"):
            Identification.read(tmp_path / "bad.json", paths)
