"""Sweeps go on where they stopped, refuse other scores, and the accuracy at a fixed threshold."""

from types import SimpleNamespace

import numpy as np
import pytest

from deepid_lite.errors import DataError
from deepid_lite.neurons import occlusion
from deepid_lite.studies import robustness
from deepid_lite.verification.metrics import make_pairs, verify

RNG = np.random.default_rng(1)
LABELS = np.repeat(np.arange(20), 4)
# a person has a colour, an image some noise of its own
IMAGES = np.clip(RNG.integers(40, 216, (20, 1, 1, 3)).repeat(4, 0) + RNG.normal(0, 12, (80, 144, 128, 1)), 0, 255)
FACES = SimpleNamespace(images=IMAGES.astype(np.uint8), landmarks=np.zeros((80, 5, 2), np.float32), labels=LABELS)
PAIRS = make_pairs(LABELS, n_folds=4, per_fold=10)
CONDITIONS = occlusion.conditions((0.4,), (60,))


class Colour:
    """A method: the mean colour of the face, scored by distance; it counts fits and blocks of pictures."""

    def __init__(self, fail_on=None):
        self.fits, self.blocks, self.fail_on = 0, 0, fail_on

    def fit(self):
        self.fits += 1

    def embed(self, images):
        self.blocks += 1
        if self.blocks == self.fail_on:
            raise KeyboardInterrupt
        return {"colour": images.mean((1, 2))}

    def score(self, curve, first, second):
        return -np.abs(first - second).sum(1)


def test_scores_are_those_of_a_loop():
    found = robustness.sweep(FACES, PAIRS, CONDITIONS, Colour())
    assert list(found) == ["clean", "below 0.4", "block 60"]
    covered = {"clean": FACES.images, "below 0.4": occlusion.occlude_from_below(FACES.images, 0.4),
               "block 60": occlusion.occlude_block(FACES.images, 60)}  # fmt: skip
    for name, images in covered.items():
        means = images.mean((1, 2))
        expected = -np.abs(means[PAIRS.first] - means[PAIRS.second]).sum(1)
        np.testing.assert_allclose(found[name]["colour"], expected)


def test_blocks_play_no_part(monkeypatch):
    whole = robustness.sweep(FACES, PAIRS, CONDITIONS, Colour())
    monkeypatch.setattr(robustness, "BLOCK", 7)
    for name, scores in robustness.sweep(FACES, PAIRS, CONDITIONS, Colour()).items():
        np.testing.assert_allclose(scores["colour"], whole[name]["colour"])


def test_an_interrupted_sweep_goes_on(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        robustness.sweep(FACES, PAIRS, CONDITIONS, Colour(fail_on=2), tmp_path, "m")
    assert [p.name for p in tmp_path.iterdir()] == ["method-clean.npz"]
    method = Colour()
    found = robustness.sweep(FACES, PAIRS, CONDITIONS, method, tmp_path, "m")
    assert (method.fits, method.blocks) == (1, 2)
    again = robustness.sweep(FACES, PAIRS, CONDITIONS, method, tmp_path, "m")
    assert (method.fits, method.blocks) == (1, 2), "nothing is left to do: not even the fit"
    for name, scores in found.items():
        np.testing.assert_array_equal(again[name]["colour"], scores["colour"])


def test_scores_of_another_model_are_refused(tmp_path):
    robustness.sweep(FACES, PAIRS, CONDITIONS, Colour(), tmp_path, "m")
    with pytest.raises(DataError, match="another model, other data or other settings; use an empty folder"):
        robustness.sweep(FACES, PAIRS, CONDITIONS, Colour(), tmp_path, "n")
    (tmp_path / "method-clean.npz").write_bytes(b"PK no more")
    with pytest.raises(DataError, match="damaged; delete it"):
        robustness.sweep(FACES, PAIRS, CONDITIONS, Colour(), tmp_path, "m")


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file.*cannot be written"):
        robustness.sweep(FACES, PAIRS, CONDITIONS, Colour(), tmp_path / "file", "m")


def test_marks_change_with_every_part():
    parts = ("a", 1, np.arange(3), (0.1, "x"))
    others = [("b", *parts[1:]), ("a", 2, *parts[2:]), ("a", 1, np.arange(4), parts[3]), (*parts[:3], (0.1, "y"))]
    assert len({robustness.mark_of(*some) for some in (parts, parts, *others)}) == 5


def test_fixed_thresholds_are_those_of_the_clean_scores():
    clean = np.where(PAIRS.same, 1.0, -1.0) + RNG.normal(0, 0.8, len(PAIRS))
    shifted = clean - 5  # as well ordered, but nothing reaches the clean threshold
    report = robustness.curves({"clean": {"x": clean}, "shifted": {"x": shifted}}, ["clean", "shifted"], PAIRS)["x"]
    assert report["accuracy"][0] == report["accuracy"][1] == report["fixed"][0]
    assert report["fixed"][1] == 50
    assert report["fold_accuracy"][0] == [round(100 * a, 3) for a in verify(clean, PAIRS).fold_accuracy]


def test_some_pairs_are_the_first_of_each_fold_and_kind():
    some = robustness.some_pairs(PAIRS, 3)
    assert len(some) == 4 * 6 and some.same.sum() == 12
    assert (np.bincount(some.fold.astype(int), minlength=4)[np.unique(some.fold)] == 6).all()
    assert robustness.some_pairs(PAIRS) is PAIRS
    with pytest.raises(DataError, match="per_fold 0"):
        robustness.some_pairs(PAIRS, 0)


def test_pixels_and_lbp_verify_what_is_easy_and_lose_it_under_cover():
    half = SimpleNamespace(images=FACES.images[:40], labels=LABELS[:40], landmarks=FACES.landmarks[:40])
    for method in (robustness.pixels(half), robustness.high_dimensional_lbp(half, workers=1)):
        found = robustness.sweep(FACES, PAIRS, {"clean": CONDITIONS["clean"], "below 1": lambda x, _, i: x * 0}, method)
        (curve,) = found["clean"]
        scores = found["clean"][curve]
        assert np.isfinite(scores).all() and len(set(found["below 1"][curve].round(6))) == 1
    assert "LBP" in found["clean"]


def test_whole_people_only():
    rows = robustness.whole_people(LABELS, 10)
    assert len(rows) == 8 and len(np.unique(LABELS[rows])) == 2
    assert len(robustness.whole_people(LABELS, 10**6)) == 80
