"""Sweeps: go on where they stopped, refuse other scores, and the accuracy at a fixed threshold."""

from types import SimpleNamespace

import numpy as np
import pytest

from deepid_lite.errors import DataError
from deepid_lite.neurons import occlusion
from deepid_lite.studies import robustness as sweeps
from deepid_lite.verification.metrics import verify
from deepid_lite.verification.pairs import make_pairs

RNG = np.random.default_rng(1)
LABELS = np.repeat(np.arange(20), 4)
# a person has a colour, an image some noise of its own
IMAGES = np.clip(RNG.integers(40, 216, (20, 1, 1, 3)).repeat(4, 0) + RNG.normal(0, 12, (80, 144, 128, 1)), 0, 255)
FACES = SimpleNamespace(images=IMAGES.astype(np.uint8), landmarks=np.zeros((80, 5, 2), np.float32), labels=LABELS)
PAIRS = make_pairs(LABELS, n_folds=4, per_fold=10)
CONDITIONS = occlusion.conditions((0.4,), (60,))


def colour(calls, fail_on=None):
    """A system: the mean colour of the face, scored by distance; `calls` counts fits and pictures."""

    def fit():
        calls["fits"] = calls.get("fits", 0) + 1

        def embed(images):
            calls["blocks"] = calls.get("blocks", 0) + 1
            if fail_on == calls["blocks"]:
                raise KeyboardInterrupt
            return {"colour": images.mean((1, 2))}

        return embed, {"colour": lambda a, b: -np.abs(a - b).sum(1)}

    return fit


def test_scores_are_those_of_a_loop():
    found = sweeps.sweep(FACES, PAIRS, CONDITIONS, colour({}))
    assert list(found) == ["clean", "below 0.4", "block 60"]
    covered = {"clean": FACES.images, "below 0.4": occlusion.cover_from_below(FACES.images, 0.4),
               "block 60": occlusion.cover_block(FACES.images, 60)}  # fmt: skip
    for name, images in covered.items():
        means = images.mean((1, 2))
        expected = -np.abs(means[PAIRS.first] - means[PAIRS.second]).sum(1)
        np.testing.assert_allclose(found[name]["colour"], expected)


def test_blocks_play_no_part(monkeypatch):
    whole = sweeps.sweep(FACES, PAIRS, CONDITIONS, colour({}))
    monkeypatch.setattr(sweeps, "BLOCK", 7)
    for name, scores in sweeps.sweep(FACES, PAIRS, CONDITIONS, colour({})).items():
        np.testing.assert_allclose(scores["colour"], whole[name]["colour"])


def test_an_interrupted_sweep_goes_on(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        sweeps.sweep(FACES, PAIRS, CONDITIONS, colour({}, fail_on=2), tmp_path, "m")
    assert [p.name for p in tmp_path.iterdir()] == ["system-clean.npz"]
    calls = {}
    found = sweeps.sweep(FACES, PAIRS, CONDITIONS, colour(calls), tmp_path, "m")
    assert calls == {"fits": 1, "blocks": 2}
    again = sweeps.sweep(FACES, PAIRS, CONDITIONS, colour(calls), tmp_path, "m")
    assert calls == {"fits": 1, "blocks": 2}, "nothing is left to do: not even the fit"
    for name, scores in found.items():
        np.testing.assert_array_equal(again[name]["colour"], scores["colour"])


def test_scores_of_another_model_are_refused(tmp_path):
    sweeps.sweep(FACES, PAIRS, CONDITIONS, colour({}), tmp_path, "m")
    with pytest.raises(DataError, match="another model, other data or other settings; use an empty folder"):
        sweeps.sweep(FACES, PAIRS, CONDITIONS, colour({}), tmp_path, "n")
    (tmp_path / "system-clean.npz").write_bytes(b"PK no more")
    with pytest.raises(DataError, match="damaged; delete it"):
        sweeps.sweep(FACES, PAIRS, CONDITIONS, colour({}), tmp_path, "m")


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="choose another folder"):
        sweeps.sweep(FACES, PAIRS, CONDITIONS, colour({}), tmp_path / "file", "m")


def test_marks_change_with_every_part():
    parts = ("a", 1, np.arange(3), (0.1, "x"))
    marks = {sweeps.mark_of(*parts), sweeps.mark_of("b", *parts[1:]), sweeps.mark_of("a", 2, *parts[2:]),
             sweeps.mark_of("a", 1, np.arange(4), parts[3]), sweeps.mark_of(*parts[:3], (0.1, "y"))}  # fmt: skip
    assert len(marks) == 5 and sweeps.mark_of(*parts) == sweeps.mark_of(*parts)


def test_fixed_thresholds_are_those_of_the_clean_scores():
    clean = np.where(PAIRS.same, 1.0, -1.0) + RNG.normal(0, 0.8, len(PAIRS))
    shifted = clean - 5  # as well ordered, but nothing reaches the clean threshold
    report = sweeps.curves({"clean": {"x": clean}, "shifted": {"x": shifted}}, ["clean", "shifted"], PAIRS)["x"]
    assert report["accuracy"][0] == report["accuracy"][1] == report["fixed"][0]
    assert report["fixed"][1] == 50
    own = verify(clean, PAIRS)
    again = sweeps.verify_at(clean, PAIRS, own.threshold)
    np.testing.assert_array_equal(again.fold_accuracy, own.fold_accuracy)
    np.testing.assert_allclose(again.standard_error, own.standard_error)


def test_thresholds_of_another_shape_and_bad_scores_are_one_line():
    scores = np.zeros(len(PAIRS))
    for s, t, message in ((scores, [0, 0], "4 folds"), (scores, [np.nan] * 4, "4 folds"),
                          (scores[1:], [0] * 4, "scores"), (scores * np.nan, [0] * 4, "scores")):  # fmt: skip
        with pytest.raises(DataError, match=message):
            sweeps.verify_at(s, PAIRS, t)


def test_some_pairs_are_the_first_of_each_fold_and_kind():
    some = sweeps.some_pairs(PAIRS, 3)
    assert len(some) == 4 * 6 and some.same.sum() == 12
    assert (np.bincount(some.fold.astype(int), minlength=4)[np.unique(some.fold)] == 6).all()
    assert sweeps.some_pairs(PAIRS) is PAIRS
    with pytest.raises(DataError, match="per_fold 0"):
        sweeps.some_pairs(PAIRS, 0)


def test_pixels_and_lbp_verify_what_is_easy_and_lose_it_under_cover():
    half = SimpleNamespace(images=FACES.images[:40], labels=LABELS[:40], landmarks=FACES.landmarks[:40])
    for fit in (sweeps.pixel_system(half), sweeps.lbp_system(half, workers=1)):
        found = sweeps.sweep(FACES, PAIRS, {"clean": CONDITIONS["clean"], "below 1": lambda x, _, i: x * 0}, fit)
        (curve,) = found["clean"]
        scores = found["clean"][curve]
        assert np.isfinite(scores).all() and len(set(found["below 1"][curve].round(6))) == 1
    assert "LBP" in found["clean"]


def test_whole_people_only():
    rows = sweeps._whole_people(LABELS, 10)
    assert len(rows) == 8 and len(np.unique(LABELS[rows])) == 2
    assert len(sweeps._whole_people(LABELS, 10**6)) == 80
