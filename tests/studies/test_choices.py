"""The choices of a verifier: pairs of people that no fit saw, the same pairs for every choice."""

from types import SimpleNamespace

import numpy as np
import pytest
from samples import face_set

from deepid_lite.studies import choices as module
from deepid_lite.studies.choices import choices


@pytest.fixture
def setup():
    faces = face_set(80, 4, seed=0)
    place, theirs = np.arange(len(faces)) % 4, np.where(faces.labels < 40, "celeba", "pins")
    faces.attributes["source"] = np.where(place == 0, "celeba64", theirs)
    rng = np.random.default_rng(0)
    features = np.abs(rng.normal(size=(80, 8))[faces.labels] + rng.normal(size=(len(faces), 8)))
    return SimpleNamespace(name="lite", held_out=faces, features=lambda part: features)


def test_every_choice_is_scored_on_the_same_pairs_of_sharp_pictures_of_people_it_was_not_fitted_on(setup, monkeypatch):
    fits, scored = [], []
    real = module.fit_verifier

    def fit(features, labels, n):
        fits.append((features, n))
        verifier = real(features, labels, n)

        class Spy:
            def score_pairs(self, other, pairs):
                scored.append((other, pairs))
                return verifier.score_pairs(other, pairs)

        return Spy()

    monkeypatch.setattr(module, "fit_verifier", fit)
    monkeypatch.setattr(module, "COMPONENTS", (2, 4))
    monkeypatch.setattr(module, "FEW", 2)
    found = choices(setup, shares=(2,))
    features, faces = setup.features("held_out"), setup.held_out
    sharp = faces.attributes["source"] != "celeba64"
    row_of = {row.tobytes(): n for n, row in enumerate(features)}
    for (fitted, _), (other, _) in zip(fits, scored, strict=True):
        fit_rows, other_rows = ([row_of[row.tobytes()] for row in part] for part in (fitted, other))
        assert not set(faces.labels[fit_rows]) & set(faces.labels[other_rows])
        assert sharp[other_rows].all()
    assert {n for _, n in fits} == {2, 4} and len(fits) == 8 + 3 * 4
    few = [row_of[row.tobytes()] for row in fits[8][0]]
    assert max(np.bincount(faces.labels[few])) == 2 and len(fits[8][0]) < len(fits[0][0])
    assert np.array_equal(scored[8][1].first, scored[0][1].first), "the same pairs as for all pictures"
    asked = [[row_of[row.tobytes()] for row in other] for other, _ in scored[12:]]
    assert {kind for rows in asked[:4] for kind in faces.attributes["source"][rows]} == {"celeba"}
    assert {kind for rows in asked[4:] for kind in faces.attributes["source"][rows]} == {"pins"}
    for fold in range(2):  # order of the calls: kind, components, fold
        first = scored[fold]
        for other, pairs in scored[fold:8:2]:
            assert np.array_equal(other, first[0]) and np.array_equal(pairs.first, first[1].first)
    half = [len(fitted) for fitted, _ in fits]
    assert half[0] > half[4]  # small pictures are in the first kind alone
    assert found["images"] == {"all": len(faces), "sharp": int(sharp.sum()), "few pictures": 160}
    assert set(found["asked"]) == {"CelebA", "others", "few pictures"}
    assert {len(values) for kind in found["accuracy"]["1 of 2"].values() for values in kind.values()} == {2}


def test_without_sources_all_pictures_are_sharp(setup, monkeypatch):
    monkeypatch.setattr(module, "COMPONENTS", (2,))
    del setup.held_out.attributes["source"]
    found = choices(setup, shares=(3,))
    assert found["images"]["all"] == found["images"]["sharp"]
    assert found["accuracy"]["2 of 3"]["all"] == found["accuracy"]["2 of 3"]["sharp"]
