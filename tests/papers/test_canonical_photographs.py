"""The canonical view of photographs, on blobs in their place: who learns, what is chosen, what is compared."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from samples import face_set, small_setup
from scipy.io import savemat

from deepid_lite.errors import DataError
from deepid_lite.faces.alignment import TEMPLATE
from deepid_lite.papers.canonical import photographs as module
from deepid_lite.papers.canonical.net import frontality
from deepid_lite.registry import CLAIMS
from deepid_lite.verification.pairs import make_pairs

SMALL = {"epochs": 1, "batch_size": 20, "net": {"maps": [2, 2, 2]}}


def people(n, each, seed):
    faces = face_set(n, each, seed)
    return dataclasses.replace(faces, landmarks=np.repeat(TEMPLATE[None], len(faces), 0).astype(np.float32))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with UMIST's file, of noise."""
    root, rng = tmp_path_factory.mktemp("root"), np.random.default_rng(3)
    x = rng.integers(0, 256, (112, 92, 12), dtype=np.uint8)
    savemat(root / "umist.mat", {"x": x, "label": np.repeat([[1], [2], [3]], 4, 0)})
    return root


@pytest.fixture(scope="module")
def result(root, tmp_path_factory):
    setup, test = small_setup("reference"), people(12, 4, 3)
    setup = dataclasses.replace(
        setup, test=test, pairs=make_pairs(test.labels, 2, 10), held_out=people(20, 9, 2), root=str(root)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "training_parts", lambda data, root: (people(6, 8, 1), None))
        return module.canonical_photographs(setup, tmp_path_factory.mktemp("runs"), start=40, components=10, **SMALL)


def test_the_study_has_its_nulls_baselines_and_controls(result):
    nets = {"untrained", "least squares alone", "FIP", "its picture", "random start", "identification"}
    assert set(result["verification"]) == {"raw", "LBP", "landmark LBP", "net of drawn people"} | nets
    assert set(result["gain"]) == set(result["verification"]) - {"FIP"}
    assert set(result["umist"]) == set(result["verification"]) - {"landmark LBP"}  # whose landmarks are not known
    assert set(result["pictures"]) == {"the input", "mean frontal face", "least squares alone", "FIP", "random start"}
    for name, found in result["verification"].items():
        value, low, high = found["mean"]
        assert low <= value <= high and (high - low < 60 or name in nets)
    assert result["people"] == {"learn": 6, "held out": 20, "drawn": 20}
    assert all(len(found["views"]) == 3 for found in result["umist"].values())


def test_the_claims_read_it_and_the_rules_are_those_of_the_page(result):
    page = (Path(__file__).parents[2] / "book" / "rules.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (F\d+) \|.*\| ([\d.]+)(?: points)? \| \w+ \|$", page, re.M))
    ours = [claim for claim in CLAIMS.values() if claim.study == "canonical_photographs"]
    assert {claim.name: claim.margin for claim in ours} == {claim.name: float(rows[claim.name]) for claim in ours}
    assert [claim.name for claim in ours] == ["F6", "F7", "F8", "F9", "F10"] and len(rows) == 10
    for claim in ours:
        found = claim.difference(result)
        numbers = found.values() if isinstance(found, dict) else [found]
        assert np.isfinite([claim.ours(result).value, *(one.value for one in numbers)]).all()


def test_people_with_few_pictures_do_not_teach_and_others_not_more_than_a_share():
    faces = face_set(3, 30, 1)
    faces = faces.subset(np.concatenate([np.arange(7), np.arange(30, 38), np.arange(60, 90)]))
    found = module.learned_from(faces)
    assert np.bincount(found.labels).tolist() == [8, module.MOST]
    np.testing.assert_array_equal(found.images[:8], module.grey(faces).images[7:15])
    with pytest.raises(DataError, match="nobody with 8 pictures"):
        module.learned_from(face_set(2, 7, 1))


def test_the_chosen_picture_is_the_most_frontal_of_its_person():
    faces = module.several(module.grey(people(4, 9, 5)))
    rows = module.chosen(faces)
    assert faces.labels[rows].tolist() == [0, 1, 2, 3]
    for person, row in enumerate(rows):
        of_person = np.flatnonzero(faces.labels == person)
        assert frontality(faces.images[[row]])[0] == frontality(faces.images[of_person]).min()


def test_pictures_are_compared_with_their_own_persons_and_the_chosen_one_is_left_out():
    faces = module.grey(people(3, 8, 5))
    rows = module.chosen(faces)
    fronts = faces.images[rows]
    perfect = fronts[faces.labels] / 127.5 - 1
    found = module.compared(faces, perfect, fronts)
    assert found["error"] == pytest.approx(0, abs=1e-3) and (found["right"] == 100).all()
    worse = perfect.copy()
    worse[np.setdiff1d(np.arange(24), rows)] += 0.2  # a tenth of the range
    assert module.compared(faces, worse, fronts)["error"] == pytest.approx(10, rel=1e-3)
    worse[rows] = np.nan  # never looked at
    assert np.isfinite(module.compared(faces, worse, fronts)["error"]).all()


def test_the_landmarks_go_with_the_picture():
    """A bright dot at an eye of the aligned frame lies at the landmark of the small picture."""
    faces = people(1, 1, 1)
    eye = faces.landmarks[0, 0]
    faces.images[:] = 0
    column, row = np.rint(eye).astype(int)
    faces.images[0, row - 2 : row + 3, column - 2 : column + 3] = 255
    found = module.grey(faces)
    bright = np.argwhere(found.images[0] > 0)
    weight = found.images[0][found.images[0] > 0].astype(float)
    middle = (bright * weight[:, None]).sum(0)[::-1] / weight.sum()
    np.testing.assert_allclose(found.landmarks[0, 0], middle, atol=0.25)


def test_the_front_is_found_for_each_view_by_its_own_person(root):
    views = module.umist(root)
    assert views.images.shape == (12, 32, 32) and views.labels.tolist() == np.repeat([0, 1, 2], 4).tolist()

    class Nearest:
        def score_all(self, probes, gallery):
            return -((probes[:, None] - gallery) ** 2).sum(2)

    x = np.eye(3)[views.labels]
    x[1] = x[11]  # the second view of the first person looks like the third's front
    assert module.from_the_front(Nearest(), x, views).tolist() == [[100, 0, 100], [100] * 3, [100] * 3]


def test_bad_input_is_one_line(tmp_path):
    assert module.umist(tmp_path) is None
    savemat(tmp_path / "umist.mat", {"x": np.zeros((4, 4, 2), np.uint8), "label": [[1], [2]]})
    for wrong in (lambda: module.umist(tmp_path), lambda: module.canonical_photographs(small_setup())):
        with pytest.raises(DataError, match=r"umist.mat: not UMIST's|canonical_photographs, scale lite") as caught:
            wrong()
        assert "\n" not in str(caught.value)
