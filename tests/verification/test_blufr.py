"""BLUFR: the authors' lists, lists of the same shape, and rates over all pairs against a plain count."""

import numpy as np
import pytest
from scipy.io import savemat

from deepid_lite.errors import DataError
from deepid_lite.verification import benchmarks, blufr
from deepid_lite.verification.metrics import open_set_dir, tar_at_far

LABELS = np.random.default_rng(0).permutation(np.repeat(np.arange(60), 1 + np.arange(60) % 5))


def scores_of(labels, spread=1.0, seed=0):
    """Score function of simulated faces: points around their person's."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(labels.max() + 1, 4))[labels] + spread * rng.normal(size=(len(labels), 4))
    return lambda i, j: -((x[i][:, None] - x[j]) ** 2).sum(-1)


@pytest.mark.parametrize("block", [7, 512])
@pytest.mark.parametrize("far", [0.0, 0.001, 0.01, 0.3])
def test_the_rate_over_all_pairs_is_that_of_the_whole_list(monkeypatch, far, block):
    monkeypatch.setattr(blufr, "BLOCK", block)
    images = np.random.default_rng(1).permutation(len(LABELS))[:120]
    score = scores_of(LABELS)
    i, j = np.triu_indices(len(images), 1)
    listed = np.array([score(images[a : a + 1], images[b : b + 1])[0, 0] for a, b in zip(i, j, strict=True)])
    same = LABELS[images[i]] == LABELS[images[j]]
    assert blufr.tar_of_all_pairs(score, LABELS, images, far) == tar_at_far(listed, same, far)


def test_ties_with_the_first_refused_impostor_are_refused():
    labels = np.array([0, 0, 1, 1])
    assert blufr.tar_of_all_pairs(lambda i, j: np.ones((len(i), len(j))), labels, np.arange(4), 0.0) == 0.0


def test_drawn_trials_have_the_shape_of_the_protocol():
    trials = blufr.draw_trials(LABELS, n_trials=10, training=20, enrolled=10)
    assert len(trials) == 10
    for trial in trials:
        people = np.unique(LABELS[trial.test])
        assert len(people) == 40 and len(np.unique(trial.test)) == len(trial.test)
        assert np.array_equal(np.sort(trial.test), np.flatnonzero(np.isin(LABELS, people)))  # all of their images
        assert len(np.unique(LABELS[trial.gallery])) == len(trial.gallery) == 10
        assert np.isin(LABELS[trial.gallery], LABELS[trial.probes]).all()  # each enrolled person has a probe
    again = blufr.draw_trials(LABELS, n_trials=10, training=20, enrolled=10)
    assert all(np.array_equal(a.test, b.test) for a, b in zip(trials, again, strict=True))
    assert not np.array_equal(trials[0].test, trials[1].test)
    few = blufr.draw_trials(LABELS)[0]  # by default LFW's parts: 16 of 60 set aside, 10 enrolled
    assert len(np.unique(LABELS[few.test])) == 44 and len(few.gallery) == 10
    for wrong in ({"enrolled": 0}, {"enrolled": 59}, {"training": 60}):
        with pytest.raises(DataError, match="enrolled"):
            blufr.draw_trials(LABELS, **wrong)


def test_the_report_is_mean_minus_standard_deviation():
    trials, score = blufr.draw_trials(LABELS, 4, 10, 8), scores_of(LABELS, 0.3)
    report = blufr.report(score, LABELS, trials)
    for found in report.values():
        assert found["mean"] == pytest.approx(np.mean(found["trials"]), abs=2e-3)
        assert found["standard_deviation"] == pytest.approx(np.std(found["trials"], ddof=1), abs=2e-3)
        assert found["mean_minus_deviation"] == pytest.approx(found["mean"] - found["standard_deviation"], abs=2e-3)
    trial = trials[2]
    genuine = np.isin(LABELS[trial.probes], LABELS[trial.gallery])
    table = score(trial.probes, trial.gallery)
    rate = open_set_dir(table[genuine], LABELS[trial.probes][genuine], table[~genuine], LABELS[trial.gallery], 0.01)
    assert report["dir_at_1_far"]["trials"][2] == pytest.approx(100 * rate.rate, abs=1e-3)
    assert 0 < report["tar_at_0.1_far"]["mean"] < 100


# the authors' file

PATHS = [f"p{person}/p{person}_{number:04d}.jpg" for person in range(6) for number in (1, 2, 3)]


def matlab(path, names, gallery, probes, **more):
    """As the toolkit stores it: a column of names, and columns of cells with columns of numbers from 1."""

    def cells(values):
        out = np.empty((len(values), 1), dtype=object)
        for place, value in enumerate(values):
            out[place, 0] = np.array(value, dtype=np.float64).reshape(-1, 1)
        return out

    names = np.array(names, dtype=object).reshape(-1, 1)
    savemat(path, {"imageList": names, "galIndex": cells(gallery), "probIndex": cells(probes), **more})


def test_the_authors_lists_count_from_one_in_their_own_order(tmp_path):
    names = [path.split("/")[1] for path in PATHS[::-1]]
    matlab(tmp_path / blufr.FILE, names, [[1, 4], [2, 5]], [[2, 3, 7], [1, 9, 8, 7]], labels=np.arange(18.0))
    trials = blufr.read_trials(tmp_path / blufr.FILE, PATHS)
    assert [t.gallery.tolist() for t in trials] == [[17, 14], [16, 13]]
    assert [t.probes.tolist() for t in trials] == [[16, 15, 11], [17, 9, 10, 11]]
    matlab(tmp_path / "one.mat", names, [[1, 4]], [[2, 3]])  # a single trial stays one
    (only,) = blufr.read_trials(tmp_path / "one.mat", PATHS)
    assert only.gallery.tolist() == [17, 14] and only.probes.tolist() == [16, 15]


def test_a_wrong_file_is_one_line(tmp_path):
    names = [path.split("/")[1] for path in PATHS]
    path = tmp_path / blufr.FILE
    with pytest.raises(DataError, match="no such file"):
        blufr.read_trials(path, PATHS)
    path.write_bytes(b"no matlab")
    with pytest.raises(DataError, match="no BLUFR lists"):
        blufr.read_trials(path, PATHS)
    savemat(path, {"imageList": np.array(names, dtype=object)})
    with pytest.raises(DataError, match="galIndex"):
        blufr.read_trials(path, PATHS)
    gallery = [[1, 2], [3, 4]]
    for first, probes in ((1, [[3, 19], [5]]), (1, [[2, 5], [6]]), (0, [[3], [5]])):
        matlab(path, names, [[first, 2], gallery[1]], probes)
        with pytest.raises(DataError, match="repeat or lie outside"):
            blufr.read_trials(path, PATHS)
    matlab(path, names, [[1, 2], [3, 4]], [[5, 6], [7]])
    with pytest.raises(DataError, match="names 3 images that are not among the faces, the first p5_0001.jpg"):
        blufr.read_trials(path, PATHS[:15])


class Faces:
    def __init__(self, labels, paths):
        self.labels, self.paths = labels, paths


def test_lists_are_the_authors_where_they_lie_beside_the_images(tmp_path):
    labels = np.repeat(np.arange(6), 3)
    test = benchmarks.Benchmark("lfw", Faces(labels, PATHS), None, seed=3)
    trials, lists = benchmarks.blufr_trials(test, tmp_path)
    assert lists == "drawn with seed 3 in the shape of BLUFR's" and len(trials) == 10
    (tmp_path / "lfw_protocol").mkdir()
    names = [path.split("/")[1] for path in PATHS]
    matlab(tmp_path / "lfw_protocol" / blufr.FILE, names, [[1, 4], [2, 5]], [[2, 3, 7], [1, 9]])
    trials, lists = benchmarks.blufr_trials(test, tmp_path)
    assert lists == blufr.FILE and trials[0].gallery.tolist() == [0, 3]
    with pytest.raises(DataError, match="videos"):
        benchmarks.blufr_trials(benchmarks.Benchmark("ytf", None, None, video=labels), tmp_path)
