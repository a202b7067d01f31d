"""Reports of a model on a test set: scores of images and of videos, intervals, and the one table that is printed."""

import json
import sys

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest

from deepid_lite import __main__
from deepid_lite.cli.table import summary
from deepid_lite.errors import DataError
from deepid_lite.faces.regions import WHOLE_FACE
from deepid_lite.nets import deepid as nets
from deepid_lite.verification import benchmarks, blufr, evaluation, youtube_faces
from deepid_lite.verification.model import FaceModel, save_model
from deepid_lite.verification.pairs import identification_lists, make_pairs
from deepid_lite.verification.pipeline import evaluate_model
from deepid_lite.verification.verifier import make_verifier


class Verifier:
    """All that the reports need of a model: a fitted verifier."""

    def __init__(self, features, labels, n_components=8):
        self.verifier = make_verifier(n_components).fit(features, labels)


LABELS = np.repeat(np.arange(60), 6)


def simulated(seed, spread=0.7):
    rng = np.random.default_rng(seed)
    who = np.random.default_rng(99).normal(size=(60, 16))[LABELS]
    return np.maximum(who + spread * rng.normal(size=who.shape), 0).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return Verifier(simulated(0), LABELS)


class Faces:
    labels = LABELS


def images_of(lists=True):
    drawn = identification_lists(LABELS, enrolled=20, impostors=120) if lists else None
    return benchmarks.Benchmark("small", Faces(), make_pairs(LABELS, per_fold=40), drawn, facts={"kind": "FP"})


# scores


def test_scores_of_blocks_are_scores_of_pairs(model):
    features, pairs = simulated(1), make_pairs(LABELS, per_fold=20)
    for name, listed in evaluation.pair_scores(model, features, pairs).items():
        block = evaluation.scorer(model, features, name)(pairs.first, pairs.second)
        np.testing.assert_allclose(np.diag(block), listed, rtol=1e-4, atol=1e-4)


def test_videos_of_one_frame_score_as_images(model):
    features, pairs = simulated(1), make_pairs(LABELS, per_fold=20)
    alone = np.arange(len(LABELS))
    images = evaluation.pair_scores(model, features, pairs)
    for pooling in youtube_faces.POOLING:
        found = youtube_faces.video_scores(model, features, alone, pairs, pooling)
        assert found.keys() == images.keys()
        for name in images:
            np.testing.assert_allclose(found[name], images[name], rtol=1e-4, atol=1e-4)
    with pytest.raises(DataError, match="pooling 'median'"):
        youtube_faces.video_scores(model, features, alone, pairs, "median")


def test_codes_of_a_video_are_its_majority(model):
    features = np.zeros((6, 16), np.float32)
    features[[0, 1, 4]] = 1  # two of three frames active, and one of three
    pairs = make_pairs(np.arange(4).repeat(3), n_folds=2, per_fold=1)
    pairs = type(pairs)(np.array([0]), np.array([1]), np.array([True]), np.array([0]))
    found = youtube_faces.video_scores(model, features, np.array([0, 0, 0, 1, 1, 1]), pairs, "feature")
    assert found["hamming"].tolist() == [-16]


def test_more_frames_tell_more(model):
    """Three noisy frames of each video: every pooling must beat one frame of them."""
    frames = simulated(3, spread=1.6)
    video = np.arange(len(LABELS)) // 3  # two videos a person
    pairs = make_pairs(LABELS[::3], n_folds=5, per_fold=12)
    one = youtube_faces.video_scores(model, frames[::3], np.arange(120), pairs)
    accuracy = {"one": evaluation.verification_report(one, pairs)["joint_bayesian"]["accuracy"]}
    for pooling in ("score", "feature"):
        scores = youtube_faces.video_scores(model, frames, video, pairs, pooling)
        accuracy[pooling] = evaluation.verification_report(scores, pairs)["joint_bayesian"]["accuracy"]
    assert min(accuracy["score"], accuracy["feature"]) > accuracy["one"]


# intervals


def test_intervals_of_folds_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    found = np.array([evaluation.fold_interval(rng.normal(90, 2, 10)) for _ in range(2000)])
    covered = ((found[:, 0] <= 90) & (found[:, 1] >= 90)).mean()
    assert covered == pytest.approx(0.95, abs=0.02)
    low, high = evaluation.fold_interval([92.0, 93.0, 94.0])
    assert (low + high) / 2 == pytest.approx(93, abs=1e-3)
    assert (high - low) / 2 == pytest.approx(4.30265 / np.sqrt(3), abs=1e-3)  # t of 2 degrees of freedom


def test_intervals_of_shares_are_wilsons():
    assert evaluation.share_interval(0.5, 100) == pytest.approx([40.383, 59.617], abs=1e-3)
    assert evaluation.share_interval(1.0, 10) == pytest.approx([72.247, 100], abs=1e-3)


def test_intervals_of_accuracies_stay_within_a_hundred():
    for folds in ([100.0] * 9 + [96.0], [0.0] * 9 + [4.0], [100.0] * 10):
        low, high = evaluation.fold_interval(folds)
        assert 0 <= low <= np.mean(folds) <= high <= 100


# the report


def test_the_roc_is_a_step_function_of_what_was_measured(model):
    """At each rate the best threshold that stays within it, also where many scores are tied."""
    pairs = make_pairs(LABELS, per_fold=40)
    scores = evaluation.pair_scores(model, simulated(1), pairs)["hamming"]  # whole numbers from -16 to 0: many ties
    found = evaluation.verification_report({"hamming": scores}, pairs)["roc"]
    for far, tar in zip(found["far"], found["tar"], strict=True):
        rates = [(np.mean(scores[~pairs.same] >= t), np.mean(scores[pairs.same] >= t)) for t in [np.inf, *set(scores)]]
        assert tar == pytest.approx(max(true for false, true in rates if false <= far + 1e-6), abs=1e-5)


def test_the_reports_threshold_parts_the_pairs_and_is_a_number():
    pairs = make_pairs(LABELS, per_fold=40)
    parted = np.where(pairs.same, 3.0, -2.0)
    assert -2 < evaluation.verification_report({"one": parted}, pairs)["one"]["threshold"] < 3
    # where calling every pair "same" is best, too
    reversed_ = evaluation.verification_report({"one": -parted}, pairs)["one"]["threshold"]
    assert np.isfinite(reversed_)


def test_identification_in_blocks_is_that_of_the_whole_matrix(model, monkeypatch):
    features, lists = simulated(1), images_of().lists
    whole = evaluation.identification_report(model, features, LABELS, lists)
    monkeypatch.setattr(evaluation.metrics.best_matches, "__defaults__", (40,))
    assert evaluation.identification_report(model, features, LABELS, lists) == whole


def test_the_report_has_all_that_the_set_asks(model):
    found = images_of().report(model, simulated(1))
    assert found["kind"] == "FP" and "pooling" not in found
    assert found["interval"][0] < found["accuracy"] < found["interval"][1]
    assert found["standard_error"] == pytest.approx(np.std(found["fold_accuracy"], ddof=1) / np.sqrt(10), abs=2e-3)
    for name in ("cosine", "hamming"):
        assert found[f"{name}_interval"][0] < found[name] < found[f"{name}_interval"][1]
    identification = found["identification"]
    assert identification["rank1_interval"][0] < identification["rank1"] < identification["rank1_interval"][1]
    assert identification["dir_interval"][0] <= identification["dir_at_1_far"] <= identification["dir_interval"][1]
    assert "identification" not in images_of(lists=False).report(model, simulated(1))
    json.dumps(found)


def test_the_table_says_what_it_holds(model):
    found = images_of().report(model, simulated(1))
    trials = blufr.draw_trials(LABELS, 4, 10, 8)
    more = blufr.report(evaluation.scorer(model, simulated(1)), LABELS, trials)
    head = {"model": "small", "data": "set", "images": 360, "pairs": 800, "neurons": 16, "active_mean": 8.0,
            "active_std": 1.0}  # fmt: skip
    table = summary(found | head | {"blufr": {"lists": "drawn", **more}})
    lines = table.splitlines()
    assert lines[0] == "small on set: 360 images, 800 pairs in 10 folds"
    assert f"{found['accuracy']:.2f} %" in lines[2] and f"{found['interval'][0]:.2f} .." in lines[2]
    assert f"{more['tar_at_0.1_far']['mean_minus_deviation']:.2f} %" in table
    assert "95 % interval" in lines[1] and "standard error of the folds' mean" in table and "lists: drawn" in table
    widths = {len(line) for line in lines[2:5]}
    assert len(widths) == 1  # columns stand one below the other


# the command, in one process


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A net that was never trained, with a verifier: quick to run."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    net = nets.DeepID2Plus(maps=4, dimension=16, batch_norm=True).eval()
    rng = np.random.default_rng(0)
    features = np.maximum(rng.normal(size=(60, 32)), 0).astype(np.float32)
    save_model(path, FaceModel(net, WHOLE_FACE, make_verifier(8).fit(features, np.arange(60) // 4), {}))
    return path


def run(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["deepid", "evaluate", *map(str, words)])
    code = 0
    try:
        __main__.main()
    except SystemExit as stop:
        code = stop.code or 0
    done = capsys.readouterr()
    return code, done.out, done.err


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("DEEPID_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("DEEPID_DATA", raising=False)


def test_ytf_on_the_command_line(ytf, weights, monkeypatch, capsys):
    out, picture = ytf / "report.json", ytf / "roc.pdf"
    words = ("--model", weights, "--data", "ytf", "--root", ytf, "--frames", 2, "--pooling", "feature", "--corrected")
    code, table, error = run(monkeypatch, capsys, *words, "--json", out, "--roc", picture)
    assert code == 0, error
    found = json.loads(out.read_text())
    assert (found["pooling"], found["labels"], found["videos"], found["pairs"]) == ("feature", "corrected", 10, 20)
    assert "20 frames of 10 videos, 20 pairs in 10 folds" in table and f"{found['accuracy']:.2f} %" in table
    assert picture.read_bytes().startswith(b"%PDF")


def test_cfp_on_the_command_line(cfp, weights, monkeypatch, capsys):
    code, table, error = run(monkeypatch, capsys, "--model", weights, "--data", "cfp", "--root", cfp, "--kind", "FF")
    assert code == 0, error
    assert "model on cfp: 16 images, 8 pairs in 2 folds" in table


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "ytf", "--root", "."], "no folder aligned_images_DB there"),
        (["--data", "cfp", "--root", "."], "no folder Protocol there"),
        (["--data", "cfp", "--frames", "3"], "frames: no option of the test set 'cfp'"),
        (["--data", "cfp", "--pooling", "max"], "pooling: no option of the test set 'cfp'"),
        (["--errata", "errata.txt"], "errata: no option of the test set 'synthetic'"),
        (["--published", "."], "--published .: LFW's curves"),
        (["--data", "lfw", "--roc", "a.png", "--published", "."], "no ROC points"),
        (["--roc", "a.gif"], "a.gif: a picture ends in"),
        (["--data", "lfw"], "DEEPID_DATA is not set"),
        (["--model", "missing.safetensors", "--data", "ytf"], "missing.safetensors"),
    ],
)
def test_a_mistake_is_one_line_before_any_work(tmp_path, weights, words, said, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, error = run(monkeypatch, capsys, "--model", weights, *words)
    assert code == 2 and not out and said in error and error.count("\n") == 1, error


def test_options_that_videos_cannot_have(ytf, weights):
    for name, value in (("refit_on", "webfaces"), ("with_blufr", True), ("pooling", "no")):
        with pytest.raises(DataError, match=name.removeprefix("with_")):
            evaluate_model(weights, "ytf", ytf, frames=1, **{name: value})
